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
from diffusers import LCMScheduler  # noqa: E402
from PIL import Image  # noqa: E402

from vision_banana_ros.cli.main import main  # noqa: E402
from vision_banana_ros.errors import InputError  # noqa: E402
from vision_banana_ros.generators import load_generator, open_bundle  # noqa: E402
from vision_banana_ros.generators.backbones.family import marigold_task  # noqa: E402
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
        np.testing.assert_allclose(answer.depth_relative[read], expected[..., 0][read], atol=1e-4)
        assert not hasattr(answer, "depth_m")
    else:
        np.testing.assert_allclose(answer.normals[read], expected[read], atol=1e-3)
    with pytest.raises(InputError, match="cannot answer 'semantic'"):
        generator.answer(IMAGE, [Question.semantic({"floor": "red"})])


@pytest.mark.parametrize(
    ("changed", "steps"),
    [
        ({"default_denoising_steps": 10}, 10),
        ({"default_denoising_steps": 4, "scheduler": ["diffusers", "LCMScheduler"]}, 1),
        ({"_class_name": "MarigoldPipeline", "default_denoising_steps": None, "prediction_type": None}, 4),
        ({"prediction_type": None}, 4),
    ],
)
def test_marigold_takes_the_steps_that_its_index_names(tmp_path, changed, steps):
    """With LCM's scheduler one, for between two it draws noise. The first edition has an index of its own."""
    tiny.marigold(tmp_path / "marigold", "depth")
    file = tmp_path / "marigold" / "model_index.json"
    index = {**json.loads(file.read_text()), **changed}
    file.write_text(json.dumps({name: value for name, value in index.items() if value is not None}))
    if "scheduler" in changed:
        LCMScheduler().save_pretrained(tmp_path / "marigold" / "scheduler")
    made = import_model(tmp_path / "marigold", tmp_path / "bundle", Options("marigold_depth", size=tiny.SIZE))
    assert len(made.manifest.backbone["schedule"]) == made.manifest.steps == steps


@pytest.mark.parametrize(
    ("index", "task"),
    [
        ({"_class_name": "MarigoldDepthPipeline"}, "depth"),
        ({"_class_name": "MarigoldNormalsPipeline", "prediction_type": "normals"}, "normals"),
        ({"_class_name": "MarigoldPipeline", "scale_invariant": True, "shift_invariant": True}, "depth"),
        ({"_class_name": "MarigoldPipeline", "use_full_z_range": True}, "normals"),
        ({"_class_name": "MarigoldPipeline"}, None),  # somebody's albedo, perhaps
        ({"_class_name": "MarigoldDepthPipeline", "prediction_type": "disparity"}, None),
        ({"_class_name": "MarigoldDepthPipeline", "prediction_type": "normals"}, None),
    ],
)
def test_what_a_marigold_paints(index, task):
    if task:
        assert marigold_task(index) == task
    else:
        with pytest.raises(InputError, match="which no profile reads"):
            marigold_task(index)


def test_marigold_with_a_profile_of_the_other_task(tmp_path):
    tiny.marigold(tmp_path / "marigold", "depth")
    with pytest.raises(InputError, match="give marigold_depth"):
        import_model(tmp_path / "marigold", tmp_path / "bundle", Options("marigold_normals"))
    index = json.loads((tmp_path / "marigold" / "model_index.json").read_text())
    (tmp_path / "marigold" / "model_index.json").write_text(
        json.dumps(index | {"prediction_type": "disparity"})
    )
    with pytest.raises(InputError, match="paints disparity, which no profile reads"):
        import_model(tmp_path / "marigold", tmp_path / "bundle", Options("marigold_depth"))


def test_flux_kontext(tmp_path):
    pipeline = tiny.flux_kontext(tmp_path / "kontext")
    pipeline.set_progress_bar_config(disable=True)
    made = import_model(
        tmp_path / "kontext", tmp_path / "bundle", Options("vision_banana", size=tiny.SIZE, steps=3)
    )
    encode_here(made, ["Paint depth."], "cpu")
    painted = load_generator(made.path).paint(IMAGE, ["Paint depth."])[0]
    np.testing.assert_allclose(painted, by_kontext(pipeline, made, 3), atol=1e-4)


def by_kontext(pipeline, made, steps, **given):
    return pipeline(
        image=Image.fromarray(IMAGE),
        prompt="Paint depth.",
        latents=torch.from_numpy(start_of("noise", made.manifest.backbone["latents"])),
        height=HEIGHT,
        width=WIDTH,
        num_inference_steps=steps,
        output_type="np",
        max_area=HEIGHT * WIDTH,
        _auto_resize=False,
        **given,
    ).images[0]


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
    reader = generator.runner.reader
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


