# SPDX-License-Identifier: Apache-2.0
"""Tuning a tiny editor on rendered scenes and on pairs: a teacher, its student, and the bundle that is made of it."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
for package in ("diffusers", "transformers", "tokenizers", "peft", "accelerate"):
    pytest.importorskip(package)

import tiny_editors as tiny  # noqa: E402
from accelerate import Accelerator  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from vision_banana_ros.cli.main import main  # noqa: E402
from vision_banana_ros.errors import InputError  # noqa: E402
from vision_banana_ros.evaluation.evaluate import ask  # noqa: E402
from vision_banana_ros.generators import load_generator, open_bundle  # noqa: E402
from vision_banana_ros.generators.backbones import FAMILIES  # noqa: E402
from vision_banana_ros.generators.backbones.diffusers_folder import open_folder  # noqa: E402
from vision_banana_ros.generators.backbones.importing import Options, import_model  # noqa: E402
from vision_banana_ros.generators.backbones.lora import comparison_of  # noqa: E402
from vision_banana_ros.generators.backbones.prompt_cache import encode_here  # noqa: E402
from vision_banana_ros.tasks.profiles import PROFILES  # noqa: E402
from vision_banana_ros.tasks.vocabulary import LEGEND  # noqa: E402
from vision_banana_ros.training.data.sources import FIRST_HELD_OUT_SEED, FIRST_TRAINING_SEED  # noqa: E402
from vision_banana_ros.training.editors.editor import Tuned, held_out_case  # noqa: E402
from vision_banana_ros.training.editors.encodings import Encodings, StoredEncodings  # noqa: E402
from vision_banana_ros.training.editors.examples import TASKS, Lessons, drawn, question  # noqa: E402
from vision_banana_ros.training.editors.pairs import Pairs  # noqa: E402
from vision_banana_ros.training.editors.tune import Plan, tune  # noqa: E402

SIZE = (32, 48)
VISION, OPEN = PROFILES["vision_banana"], PROFILES["open_vision_banana"]
LEARNT = ("normals", "referring")
FEW = {"tasks": ("normals",), "views": 4, "held_out": 2, "save_every": 100}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tune") / "klein"
    tiny.flux2_klein(folder, mosaic=True)
    return folder


@pytest.fixture(scope="module")
def tuned(model, tmp_path_factory):
    """A teacher of many steps, and the student of one step that was tuned from it: the whole way, on few weights."""
    runs, told = tmp_path_factory.mktemp("runs"), []
    teacher = tune(model, runs / "teacher", VISION, Plan(SIZE, steps=60, start="noise", rate=5e-3, **FEW), told.append)
    plan = Plan(SIZE, steps=150, begin=runs / "teacher", rate=1e-2, keep=0.1, average=0.97, **FEW)
    return runs, teacher, tune(model, runs / "student", VISION, plan, told.append), told


def test_loss_and_decoded_error_go_down(tuned):
    _, teacher, student, told = tuned
    assert np.mean(teacher["losses"][-30:]) < 0.8 * np.mean(teacher["losses"][:30])
    assert teacher["after"]["picture"] < 0.95 * teacher["before"]["picture"]
    assert np.mean(student["losses"][-50:]) < 0.9 * np.mean(student["losses"][:50])
    before, after = student["before"], student["after"]
    assert after["picture"] < 0.9 * before["picture"]
    assert after["normals"]["mean_deg"] < before["normals"]["mean_deg"]
    assert {"views", "normals"} < set(after) and after["views"] == 2
    assert student["teacher"] == teacher["after"]  # the teacher in its four steps, as it was left
    assert "tune the base model" in told[0]
    assert told[1].startswith("step 1 of 60") and told[-1].startswith("step 150 of 150")


def test_the_bundle_of_a_student_shows_it_beside_its_teacher(model, tuned, tmp_path):
    runs, _, student, _ = tuned
    lora, out = runs / "student" / "lora.safetensors", tmp_path / "bundle"
    given = [str(model), "--profile", "vision_banana", "--size", "32x48", "--lora", str(lora), "--start", "frame", "--out", str(out)]
    assert main(["import", *given, "--measure-vae", "1"]) == 0
    one_step = open_bundle(out).metrics["one_step"]
    assert one_step == {"steps": 4, "teacher": student["teacher"], "student": student["after"]}
    card = (out / "README.md").read_text()
    assert "## One step beside its teacher" in card and "| student, 1 step | teacher, 4 steps |" in card
    assert f"{student['after']['normals']['mean_deg']:.1f}°" in card and "## What the VAE alone costs" in card
    assert "## How good it is" not in card  # neither is a split that the bundle was measured on
    cases = [held_out_case(FIRST_HELD_OUT_SEED + i, SIZE) for i in range(FEW["held_out"])]
    asked = [(case, *pair) for case in cases for pair in ask(case, LEGEND) if pair[0].task in FEW["tasks"]]
    encode_here(open_bundle(out), [asking.instruction for _, asking, _ in asked], "cpu")
    generator = load_generator(out)
    errors = [
        np.abs(generator.paint(case.image, [asking.instruction])[0] - VISION.encode(asking.task, truth, color=asking.color)).mean()
        for case, asking, truth in asked
    ]
    assert np.mean(errors) == pytest.approx(student["after"]["picture"], abs=1e-3)  # it paints what the tuned editor painted


def test_a_comparison_is_of_one_file_alone(tuned, tmp_path):
    runs = tuned[0]
    assert comparison_of(runs / "teacher" / "lora.safetensors") is None
    shutil.copytree(runs / "student", tmp_path / "copy")
    assert comparison_of(tmp_path / "copy" / "lora.safetensors")["steps"] == 4
    shutil.copyfile(runs / "teacher" / "lora.safetensors", tmp_path / "copy" / "lora.safetensors")
    assert comparison_of(tmp_path / "copy" / "lora.safetensors") is None


def test_a_run_goes_on_where_it_was_left_by_the_command(model, tmp_path, capsys):
    given = [str(model), "--out", str(tmp_path / "run"), "--size", "32x48", "--batch", "1", "--views", "2", "--start", "noise"]
    given += ["--tasks", "depth", "instances", "--targets", "to_q", "to_v"]
    assert main(["tune", *given, "--steps", "2"]) == 0
    learnt = (tmp_path / "run" / "lora.safetensors").read_bytes()
    assert main(["tune", *given, "--steps", "3"]) == 0
    state = json.loads((tmp_path / "run" / "state.json").read_text())
    assert state["step"] == 3 and len(state["losses"]) == 3
    assert (tmp_path / "run" / "lora.safetensors").read_bytes() != learnt
    said = capsys.readouterr().out
    assert "lora.safetensors" in said and "depth within 1.25" in said and "mean absolute color error" in said
    assert main(["tune", *given, "--steps", "3", "--rank", "4"]) == 2
    assert "has another rank, 16, not 4" in capsys.readouterr().err
    assert main(["tune", str(model), "--out", str(tmp_path / "new"), "--from", str(tmp_path), "--size", "32x48"]) == 2
    assert "holds no lora.safetensors" in capsys.readouterr().err


@pytest.mark.parametrize("profile", [VISION, OPEN])
def test_every_task_is_taught_in_the_words_and_colours_of_the_profile(profile):
    rng, view = np.random.default_rng(0), drawn(FIRST_TRAINING_SEED, (48, 64))
    for task in TASKS:
        example = question(profile, task, view, rng)
        assert example.answer.shape == (48, 64, 3) and example.answer.dtype == np.float32
        assert 0 <= example.answer.min() <= example.answer.max() <= 1
        assert example.instruction and example.frame is view.image
    if profile is OPEN:
        assert "greyscale" in question(OPEN, "depth", view, rng).instruction
        grey = question(OPEN, "depth", view, rng).answer[np.isfinite(view.depth_m)]
        assert np.ptp(grey, axis=-1).max() < 1e-6


def test_the_editors_own_work_comes_at_its_share():
    plan = Plan(SIZE, steps=1, tasks=("normals",), views=3, keep=0.5)
    given = [Lessons(VISION, plan)[number] for number in range(60)]
    edits = [example for example in given if "normal" not in example.instruction.lower()]
    assert 15 < len(edits) < 45
    assert all(np.abs(edit.answer - edit.frame / 255).max() > 0 for edit in edits)  # something was edited


def test_an_example_depends_on_its_number_and_process_alone():
    plan = Plan(SIZE, steps=1, tasks=LEARNT, views=50)
    first, second = Lessons(VISION, plan), Lessons(VISION, plan)
    given = [first[number] for number in range(8)]
    for number in reversed(range(8)):
        assert second[number].instruction == given[number].instruction
        np.testing.assert_array_equal(second[number].answer, given[number].answer)
    assert given[0].frame is given[1].frame and given[0].frame is not given[2].frame  # one view, asked every task
    other = [Lessons(VISION, plan, process=1)[number] for number in (0, 2, 4)]
    assert not any(np.array_equal(a.frame, b.frame) for a in other for b in given)
    short = Lessons(VISION, plan, reads=lambda instruction: len(instruction) < 120)
    assert all(len(short[number].instruction) < 120 for number in range(8))


@pytest.fixture
def pairs(tmp_path):
    """A folder of one pair, twice as large as examples are and of other proportions; red grows to the right, green downwards."""
    folder = tmp_path / "pairs"
    folder.mkdir()
    ramp = np.zeros((2 * SIZE[0], 4 * SIZE[1], 3), np.uint8)
    ramp[..., 2], ramp[..., 1] = np.arange(4 * SIZE[1]), np.arange(2 * SIZE[0])[:, None]
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(folder / name), ramp)
    (folder / "pairs.json").write_text(json.dumps({"pairs": [{"image": "a.png", "answer": "b.png", "instruction": "Make it so."}]}))
    return folder


def test_pairs_are_read_when_their_turn_comes_and_are_not_stretched(pairs):
    given = Pairs(pairs, SIZE)
    drawn = [given.draw(np.random.default_rng(i)) for i in range(4)]
    for example in drawn:
        assert example.frame.shape == (*SIZE, 3)
        across, down = np.diff(example.answer[0, :, 0]) * 255, np.diff(example.answer[:, 0, 1]) * 255
        np.testing.assert_allclose(across, 2, atol=1e-3)
        np.testing.assert_allclose(down, 2, atol=1e-3)
        np.testing.assert_allclose(example.frame / 255, example.answer, atol=1.01 / 255)  # the same part of both
    assert len({float(example.answer[0, 0, 0]) for example in drawn}) > 1
    larger_than_any = np.zeros((5100, 5000, 3), np.uint8)
    for wrong in (b"no picture", b"", cv2.imencode(".png", larger_than_any)[1].tobytes()):
        (pairs / "a.png").write_bytes(wrong)
        with pytest.raises(InputError, match="cannot be read"):  # only now
            given.draw(np.random.default_rng(0))
    (pairs / "a.png").unlink()
    os.mkfifo(pairs / "a.png")
    with pytest.raises(InputError, match="cannot be read"):
        given.draw(np.random.default_rng(0))


def test_shards_hold_pairs_too(pairs, tmp_path):
    """Those of a WebDataset are drawn as the same files in a folder are, and mixed with them by their numbers."""
    shards = tmp_path / "shards"
    shards.mkdir()
    (shards / "note.txt").write_text("Make it so.")
    with tarfile.open(shards / "00.tar", "w") as tar:
        for name, file in (("0/1.png", pairs / "a.png"), ("0/1.answer.png", pairs / "b.png"), ("0/1.txt", shards / "note.txt")):
            tar.add(file, name)
    (shards / "pairs.json").write_text(json.dumps({"shards": ["00.tar"]}))
    one, other = (Pairs(folder, SIZE).draw(np.random.default_rng(3)) for folder in (pairs, shards))
    assert one.instruction == other.instruction
    np.testing.assert_array_equal(one.frame, other.frame)
    np.testing.assert_array_equal(one.answer, other.answer)
    both = json.loads((pairs / "pairs.json").read_text()) | {"shards": ["../shards/00.tar"] * 2}
    (pairs / "pairs.json").write_text(json.dumps(both))
    assert len(Pairs(pairs, SIZE)) == 3
    with tarfile.open(shards / "00.tar", "a") as tar:
        tar.add(pairs / "a.png", "0/2.png")
    with pytest.raises(InputError, match="'0/2' of .* is no whole pair"):
        Pairs(shards, SIZE)
    for wrong in (b"no tar", (shards / "00.tar").read_bytes()[:700]):
        (shards / "00.tar").write_bytes(wrong)
        with pytest.raises(InputError, match="cannot be read as a tar file"):
            Pairs(shards, SIZE)


def test_pairs_of_ones_own(model, pairs, tmp_path):
    plan = Plan(SIZE, steps=2, tasks=("normals",), pairs=pairs, held_out=1)
    given = Lessons(VISION, plan, Pairs(pairs, SIZE))
    assert {given[number].instruction for number in range(9)} == {"Make it so."}
    assert len(tune(model, tmp_path / "run", VISION, plan, lambda _: None)["losses"]) == 2
    pair = json.loads((pairs / "pairs.json").read_text())["pairs"][0]
    (pairs / "pairs.json").write_text(json.dumps({"pairs": [pair | {"instruction": "a very long one " * 60}]}))
    with pytest.raises(InputError, match="'a very long one.* cannot be read by this model's text encoder"):
        tune(model, tmp_path / "long", VISION, plan, lambda _: None)
    for wrong, said in (
        ({"answer": "c.png"}, "not there or cannot be read"),
        ({"instruction": " "}, "no instruction"),
    ):
        (pairs / "pairs.json").write_text(json.dumps({"pairs": [pair | wrong]}))
        with pytest.raises(InputError, match=said):
            Pairs(pairs, SIZE)
    with pytest.raises(InputError, match="holds no pairs.json"):
        Pairs(tmp_path, SIZE)


def test_a_run_that_was_killed_goes_on_with_the_losses_of_one_that_was_not(model, tmp_path):
    plan = Plan(
        SIZE,
        steps=3,
        tasks=LEARNT,
        start="noise",
        rate=1e-2,
        batch=2,
        views=3,
        held_out=1,
        save_every=1,
        keep=0.3,
        average=0.9,
        stored=3,
    )
    whole = tune(model, tmp_path / "whole", VISION, plan, lambda _: None)

    def die(words):
        if words.startswith("step"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(model, tmp_path / "killed", VISION, plan, die)  # when it tells of the first step
    (tmp_path / "killed" / "lora.safetensors").write_bytes(b"half a fi")  # it was being written
    assert json.loads((tmp_path / "killed" / "state.json").read_text())["step"] == 1
    assert tune(model, tmp_path / "killed", VISION, plan, lambda _: None)["losses"] == whole["losses"]
    assert len(set(whole["losses"])) == 3
    for changed, said in (
        ({"rate": 1.0}, "another rate, 0.01, not 1.0"),
        ({"batch": 1}, "another batch, 2, not 1"),
        ({"seed": 5}, "another seed"),
    ):
        with pytest.raises(InputError, match=said):
            tune(model, tmp_path / "killed", VISION, replace(plan, **changed))
    with pytest.raises(InputError, match="another profile, vision_banana, not open_vision_banana"):
        tune(model, tmp_path / "killed", OPEN, plan)
    with pytest.raises(InputError, match="was tuned by the profile vision_banana, not open_vision_banana"):
        tune(model, tmp_path / "student", OPEN, replace(plan, begin=tmp_path / "killed", start="frame"))


RANK = """
import json, os, sys
from pathlib import Path
from vision_banana_ros.tasks.profiles import PROFILES
from vision_banana_ros.training.editors.tune import Plan, tune

