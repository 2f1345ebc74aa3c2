# SPDX-License-Identifier: Apache-2.0
"""The families beside FLUX.2-klein: each paints what its own pipeline of diffusers paints."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")
pytest.importorskip("tokenizers")

import tiny_editors as tiny  # noqa: E402
from PIL import Image  # noqa: E402

from vision_banana_ros.errors import InputError  # noqa: E402
from vision_banana_ros.generators import load_generator  # noqa: E402
from vision_banana_ros.generators.backbones import FAMILIES  # noqa: E402
from vision_banana_ros.generators.backbones.importing import Options, import_model  # noqa: E402
from vision_banana_ros.generators.backbones.prompts import encode_here  # noqa: E402
from vision_banana_ros.generators.backbones.schedule import start_of  # noqa: E402
from vision_banana_ros.perception.questions import Question  # noqa: E402

HEIGHT, WIDTH = tiny.SIZE
IMAGE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.mark.parametrize("task", ["depth", "normals"])
def test_marigold(task, tmp_path):
    pipeline = tiny.marigold(tmp_path / "marigold", task)
    pipeline.set_progress_bar_config(disable=True)
    made = import_model(tmp_path / "marigold", tmp_path / "bundle", Options(f"marigold_{task}", size=tiny.SIZE))
    assert made.manifest.tasks == (task,) and not (made.path / "encoder").exists()
    generator = load_generator(made.path)
    question = Question.depth() if task == "depth" else Question.normals()
    (answer,) = generator.answer(IMAGE, [question])
    noise = torch.from_numpy(start_of("noise", made.manifest.backbone["latents"]))
    expected = pipeline(Image.fromarray(IMAGE), latents=noise, num_inference_steps=4, output_type="np").prediction[0]
    read = answer.confidence > 0.2
    assert read.mean() > 0.02  # random weights paint few greys and few unit vectors
    if task == "depth":
        read &= np.abs(expected[..., 0] - 0.5) < 0.35  # the pipeline takes the mean of the channels before it clips them
        np.testing.assert_allclose(answer.depth_relative[read], expected[..., 0][read], atol=1e-4)
        assert not hasattr(answer, "depth_m")
    else:
        np.testing.assert_allclose(answer.normals[read], expected[read], atol=1e-3)
    with pytest.raises(InputError, match="cannot answer 'semantic'"):
        generator.answer(IMAGE, [Question.semantic({"floor": "red"})])


def test_marigold_with_a_profile_of_the_other_task(tmp_path):
    tiny.marigold(tmp_path / "marigold", "depth")
    with pytest.raises(InputError, match="give marigold_depth"):
        import_model(tmp_path / "marigold", tmp_path / "bundle", Options("marigold_normals"))
    index = json.loads((tmp_path / "marigold" / "model_index.json").read_text())
    (tmp_path / "marigold" / "model_index.json").write_text(json.dumps(index | {"prediction_type": "disparity"}))
    with pytest.raises(InputError, match="'disparity', which no profile reads"):
        import_model(tmp_path / "marigold", tmp_path / "bundle", Options("marigold_depth"))


def test_flux_kontext(tmp_path):
    pipeline = tiny.flux_kontext(tmp_path / "kontext")
    pipeline.set_progress_bar_config(disable=True)
    made = import_model(tmp_path / "kontext", tmp_path / "bundle", Options("vision_banana", size=tiny.SIZE, steps=3))
    encode_here(made, ["Paint depth."], "cpu")
    painted = load_generator(made.path).paint(IMAGE, ["Paint depth."])[0]
    noise = torch.from_numpy(start_of("noise", made.manifest.backbone["latents"]))
    expected = pipeline(
        image=Image.fromarray(IMAGE),
        prompt="Paint depth.",
        latents=noise,
        height=HEIGHT,
        width=WIDTH,
        num_inference_steps=3,
        output_type="np",
        max_area=HEIGHT * WIDTH,
        _auto_resize=False,
    ).images[0]
    np.testing.assert_allclose(painted, expected, atol=1e-4)


def test_an_encoder_that_sees_the_image_is_refused(tmp_path):
    family = FAMILIES["qwen_image_edit"]
    assert family.encoder_sees_image and family.pipelines == ("QwenImageEditPlusPipeline",)
    folder = tmp_path / "qwen"
    parts = {**family.painting, **family.encoding}
    for name in parts:
        (folder / name).mkdir(parents=True)
        config = "scheduler_config.json" if name == "scheduler" else "config.json"
        (folder / name / config).write_text("{}")
        (folder / name / "model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    index = {name: ["diffusers", classes[0]] for name, classes in parts.items()}
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "QwenImageEditPlusPipeline", **index}))
    with pytest.raises(InputError, match="looks at every frame"):
        import_model(folder, tmp_path / "bundle", Options("vision_banana"))
