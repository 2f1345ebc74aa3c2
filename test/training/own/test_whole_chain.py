# SPDX-License-Identifier: Apache-2.0
"""The whole chain at toy size: base, instruct, distill, export. Runs where torch is installed: `make test TORCH=1`."""

import json
from itertools import islice

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: make test TORCH=1")
pytest.importorskip("diffusers", reason="training needs diffusers: make test TORCH=1")

import torch  # noqa: E402

from vision_banana_ros.cli.main import main  # noqa: E402
from vision_banana_ros.evaluation.retention import measure_retention  # noqa: E402
from vision_banana_ros.generators import load_generator, open_bundle  # noqa: E402
from vision_banana_ros.tasks import TASKS, depth, referring, semantic  # noqa: E402
from vision_banana_ros.tasks.vocabulary import LEGEND  # noqa: E402
from vision_banana_ros.training.data.batches import Recipe, Stream, pixels  # noqa: E402
from vision_banana_ros.training.own import teacher_comparison  # noqa: E402
from vision_banana_ros.training.own.decoded_loss import decoded_error  # noqa: E402
from vision_banana_ros.training.own.loop import load_network  # noqa: E402
from vision_banana_ros.training.own.sampler import Painter  # noqa: E402
from vision_banana_ros.training.own.stages import CHANNELS, Painting, Plan, losses  # noqa: E402

SIZE = (48, 64)
TOY = ["--size", "48x64", "--channels", "tiny", "--views", "2", "--workers", "0", "--learning-rate", "3e-3"]
STEPS = {"base": "40", "instruct": "40", "distill": "120"}


def train(stage, out, *more):
    assert main(["train", stage, "--out", str(out), *TOY, *map(str, more)]) == 0
    return json.loads((out / "state.json").read_text())


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """The folder with base/, instruct/ and distill/."""
    out = tmp_path_factory.mktemp("chain")
    before = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(teacher_comparison, "BATCHES", 2)
        for stage, steps in STEPS.items():
            train(stage, out / stage, "--steps", steps, *(["--from", before] if before else []))
            before = out / stage
    return out


@pytest.fixture(scope="module")
def bundle(chain, tmp_path_factory):
    out = tmp_path_factory.mktemp("bundle") / "toy"
    assert main(["export", str(chain / "distill"), "--out", str(out), "--description", "A toy."]) == 0
    return out


def untrained():
    torch.manual_seed(0)
    return Plan("base", minutes=1, channels=CHANNELS["tiny"]).build(None).eval()


def loss_of(network, stage, mix):
    """The stage's loss on the same held-out batches and the same noise for everyone."""
    torch.manual_seed(0)
    stream = Stream(Recipe(SIZE, mix=mix, held_out=True))
    plan = Plan(stage, minutes=1, guide=0.0)
    with torch.no_grad():
        return float(np.mean([losses(Painting(network), batch, plan).mean() for batch in islice(stream, 4)]))


def decoded_error_of(network):
    """Mean decoded error of one step on held-out batches."""
    painter = Painter(network, SIZE, from_frame=True)
    batches = teacher_comparison.held_out(SIZE, network, 4)
    truths = [(b, pixels(b.target)) for b in batches]
    each = [decoded_error(painter.paint_batch(b), t, b.tasks, b.palette, torch.ones_like(t[:, 0])).mean() for b, t in truths]
    return float(np.mean(each))


def test_base_learns_to_paint_from_words_and_to_edit(chain):
    assert loss_of(load_network(chain / "base"), "base", mix=0.0) < 0.85 * loss_of(untrained(), "base", mix=0.0)


def test_instruct_learns_to_answer_and_forgets_nothing(chain):
    base, instruct = load_network(chain / "base"), load_network(chain / "instruct")
    assert loss_of(instruct, "instruct", mix=1.0) < 0.97 * loss_of(base, "instruct", mix=1.0)
    assert loss_of(instruct, "base", mix=0.0) < 1.05 * loss_of(base, "base", mix=0.0)


