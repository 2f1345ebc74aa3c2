# SPDX-License-Identifier: Apache-2.0
"""Training, resuming and exporting at toy size. Runs where torch is installed: `make test TORCH=1`."""

import json
from itertools import islice

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: make test TORCH=1")
pytest.importorskip("diffusers", reason="training needs diffusers: make test TORCH=1")

import torch  # noqa: E402

from vision_banana_ros.cli.main import main  # noqa: E402
from vision_banana_ros.errors import InputError  # noqa: E402
from vision_banana_ros.generators import load_generator  # noqa: E402
from vision_banana_ros.generators.network import VisionBananaUNet  # noqa: E402
from vision_banana_ros.generators.prompt import tokenize  # noqa: E402
from vision_banana_ros.scenes import make_world, render, sample_camera  # noqa: E402
from vision_banana_ros.tasks import TASKS, depth, referring, semantic  # noqa: E402
from vision_banana_ros.training.data import FIRST_TRAINING_SEED, Views, batches  # noqa: E402
from vision_banana_ros.training.questions import LEGEND, QUESTIONS_A_VIEW, draw_samples, place_color  # noqa: E402
from vision_banana_ros.training.train import Plan, train  # noqa: E402

SIZE = (48, 64)


def plan(minutes):
    return Plan(minutes=minutes, sizes=(SIZE,), views=2, workers=0, channels=(16, 32, 64))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    for minutes in (0.5, 1, 1.5, 2, 3, 4, 6):  # a slow machine needs longer for as many steps
        train(plan(minutes), out)
        if json.loads((out / "state.json").read_text())["state"]["step"] >= 300:
            break
    return out


@pytest.fixture(scope="module")
def bundle(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("bundle") / "toy"
    assert main(["export", str(run), "--out", str(out), "--description", "A toy."]) == 0
    return out


def network_of(run):
    return VisionBananaUNet.from_pretrained(run / "network").eval()


def losses_on(network, count=6):
    """Mean picture error over fixed batches that no training run draws."""
    stream = batches(Views(123, SIZE, 2, network.config.text_length, network.config.text_buckets), workers=0)
    from vision_banana_ros.training.train import paint_in_one_step

    with torch.no_grad():
        return float(np.mean([(paint_in_one_step(network, b) - b.target.float()).abs().mean() for b in islice(stream, count)]))


def test_training_makes_the_pictures_better(run):
    torch.manual_seed(0)
    untrained = VisionBananaUNet(channels=(16, 32, 64)).eval()
    assert losses_on(network_of(run)) < 0.95 * losses_on(untrained)


def test_a_run_goes_on_where_it_stopped_and_a_finished_one_does_nothing(run, tmp_path):
    train(plan(0.05), tmp_path)
    first = json.loads((tmp_path / "state.json").read_text())["state"]
    train(plan(0.05), tmp_path)
    assert json.loads((tmp_path / "state.json").read_text())["state"]["step"] == first["step"]
    train(plan(0.4), tmp_path)
    second = json.loads((tmp_path / "state.json").read_text())["state"]
    assert second["step"] > first["step"] and second["seconds"] > first["seconds"]


def test_a_checkpoint_of_another_network_is_refused(run):
    with pytest.raises(InputError, match="another network"):
        train(Plan(minutes=1, sizes=(SIZE,), workers=0, channels=(24, 32, 64)), run)


def test_the_bundle_answers_as_the_network_does(run, bundle):
    generator = load_generator(bundle)
    network = network_of(run)
    for value in network.state_dict().values():  # the bundle keeps large weights in half precision
        if value.is_floating_point() and value.numel() >= 1024:
            value.copy_(value.half().float())
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    asked = [depth.instruction(), semantic.instruction(LEGEND), referring.instruction("the red ball", "cyan")]
    prompts = [tokenize(text, network.config.text_length, network.config.text_buckets) for text in asked]
    with torch.no_grad():
        pieces, colors, mask = (
            torch.from_numpy(np.stack([getattr(p, name) for p in prompts])) for name in ("pieces", "colors", "mask")
        )
        x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 127.5 - 1
        text = network.encode_text(pieces, colors, mask)
        painted = network.answer(network.add_sample(network.encode_image(x), x), torch.ones(3), text, mask)
    expected = (painted.permute(0, 2, 3, 1) / 2 + 0.5).clamp(0, 1).numpy()
    np.testing.assert_allclose(generator.paint(image, asked), expected, atol=1e-4)


def test_the_bundle_says_how_it_was_made(bundle):
    manifest = load_generator(bundle).manifest
    assert manifest.name == "toy" and manifest.size == SIZE and set(manifest.tasks) == set(TASKS)
    assert manifest.made["state"]["step"] > 0


def test_the_question_decides_and_padding_does_not():
    torch.manual_seed(0)
    network = VisionBananaUNet(channels=(16, 32, 64)).eval()
    short = tokenize("paint depth", 128, 4096)
    with torch.no_grad():
        pieces, colors, mask = (torch.from_numpy(a)[None] for a in (short.pieces, short.colors, short.mask))
        text = network.encode_text(pieces, colors, mask)
        pieces[:, 60:] = 7  # behind the mask: must not matter
        np.testing.assert_allclose(network.encode_text(pieces, colors, mask), text, atol=1e-5)
    assert not text[:, 3:].any()


@pytest.mark.parametrize("seed", range(3))
def test_samples_decode_back_to_the_truth_of_the_view(seed):
    rng = np.random.default_rng(seed)
    world = make_world(FIRST_TRAINING_SEED + seed)
    view = render(world, sample_camera(world, rng, 64, 48), rng)
    samples = draw_samples(view, rng)
    assert len(samples) == QUESTIONS_A_VIEW
    for sample in samples:
        assert sample.target.shape == (48, 64, 3) and sample.target.min() >= 0 and sample.target.max() <= 1
        tokenize(sample.instruction, 128, 4096)
    if "cube" in samples[0].instruction:
        np.testing.assert_allclose(TASKS["depth"].decode(samples[0].target).depth_m, view.depth_m, rtol=1e-3)


def test_places_far_apart_have_colours_that_can_be_told_apart():
    left, right = (np.array(place_color(x, 0.5)) for x in (0.3, 0.4))
    assert np.linalg.norm(left - right) * 255 > 2 * 14
    assert np.linalg.norm(place_color(0, 0)) * 255 > 100


def test_bad_arguments_end_in_a_sentence(tmp_path, capsys):
    assert main(["export", str(tmp_path), "--out", str(tmp_path / "b")]) == 2
    assert "no trained weights" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["train", "--out", str(tmp_path), "--size", "100x100"])
    assert "multiples of 16" in capsys.readouterr().err
