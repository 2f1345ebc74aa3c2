# SPDX-License-Identifier: Apache-2.0
"""Tuning a tiny editor on rendered scenes and on pairs, and importing what comes of it."""

import json

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
for package in ("diffusers", "transformers", "tokenizers", "peft", "accelerate"):
    pytest.importorskip(package)

import tiny_editors as tiny  # noqa: E402

from vision_banana_ros.cli.main import main  # noqa: E402
from vision_banana_ros.errors import InputError  # noqa: E402
from vision_banana_ros.generators import load_generator  # noqa: E402
from vision_banana_ros.generators.backbones.importing import Options, import_model  # noqa: E402
from vision_banana_ros.tasks.profiles import PROFILES  # noqa: E402
from vision_banana_ros.training.tune import Plan, read_pairs, tune  # noqa: E402

SIZE = (32, 48)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tune") / "klein"
    tiny.flux2_klein(folder, vivid=4)
    return folder


def test_loss_and_decoded_error_go_down_and_the_lora_imports(model, tmp_path):
    plan = Plan(SIZE, steps=300, tasks=("normals",), rate=2e-2, views=4, held_out=4, save_every=100)
    state = tune(model, tmp_path / "run", PROFILES["vision_banana"], plan, lambda _: None)
    losses = state["losses"]
    assert np.mean(losses[-20:]) < 0.85 * np.mean(losses[:20])
    assert state["after"]["picture"] < 0.9 * state["before"]["picture"]
    assert state["after"]["normals_mean_deg"] < state["before"]["normals_mean_deg"]
    options = Options("vision_banana", size=SIZE, lora=tmp_path / "run" / "lora.safetensors", start="frame")
    made = import_model(model, tmp_path / "bundle", options)
    assert main(["prompts", "encode", str(made.path)]) == 0
    from vision_banana_ros.perception.questions import Question
    from vision_banana_ros.training.tune import _HELD_OUT, _example, _view

    errors = []
    for seed in range(_HELD_OUT, _HELD_OUT + 4):
        view = _view(seed, SIZE)
        asked = [Question.normals()]
        painted = load_generator(made.path).paint(view.image, [question.instruction for question in asked])
        truths = [_example(PROFILES["vision_banana"], question.task, view).answer for question in asked]
        errors += [np.abs(rgb - truth).mean() for rgb, truth in zip(painted, truths, strict=True)]
    assert np.mean(errors) == pytest.approx(state["after"]["picture"], abs=1e-3)  # the bundle paints what the tuned editor painted


def test_a_run_goes_on_where_it_was_left_by_the_command(model, tmp_path, capsys):
    given = [str(model), "--out", str(tmp_path / "run"), "--size", "32x48", "--batch", "1", "--views", "2", "--start", "noise"]
    assert main(["tune", *given, "--steps", "2"]) == 0
    assert main(["tune", *given, "--steps", "3"]) == 0
    state = json.loads((tmp_path / "run" / "state.json").read_text())
    assert state["step"] == 3 and len(state["losses"]) == 3
    assert "lora.safetensors" in capsys.readouterr().out


def test_pairs_of_ones_own(model, tmp_path):
    folder = tmp_path / "pairs"
    folder.mkdir()
    with pytest.raises(InputError, match="holds no pairs.json"):
        read_pairs(folder, SIZE)
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(folder / name), rng.integers(0, 256, (40, 50, 3), dtype=np.uint8))
    pair = {"image": "a.png", "answer": "b.png", "instruction": "Make it so."}
    (folder / "pairs.json").write_text(json.dumps({"pairs": [pair]}))
    state = tune(model, tmp_path / "run", PROFILES["vision_banana"], Plan(SIZE, steps=2, pairs=folder, held_out=1), lambda _: None)
    assert len(state["losses"]) == 2
    for wrong, said in (({"answer": "c.png"}, "not there or cannot be read"), ({"instruction": " "}, "no instruction")):
        (folder / "pairs.json").write_text(json.dumps({"pairs": [pair | wrong]}))
        with pytest.raises(InputError, match=said):
            read_pairs(folder, SIZE)


def test_what_cannot_be_tuned(model, tmp_path):
    with pytest.raises(InputError, match="noise or frame"):
        tune(model, tmp_path / "run", PROFILES["vision_banana"], Plan(SIZE, steps=1, start="zeros"))
    with pytest.raises(InputError, match="knows the tasks"):
        tune(model, tmp_path / "run", PROFILES["vision_banana"], Plan(SIZE, steps=1, tasks=("instances",)))
    tiny.marigold(tmp_path / "marigold", "depth")
    with pytest.raises(InputError, match="takes no LoRA"):
        tune(tmp_path / "marigold", tmp_path / "run", PROFILES["vision_banana"], Plan(SIZE, steps=1))
