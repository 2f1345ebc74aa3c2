# SPDX-License-Identifier: Apache-2.0
"""Classifier-free guidance of weights that were not distilled, as their pipelines of diffusers do it."""

import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")
pytest.importorskip("tokenizers")

import tiny_editors as tiny  # noqa: E402
from PIL import Image  # noqa: E402

from vision_banana_ros.errors import InputError  # noqa: E402
from vision_banana_ros.evaluation.card import write_card  # noqa: E402
from vision_banana_ros.generators import load_generator  # noqa: E402
from vision_banana_ros.generators.backbones.guidance import Guidance  # noqa: E402
from vision_banana_ros.generators.backbones.importing import Options, import_model  # noqa: E402
from vision_banana_ros.generators.backbones.noise_schedule import start_of  # noqa: E402
from vision_banana_ros.generators.backbones.prompt_cache import encode_here  # noqa: E402

WORDS = "Paint the depth of this."
HEIGHT, WIDTH = tiny.SIZE
IMAGE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A FLUX.2-klein whose index does not call it distilled."""
    folder = tmp_path_factory.mktemp("base") / "klein"
    pipeline = tiny.flux2_klein(folder, distilled=False)
    pipeline.set_progress_bar_config(disable=True)
    return folder, pipeline


def by_diffusers(pipeline, steps, guidance):
    tokens, channels = (HEIGHT // 16) * (WIDTH // 16), pipeline.transformer.config.in_channels
    noise = torch.from_numpy(start_of("noise", (tokens, channels)))
    noise = noise.transpose(1, 2).reshape(1, channels, HEIGHT // 16, WIDTH // 16)
    given = {
        "height": HEIGHT,
        "width": WIDTH,
        "latents": noise,
        "num_inference_steps": steps,
        "output_type": "np",
    }
    return pipeline(image=Image.fromarray(IMAGE), prompt=WORDS, guidance_scale=guidance, **given).images[0]


def test_weights_that_were_not_distilled_are_guided(base, tmp_path):
    made = import_model(base[0], tmp_path / "bundle", Options("vision_banana", size=tiny.SIZE))
    backbone = made.manifest.backbone
    assert (made.manifest.steps, backbone["guidance"], backbone["untold"]) == (50, 4.0, "")
    assert "| guidance | 4, classifier-free" in write_card(made.path).read_text()
    tiny.flux2_klein(tmp_path / "distilled")
    other = import_model(tmp_path / "distilled", tmp_path / "other", Options("vision_banana", size=tiny.SIZE))
    assert (other.manifest.steps, other.manifest.backbone["guidance"]) == (4, 1.0)
    tuned = import_model(base[0], tmp_path / "tuned", Options("vision_banana", size=tiny.SIZE, start="frame"))
    assert (tuned.manifest.steps, tuned.manifest.backbone["guidance"]) == (1, 1.0)


@pytest.mark.parametrize(("steps", "graphs"), [(1, False), (4, False), (4, True)])
def test_it_paints_what_the_guided_pipeline_paints(base, tmp_path, steps, graphs):
    if graphs:
        pytest.importorskip("onnxscript")
    made = import_model(
        base[0], tmp_path / "bundle", Options("vision_banana", size=tiny.SIZE, steps=steps, graphs=graphs)
    )
    encode_here(made, [WORDS], "cpu")
    painted = load_generator(made.path).paint(IMAGE, [WORDS])[0]
    np.testing.assert_allclose(painted, by_diffusers(base[1], steps, 4.0), atol=1e-4)
    assert np.abs(painted - by_diffusers(base[1], steps, 1.0)).max() > 2e-3


def test_kontext_with_guidance_on_top_of_what_it_was_distilled_from(tmp_path):
    pipeline = tiny.flux_kontext(tmp_path / "kontext")
    pipeline.set_progress_bar_config(disable=True)
    made = import_model(
        tmp_path / "kontext",
        tmp_path / "bundle",
        Options("vision_banana", size=tiny.SIZE, steps=2, guidance=3.0),
    )
    encode_here(made, [WORDS], "cpu")
    painted = load_generator(made.path).paint(IMAGE, [WORDS])[0]
    noise = torch.from_numpy(start_of("noise", made.manifest.backbone["latents"]))
    size = {"height": HEIGHT, "width": WIDTH, "max_area": HEIGHT * WIDTH, "_auto_resize": False}
    given = {
        "image": Image.fromarray(IMAGE),
        "prompt": WORDS,
        "latents": noise,
        "num_inference_steps": 2,
        "output_type": "np",
    }
    expected = pipeline(**given, **size, negative_prompt="", true_cfg_scale=3.0).images[0]
    np.testing.assert_allclose(painted, expected, atol=1e-4)
    assert np.abs(painted - pipeline(**given, **size).images[0]).max() > 1e-3


def test_the_empty_instruction_leads_but_is_not_answered(base, tmp_path):
    made = import_model(base[0], tmp_path / "bundle", Options("vision_banana", size=tiny.SIZE, steps=1))
    with pytest.raises(InputError, match="is empty"):
        load_generator(made.path, encode_prompts=True).paint(IMAGE, [""])
    shutil.rmtree(made.path / "prompts")
    with pytest.raises(InputError, match="lacks the empty instruction, encoded"):
        load_generator(made.path, encode_prompts=True)


@pytest.mark.parametrize("guidance", [0.5, 21.0])
def test_a_guidance_that_cannot_be(base, tmp_path, guidance):
    with pytest.raises(InputError, match="cannot be: give 1 .none. to 20"):
        import_model(
            base[0], tmp_path / "bundle", Options("vision_banana", size=tiny.SIZE, guidance=guidance)
        )


def test_what_takes_no_words_takes_no_guidance(tmp_path):
    tiny.marigold(tmp_path / "marigold", "depth")
    with pytest.raises(InputError, match="takes no words, so nothing can be guided"):
        import_model(tmp_path / "marigold", tmp_path / "bundle", Options("marigold_depth", guidance=2.0))


def test_led_answers_by_hand():
    told, untold = np.array([[[3.0, 4.0]]]), np.array([[[3.0, 0.0]]])
    np.testing.assert_allclose(Guidance(2.0, {}).lead(told, untold), [[[3.0, 8.0]]])
    led = Guidance(2.0, {}, keeps_length=True).lead(told, untold)
    np.testing.assert_allclose(np.linalg.norm(led), 5.0)
    np.testing.assert_allclose(led[0, 0, 1] / led[0, 0, 0], 8 / 3)
    np.testing.assert_allclose(
        Guidance(2.0, {}, True).lead(torch.tensor(told), torch.tensor(untold)).numpy(), led
    )