def as_published(folder, tmp_path):
    """The layout that Qwen-Image-Edit-2509 is published in: its tokenizer/ has no tokenizer.json."""
    shutil.copytree(folder, tmp_path / "published")
    tokenizer = tmp_path / "published" / "tokenizer"
    whole = json.loads((tokenizer / "tokenizer.json").read_text())
    (tokenizer / "tokenizer.json").unlink()
    (tokenizer / "vocab.json").write_text(json.dumps(whole["model"]["vocab"]))
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in whole["model"]["merges"]]
    (tokenizer / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    (tokenizer / "added_tokens.json").write_text(
        json.dumps({word["content"]: word["id"] for word in whole["added_tokens"]})
    )
    settings = json.loads((tokenizer / "tokenizer_config.json").read_text())
    marks = {str(word.pop("id")): word for word in whole["added_tokens"]}
    (tokenizer / "tokenizer_config.json").write_text(json.dumps({**settings, "added_tokens_decoder": marks}))
    return tmp_path / "published"


def test_qwen_as_it_is_published_is_imported_and_starts(qwen, tmp_path):
    published = as_published(qwen[0], tmp_path)
    made = import_model(published, tmp_path / "bundle", Options("vision_banana", size=tiny.SIZE, steps=1))
    painted = load_generator(made.path).paint(IMAGE, ["Paint depth."])[0]
    whole = import_model(qwen[0], tmp_path / "whole", Options("vision_banana", size=tiny.SIZE, steps=1))
    np.testing.assert_allclose(
        painted, load_generator(whole.path).paint(IMAGE, ["Paint depth."])[0], atol=1e-5
    )
    (published / "tokenizer" / "merges.txt").unlink()
    with pytest.raises(InputError, match="lacks tokenizer.json, or vocab.json and merges.txt in its place"):
        import_model(published, tmp_path / "none", Options("vision_banana", size=tiny.SIZE))


def test_a_lora_for_few_steps_gets_the_schedule_that_it_was_made_for(qwen, tmp_path, capsys):
    """Qwen-Image-Lightning: a shift of ln 3 at every size, and no last step that is stretched."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    shutil.copytree(qwen[0], tmp_path / "qwen")
    file = tmp_path / "qwen" / "scheduler" / "scheduler_config.json"
    base = {
        **json.loads(file.read_text()),
        "max_image_seq_len": 8192,
        "max_shift": 0.9,
        "shift": 1.0,
        "shift_terminal": 0.02,
    }
    file.write_text(json.dumps(base))
    given = {"base_shift": float(np.log(3)), "max_shift": float(np.log(3)), "shift_terminal": None}
    (tmp_path / "lightning.json").write_text(json.dumps(given))
    asked = [
        "import",
        str(tmp_path / "qwen"),
        "--profile",
        "vision_banana",
        "--size",
        "64x96",
        "--steps",
        "4",
        "--measure-vae",
        "0",
    ]
    assert (
        main([*asked, "--scheduler", str(tmp_path / "lightning.json"), "--out", str(tmp_path / "bundle")])
        == 0
    )
    scheduler = FlowMatchEulerDiscreteScheduler.from_config({**base, **given})
    scheduler.set_timesteps(sigmas=[1.0, 0.75, 0.5, 0.25], mu=np.log(3))
    schedule = np.array(open_bundle(tmp_path / "bundle").manifest.backbone["schedule"])
    np.testing.assert_allclose(schedule[:, 0], scheduler.sigmas[:-1], atol=1e-6)
    np.testing.assert_allclose(schedule[:, 0], [1, 0.9, 0.75, 0.5], atol=1e-6)  # 3 s / (1 + 2 s)
    (tmp_path / "lightning.json").write_text(json.dumps({"base_shft": 1}))
    assert (
        main([*asked, "--scheduler", str(tmp_path / "lightning.json"), "--out", str(tmp_path / "none")]) == 2
    )
    assert "has no field base_shft" in capsys.readouterr().err


def test_kontext_is_told_another_guidance(tmp_path):
    pipeline = tiny.flux_kontext(tmp_path / "kontext")
    pipeline.set_progress_bar_config(disable=True)
    options = [Options("vision_banana", size=tiny.SIZE, steps=1, told=told) for told in (None, 2.5)]
    usual, other = (import_model(tmp_path / "kontext", tmp_path / f"told {o.told}", o) for o in options)
    for made in (usual, other):
        encode_here(made, ["Paint depth."], "cpu")
    painted = [load_generator(made.path).paint(IMAGE, ["Paint depth."])[0] for made in (usual, other)]
    assert np.abs(painted[0] - painted[1]).max() > 1e-5
    np.testing.assert_allclose(painted[1], by_kontext(pipeline, other, 1, guidance_scale=2.5), atol=1e-5)
    tiny.flux2_klein(tmp_path / "klein")
    with pytest.raises(InputError, match="is told no guidance"):
        import_model(
            tmp_path / "klein", tmp_path / "none", Options("vision_banana", size=tiny.SIZE, told=2.5)
        )


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