out = Path(sys.argv[2])
plan = Plan((32, 48), steps=1, tasks=("normals",), start="noise", rate=1e-2, views=1, held_out=1)
state = tune(Path(sys.argv[1]), out, PROFILES["vision_banana"], plan, lambda _: None)
(out.parent / f"rank{os.environ['RANK']}.json").write_text(json.dumps(state))
"""


def test_two_processes_see_examples_of_their_own_and_end_with_the_same_weights(model, tmp_path):
    (tmp_path / "rank.py").write_text(RANK)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [*launch, str(tmp_path / "rank.py"), str(model), str(tmp_path / "run")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1))
    assert json.loads((tmp_path / "run" / "state.json").read_text())["processes"] == 2
    assert first["losses"] != second["losses"] and first["after"] == second["after"] != first["before"]


def test_what_is_saved_is_the_average_of_the_weights(model, tmp_path):
    plan = Plan(SIZE, steps=2, tasks=("normals",), start="noise", rate=1e-2, views=2, held_out=1, average=0.9, targets=("to_q",))
    tune(model, tmp_path, VISION, plan, lambda _: None)
    kept = torch.load(tmp_path / "run.pt", weights_only=True)
    saved = load_file(tmp_path / "lora.safetensors")
    assert len(saved) == len(kept["weights"]) > 0 and all(".to_q.lora_" in name for name in saved)

    def same(weights):
        return sorted(float(w.detach().double().sum()) for w in weights)

    np.testing.assert_allclose(same(saved.values()), same(kept["average"]), rtol=1e-6)
    assert not np.allclose(same(kept["weights"]), same(kept["average"]), rtol=1e-6)


def test_stored_examples_are_encoded_once_and_without_the_text_encoder_afterwards(model, tmp_path):
    plan = Plan(SIZE, steps=1, tasks=LEARNT, views=2)
    tuned = Tuned(open_folder(model), VISION, SIZE, LEARNT, Accelerator())
    lessons = Lessons(VISION, plan, reads=tuned.reads)
    for decoded in (False, True):
        stored = StoredEncodings(tmp_path, {"decoded": decoded}, tuned, lessons, decoded, count=3)
        told = []
        stored.fill(told.append)
        stored.fill(told.append)
        assert told == ["encoded 3 of 3 examples"]
        fresh = Encodings(tuned, lessons, decoded)
        expected = [fresh[number] for number in range(3)]
        tuned.release_text_encoder()
        for number in (0, 1, 2, 4):
            given, want = stored[number], expected[number % 3]
            assert torch.equal(given.frame, want.frame) and torch.equal(given.answer, want.answer)
            assert all(np.array_equal(given.prompt[name], want.prompt[name]) for name in want.prompt)
        assert "encoder" not in vars(tuned.words)


def logged(folder):
    """The scalars that TensorBoard shows of a log, {tag: {step: value}}: steps that a resumed run purged are left out."""
    from tensorboardX.proto.event_pb2 import Event, SessionLog

    found = {}
    for file in sorted(folder.glob("events.*")):
        data = file.read_bytes()
        while data:  # the length, its checksum, the event, its checksum
            length = int.from_bytes(data[:8], "little")
            event, data = Event.FromString(data[12 : 12 + length]), data[16 + length :]
            if event.session_log.status == SessionLog.START:
                found = {tag: {step: v for step, v in values.items() if step < event.step} for tag, values in found.items()}
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


def test_losses_and_errors_are_logged_for_tensorboard(model, tmp_path):
    pytest.importorskip("tensorboardX")
    plan = Plan(SIZE, steps=2, tasks=("normals",), start="noise", views=2, held_out=1, measure_every=1)

    tune(model, tmp_path, VISION, plan, lambda _: None)
    state = tune(model, tmp_path, VISION, replace(plan, steps=3), lambda _: None)
    found = logged(tmp_path / "tensorboard")
    assert list(found["loss"]) == [1, 2, 3]
    np.testing.assert_allclose(list(found["loss"].values()), state["losses"], atol=1e-5)
    angles = found["held_out/normals/mean_deg"]
    assert angles[1] == pytest.approx(state["measured"]["1"]["normals"]["mean_deg"])
    assert angles[3] == pytest.approx(state["after"]["normals"]["mean_deg"])


def test_a_file_holds_the_options_and_errors_are_measured_on_the_way(model, tmp_path, capsys):
    options = {
        "steps": 2,
        "size": list(SIZE),
        "tasks": ["normals"],
        "start": "noise",
        "views": 2,
        "batch": 1,
        "measure_every": 1,
    }
    (tmp_path / "tune.json").write_text(json.dumps(options))
    given = ["tune", str(model), "--out", str(tmp_path / "run"), "--config", str(tmp_path / "tune.json")]
    assert main([*given, "--steps", "7"]) == 0
    state = json.loads((tmp_path / "run" / "state.json").read_text())
    assert state["step"] == 2 and state["plan"]["tasks"] == ["normals"] and tuple(state["plan"]["size"]) == SIZE
    assert list(state["measured"]) == ["1"] and state["measured"]["1"]["normals"]["mean_deg"] > 0
    for wrong, said in (
        ({"rate": "fast"}, "invalid float value: 'fast'"),
        ({"speed": 1}, "unrecognized arguments: --speed 1"),
    ):
        (tmp_path / "tune.json").write_text(json.dumps(wrong))
        with pytest.raises(SystemExit):
            main(given)
        assert said in capsys.readouterr().err
    (tmp_path / "tune.json").write_text(json.dumps({"out": "elsewhere"}))
    assert main(given) == 2 and "cannot say out" in capsys.readouterr().err


def test_it_learns_at_the_noise_that_four_steps_of_klein_see():
    """At 384x512, of FLUX.2-klein-4B's own scheduler; as logit-normal times are drawn, a thousandth of them is above 0.957."""
    config = {
        "use_dynamic_shifting": True,
        "shift": 3.0,
        "base_shift": 0.5,
        "max_shift": 1.15,
        "time_shift_type": "exponential",
    }
    networks = FAMILIES["flux2_klein"].networks
    tuned = Tuned.__new__(Tuned)  # of which no network is asked
    tuned.networks = networks
    tuned.folder = SimpleNamespace(family=FAMILIES["flux2_klein"], index={"is_distilled": True}, config=lambda component: config)
    rng = np.random.default_rng(0)
    drawn = np.array([tuned.noise_level(rng, (768, 128)) for _ in range(800)])
    levels = [step.time for step in networks.schedule(config, 4, (768, 128))]
    np.testing.assert_allclose(levels, [1.0, 0.957, 0.882, 0.713], atol=1e-3)
    for level in levels:
        assert 0.08 < np.isclose(drawn, level, atol=1e-6).mean() < 0.17  # an eighth each
    between = drawn[~np.isclose(drawn[:, None], levels, atol=1e-6).any(axis=1)]
    assert (between > 0.957).mean() > 0.08 and np.median(between) == pytest.approx(levels[2], abs=0.02)  # where 1/2 is moved to
    assert 0 < between.min() < between.max() < 1


