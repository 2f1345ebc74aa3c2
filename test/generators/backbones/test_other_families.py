# SPDX-License-Identifier: Apache-2.0
"""The families beside FLUX.2-klein: each paints what its own pipeline of diffusers paints."""

import json
import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")
pytest.importorskip("tokenizers")

import tiny_editors as tiny  # noqa: E402
from PIL import Image  # noqa: E402

from vision_banana_ros.cli.main import main  # noqa: E402
from vision_banana_ros.errors import InputError  # noqa: E402
from vision_banana_ros.generators import load_generator  # noqa: E402
from vision_banana_ros.generators.backbones.importing import Options, import_model  # noqa: E402
from vision_banana_ros.generators.backbones.noise_schedule import start_of  # noqa: E402
from vision_banana_ros.generators.backbones.prompt_cache import encode_here  # noqa: E402
from vision_banana_ros.perception.questions import Question  # noqa: E402

HEIGHT, WIDTH = tiny.SIZE
IMAGE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.mark.parametrize("task", ["depth", "normals"])
def test_marigold(task, tmp_path):
    pipeline = tiny.marigold(tmp_path / "marigold", task)
    pipeline.set_progress_bar_config(disable=True)
    made = import_model(
        tmp_path / "marigold", tmp_path / "bundle", Options(f"marigold_{task}", size=tiny.SIZE)
    )
    assert made.manifest.tasks == (task,) and not (made.path / "encoder").exists()
    generator = load_generator(made.path)
    question = Question.depth() if task == "depth" else Question.normals()
    (answer,) = generator.answer(IMAGE, [question])
    noise = torch.from_numpy(start_of("noise", made.manifest.backbone["latents"]))
    expected = pipeline(
        Image.fromarray(IMAGE), latents=noise, num_inference_steps=4, output_type="np"
    ).prediction[0]
    read = answer.confidence > 0.2
    assert read.mean() > 0.02  # random weights paint few greys and few unit vectors
    if task == "depth":
        # the pipeline takes the mean of the channels before it clips them
        read &= np.abs(expected[..., 0] - 0.5) < 0.35
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
    (tmp_path / "marigold" / "model_index.json").write_text(
        json.dumps(index | {"prediction_type": "disparity"})
    )
    with pytest.raises(InputError, match="'disparity', which no profile reads"):
        import_model(tmp_path / "marigold", tmp_path / "bundle", Options("marigold_depth"))


def test_flux_kontext(tmp_path):
    pipeline = tiny.flux_kontext(tmp_path / "kontext")
    pipeline.set_progress_bar_config(disable=True)
    made = import_model(
        tmp_path / "kontext", tmp_path / "bundle", Options("vision_banana", size=tiny.SIZE, steps=3)
    )
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


@pytest.fixture(scope="module")
def qwen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("editors") / "qwen"
    pipeline = tiny.qwen_image_edit(folder)
    pipeline.set_progress_bar_config(disable=True)
    return folder, pipeline