def test_distill_answers_in_one_step_with_less_loss_and_less_decoded_error(chain):
    teacher, student = load_network(chain / "instruct"), load_network(chain / "distill")
    assert loss_of(student, "distill", mix=1.0) < 0.9 * min(loss_of(n, "distill", mix=1.0) for n in (teacher, untrained()))
    assert decoded_error_of(student) < 0.95 * min(decoded_error_of(n) for n in (teacher, untrained()))


def test_every_stage_keeps_a_log_a_picture_and_its_plan(chain):
    for stage in STEPS:
        state = json.loads((chain / stage / "state.json").read_text())
        assert state["plan"]["stage"] == stage and state["state"]["step"] == int(STEPS[stage])
        last = json.loads((chain / stage / "log.jsonl").read_text().splitlines()[-1])
        assert last["step"] == int(STEPS[stage]) and last["loss"]
        (picture,) = (chain / stage / "pictures").glob("*.png")
        assert cv2.imread(str(picture)).std() > 20
    assert "distilled" in state["method"] and state["plan"]["teacher"] == "instruct"


def test_the_student_is_held_against_its_teacher_in_1_2_and_4_steps(chain):
    report = json.loads((chain / "distill" / "comparison.json").read_text())
    assert set(report["teacher"]) == {"1", "2", "4", "16"} and set(report["student"]) == {"1", "2", "4"}
    for who in ("teacher", "student"):
        for figures in report[who].values():
            assert set(figures) == set(TASKS) and figures["depth"].keys() >= {"picture", "delta1", "abs_rel"}
            assert 0 <= figures["normals"]["degrees"] <= 180 and 0 <= figures["referring"]["iou"] <= 1
    picture = cv2.imread(str(chain / "distill" / "comparison.png"))
    assert picture.shape[:2] == (8 * (48 + 16), 10 * 64)  # truth and seven ways to answer, ten questions


def test_the_bundle_answers_as_the_network_does_and_says_how_it_was_made(chain, bundle):
    generator = load_generator(bundle)
    assert generator.name == "toy" and generator.size == SIZE and set(generator.tasks) == set(TASKS)
    assert generator.manifest.made["method"].startswith("distilled")
    network = load_network(chain / "distill")
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    asked = [depth.instruction(), semantic.instruction(LEGEND), referring.instruction("the red ball", "cyan")]
    painted, expected = generator.paint(image, asked), Painter(network, SIZE, from_frame=True).paint(image, asked)
    # the bundle keeps weights in half precision, and the network computes in bfloat16 here
    assert np.abs(painted - expected).mean() < 0.01 and np.abs(painted - expected).max() < 0.15


def test_a_bundle_beside_its_teacher_a_specialist_and_what_it_could_paint_before(chain, bundle, tmp_path, monkeypatch, capsys):
    train("distill", tmp_path / "normals", "--steps", 2, "--tasks", "normals")
    monkeypatch.setattr(measure_retention, "__defaults__", (3,))
    others = ["--against", chain / "instruct", "--against", tmp_path / "normals", "--base", chain / "base", "--steps", 2]
    capsys.readouterr()
    assert main(["evaluate", str(bundle), "--count", "2", "--write", *map(str, others)]) == 0
    assert "## Generation" in capsys.readouterr().out
    metrics = open_bundle(bundle).metrics
    teacher, specialist = (metrics["procedural"]["against"][name] for name in ("instruct, 2 steps", "normals"))
    assert {"depth", "semantic"} <= teacher.keys() and "normals" in specialist and "depth" not in specialist
    before = metrics["generation"]["against"]["the base"]
    assert before["edits"]["trials"] == metrics["generation"]["edits"]["trials"] > 0
    assert metrics["generation"]["command"].endswith("--against instruct --against normals --base base --steps 2")
    text = (bundle / "README.md").read_text()
    assert "## Against instruct, 2 steps, procedural" in text and "## Against normals, procedural" in text and "## Generation" in text
    for option, value, sentence in (
        ("--against", tmp_path, "is not a bundle"),
        ("--base", tmp_path, "holds no trained weights"),
        ("--steps", 0, "1 or more"),
    ):
        assert main(["evaluate", str(bundle), "--count", "1", option, str(value)]) == 2
        assert sentence in capsys.readouterr().err