def test_a_guided_model_of_relative_depth_is_tuned_too(tmp_path):
    """Weights that were not distilled are measured with their guidance, and relative depth beside the truth."""
    tiny.flux2_klein(tmp_path / "base", distilled=False)
    index = tmp_path / "base" / "model_index.json"
    plan = Plan(SIZE, steps=1, tasks=("depth",), start="noise", views=2, held_out=1)
    state = tune(tmp_path / "base", tmp_path / "run", OPEN, plan, lambda _: None)
    assert state["after"]["depth"]["aligned"] is True and not json.loads(index.read_text())["is_distilled"]


def test_a_kontext_is_tuned_and_imported(tmp_path):
    tiny.flux_kontext(tmp_path / "kontext")
    plan = Plan(SIZE, steps=1, tasks=("normals",), views=2, held_out=1)
    state = tune(tmp_path / "kontext", tmp_path / "run", VISION, plan, lambda _: None)
    options = Options("vision_banana", size=SIZE, lora=tmp_path / "run" / "lora.safetensors", start="frame")
    assert import_model(tmp_path / "kontext", tmp_path / "bundle", options).manifest.made["lora_layers"] > 0
    assert comparison_of(options.lora)["steps"] == 28 and state["step"] == 1


def test_what_cannot_be_tuned(model, tmp_path):
    for plan, said in (
        (Plan(SIZE, steps=1, start="zeros"), "noise or frame"),
        (Plan(SIZE, steps=1, tasks=("edges",)), "knows the tasks"),
        (Plan(SIZE, steps=1, tasks=()), "knows the tasks"),
        (Plan(SIZE, steps=1, keep=1.5), "A share of 1.5"),
        (Plan(SIZE, steps=1, targets=("to_q", "to_z")), "No layer of flux2_klein is called to_z: choose of to_q"),
        (Plan(SIZE, steps=1, targets=()), "No layer of flux2_klein is called nothing"),
        (Plan(SIZE, steps=1, average=1), "A decay of 1 averages nothing"),
        (Plan(SIZE, steps=1, stored=-1), "-1 examples cannot be stored"),
        (Plan((30, 48), steps=1), "multiples of 16"),
    ):
        with pytest.raises(InputError, match=said):
            tune(model, tmp_path / "run", VISION, plan)
    tiny.marigold(tmp_path / "marigold", "depth")
    with pytest.raises(InputError, match="takes no LoRA"):
        tune(tmp_path / "marigold", tmp_path / "run", VISION, Plan(SIZE, steps=1))
    tiny.qwen_image_edit(tmp_path / "qwen")
    with pytest.raises(InputError, match="looks at every frame: choose another"):
        tune(tmp_path / "qwen", tmp_path / "run", VISION, Plan(SIZE, steps=1))