def by_qwen(pipeline, instruction, steps, **given):
    """What the pipeline paints where it does not enlarge the frame, and its encoder knows which tokens are
    the picture's."""
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus as module

    encoder = type(pipeline.text_encoder)
    forward, place = encoder.forward, pipeline.text_encoder.config.image_token_id

    def told(self, input_ids, **more):
        return forward(self, input_ids, mm_token_type_ids=(input_ids == place).int(), **more)

    noise = torch.from_numpy(
        start_of("noise", ((HEIGHT // 16) * (WIDTH // 16), pipeline.transformer.config.in_channels))
    )
    size = {
        "height": HEIGHT,
        "width": WIDTH,
        "num_inference_steps": steps,
        "latents": noise,
        "output_type": "np",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "VAE_IMAGE_SIZE", HEIGHT * WIDTH)
        patch.setattr(encoder, "forward", told)
        return pipeline(image=[Image.fromarray(IMAGE)], prompt=instruction, **size, **given).images[0]


def test_qwen_looks_at_the_frame_while_it_reads(qwen, tmp_path):
    made = import_model(qwen[0], tmp_path / "bundle", Options("vision_banana", size=tiny.SIZE, steps=3))
    generator = load_generator(made.path)
    assert not (made.path / "prompts").exists()
    first, second = generator.paint(IMAGE, ["Paint depth.", "Paint the surface normals, please."])
    np.testing.assert_allclose(first, by_qwen(qwen[1], "Paint depth.", 3), atol=1e-4)
    np.testing.assert_allclose(second, by_qwen(qwen[1], "Paint the surface normals, please.", 3), atol=1e-4)
    reader = generator._runner._reader
    texts = [reader.read(image, reader.tokens("Paint depth."))["text"] for image in (IMAGE, 255 - IMAGE)]
    assert np.abs(texts[0] - texts[1]).max() > 1e-3  # another frame, another embedding


def test_qwen_with_guidance_paints_what_the_pipeline_paints(qwen, tmp_path):
    made = import_model(
        qwen[0], tmp_path / "bundle", Options("vision_banana", size=tiny.SIZE, steps=2, guidance=4.0)
    )
    painted = load_generator(made.path).paint(IMAGE, ["Paint depth."])[0]
    expected = by_qwen(qwen[1], "Paint depth.", 2, negative_prompt=" ", true_cfg_scale=4.0)
    np.testing.assert_allclose(painted, expected, atol=1e-4)
    assert np.abs(painted - by_qwen(qwen[1], "Paint depth.", 2)).max() > 1e-2


def test_qwen_with_a_lora_that_makes_it_fast(qwen, tmp_path):
    pytest.importorskip("peft")
    tiny.qwen_lora(tmp_path / "lora.safetensors", qwen[1])
    options = Options("vision_banana", size=tiny.SIZE, steps=2, lora=tmp_path / "lora.safetensors")
    made = import_model(qwen[0], tmp_path / "bundle", options)
    assert made.manifest.made["lora_layers"] == 2
    painted = load_generator(made.path).paint(IMAGE, ["Paint depth."])[0]
    pipeline = qwen[1]
    plain = by_qwen(pipeline, "Paint depth.", 2)
    pipeline.load_lora_weights(tmp_path, weight_name="lora.safetensors")
    expected = by_qwen(pipeline, "Paint depth.", 2)
    pipeline.unload_lora_weights()
    np.testing.assert_allclose(painted, expected, atol=1e-4)
    assert np.abs(painted - plain).max() > 1e-2


def test_qwen_answers_pictures_by_the_command(qwen, tmp_path):
    bundle, picture = tmp_path / "bundle", tmp_path / "frame.png"
    blocks = np.kron(IMAGE[::8, ::8], np.ones((8, 8, 1), np.uint8))  # noise would not be asked about
    Image.fromarray(blocks).save(picture)
    assert (
        main(
            [
                "import",
                str(qwen[0]),
                "--profile",
                "vision_banana",
                "--size",
                "64x96",
                "--steps",
                "1",
                "--out",
                str(bundle),
            ]
        )
        == 0
    )
    assert main(["run", str(picture), "--bundle", str(bundle), "--out", str(tmp_path / "out")]) == 0
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["not_answered"] == 0
    assert main(["evaluate", str(bundle), "--count", "1"]) == 0


def test_what_an_encoder_that_sees_the_frame_cannot_do(qwen, tmp_path, capsys):
    for options in (Options("vision_banana", graphs=True), Options("vision_banana", encoder=False)):
        with pytest.raises(InputError, match="looks at every frame, so the robot needs it"):
            import_model(qwen[0], tmp_path / "refused", options)
    made = import_model(qwen[0], tmp_path / "bundle", Options("vision_banana", size=tiny.SIZE, steps=1))
    assert main(["prompts", "encode", str(made.path), "Paint depth."]) == 2
    assert "nothing can be encoded ahead" in capsys.readouterr().err
    generator = load_generator(made.path)
    for instruction, said in (
        ("a very long one " * 80, "this text encoder reads 1088"),
        ("<|image_pad|>", "marks"),
        (" ", "empty"),
    ):
        with pytest.raises(InputError, match=said):
            generator.prepare(instruction)
    weights = made.path / "text_encoder" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"abcd")
    with pytest.raises(InputError, match="text_encoder/model.safetensors in bundle"):
        load_generator(made.path)


def test_qwen_of_components_that_do_not_fit(qwen, tmp_path):
    tiny.qwen_image_edit(tmp_path / "other", latent_channels=8, text_width=16)
    for component, said in (
        ("vae", "The VAE has 8 latent channels"),
        ("text_encoder", "The text encoder gives 16 numbers a token"),
    ):
        folder = tmp_path / component
        shutil.copytree(qwen[0], folder)
        shutil.rmtree(folder / component)
        shutil.copytree(tmp_path / "other" / component, folder / component)
        with pytest.raises(InputError, match=said):
            import_model(folder, tmp_path / "bundle", Options("vision_banana", size=tiny.SIZE))