def test_a_run_is_measured_on_real_frames_as_it_is(chain, tmp_path, capsys):
    np.savez(tmp_path / "a_depth.npz", depth_m=np.full((96, 128), 2.0), k=np.diag([90.0, 90.0, 1.0]))
    cv2.imwrite(str(tmp_path / "a.png"), np.full((96, 128, 3), 90, np.uint8))
    assert main(["evaluate", str(chain / "distill"), "--only-real", "--real", str(tmp_path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    (figures,) = report["real"].values()
    assert figures["executor"] == "torch" and figures["depth"]["delta1_constant"] == 1 and 0 <= figures["depth"]["delta1"] <= 1
    assert set(report["junk"]["frames"]["black"]) == {"depth", "normals", "semantic"}


def test_a_run_goes_on_where_it_stopped_and_a_finished_one_does_nothing(tmp_path, capsys):
    first = train("distill", tmp_path, "--steps", 3)
    assert train("distill", tmp_path, "--steps", 3)["state"] == first["state"]
    second = train("distill", tmp_path, "--steps", 5)
    assert second["state"]["step"] == 5 and second["state"]["seconds"] > first["state"]["seconds"]
    assert "without a teacher" in second["method"]
    train("distill", tmp_path, "--minutes", 60, "--stop-after", 0.02)
    assert "the same command goes on" in capsys.readouterr().out


def test_weights_of_one_step_are_no_teacher(tmp_path):
    train("distill", tmp_path / "first", "--steps", 2)
    state = train("distill", tmp_path / "second", "--steps", 2, "--from", tmp_path / "first" / "network")
    assert state["plan"]["start"] == "first" and state["plan"]["teacher"] is None and "without a teacher" in state["method"]
    assert not (tmp_path / "second" / "comparison.json").exists()


def test_a_chain_is_cut_by_the_clock_carried_in_parts_and_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(teacher_comparison, "BATCHES", 1)
    parts, here, there = tmp_path / "parts", tmp_path / "here", tmp_path / "there"
    whole = ["train", "all", *TOY, "--steps", "10"]
    assert main([*whole, "--out", str(here), "--stop-after", "0.001", "--parts", str(parts)]) == 0
    assert "goes on" in capsys.readouterr().out and not (here / "distill").exists()
    assert not (parts / "comparison.json").exists()
    assert main([*whole, "--out", str(there), "--resume", str(parts), "--parts", str(parts)]) == 0
    state = json.loads((there / "distill" / "state.json").read_text())
    assert state["state"]["step"] == 4 and state["plan"]["teacher"] == "instruct" and "distilled" in state["method"]
    carried = {file.name: file.stat().st_size for file in parts.iterdir()}
    assert carried.keys() >= {"state.json", "log.jsonl", "comparison.json", "comparison.png", "part_0_average.safetensors"}
    assert len(carried) <= 8 and max(carried.values()) <= 16 << 20 and sum(carried.values()) <= 64 << 20
    # a chain carried on from its last stage needs the earlier ones no more
    assert main([*whole, "--out", str(tmp_path / "third"), "--resume", str(parts)]) == 0
    assert not (tmp_path / "third" / "base").exists() and (tmp_path / "third" / "distill" / "network").is_dir()
    assert (tmp_path / "third" / "distill" / "comparison.json").read_bytes() == (parts / "comparison.json").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--channels", "huge"], "--channels is small, large, tiny or three numbers"),
        (["--channels", "16", "32"], "three numbers, multiples of 8"),
        (["--questions", "7"], "multiple of five"),
        (["--mix", "1.5"], "--mix is a share"),
        (["--from", "nowhere"], "holds no trained weights"),
        (["--resume", "nowhere"], "holds no parts"),
    ],
)
def test_bad_arguments_end_in_a_sentence(tmp_path, capsys, arguments, sentence):
    assert main(["train", "distill", "--out", str(tmp_path / "run"), *arguments]) == 2
    assert sentence in capsys.readouterr().err


def test_sizes_and_folders_that_cannot_be(tmp_path, capsys):
    assert main(["export", str(tmp_path), "--out", str(tmp_path / "b")]) == 2
    assert "no trained weights" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["train", "base", "--out", str(tmp_path), "--size", "100x100"])
    assert "multiples of 16" in capsys.readouterr().err
