# SPDX-License-Identifier: Apache-2.0
"""An executor that answers wrongly is found out at load; what is no colour is not read; the cheaper
precision is taken."""

import json
import os
import shutil

import numpy as np
import pytest

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators import default_bundle, load_generator
from vision_banana_ros.generators import reference as reference_module
from vision_banana_ros.generators.bundle import INT8_GRAPHS, open_bundle, renew_manifest
from vision_banana_ros.generators.errors import WrongAnswers
from vision_banana_ros.generators.executors import load_executor, precision_choice
from vision_banana_ros.generators.executors import onnxruntime as on_cpu
from vision_banana_ros.generators.generator import Generator
from vision_banana_ros.generators.reference import check_answers, trusted, write_reference
from vision_banana_ros.perception import Perceiver, Question
from vision_banana_ros.scenes import make_world, render, sample_camera


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    path = tmp_path_factory.mktemp("bundles") / "small"
    shutil.copytree(default_bundle(), path)
    for graph, quantized in INT8_GRAPHS.items():  # as good as the others: what is tested is the choice
        shutil.copy(path / graph, path / quantized)
    renew_manifest(path)
    height, width = open_bundle(path).manifest.size
    world, rng = make_world(7), np.random.default_rng(7)
    image = render(world, sample_camera(world, rng, width, height), rng).image
    write_reference(path, image, on_cpu.OnnxRuntimeExecutor(open_bundle(path), "cpu", "fp32"))
    return open_bundle(path)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Changed:
    """The right executor with something done to its pictures."""

    any_size = True

    def __init__(self, bundle, change, name="tensorrt fp32"):
        self.name, self._change = name, change
        self._right = on_cpu.load(bundle, ("cpu", "fp32"))
        self.encode_image, self.encode_text = self._right.encode_image, self._right.encode_text

    def answer(self, *given):
        return self._change(self._right.answer(*given).copy())


def _with_nan(painted):
    painted[0, 3, 4, 1] = np.nan
    return painted


WRONG = {
    "mirrored": (lambda painted: painted[:, :, ::-1], "answers wrongly"),
    "channels": (lambda painted: painted[..., ::-1], "answers wrongly"),
    "grey": (lambda painted: np.full_like(painted, 0.5), "answers wrongly"),
    "a shade darker": (lambda painted: painted * 0.97, "answers wrongly"),
    "nan": (_with_nan, "no numbers"),
    "cut": (lambda painted: painted[:, 1:], "pictures of"),
    "transposed": (lambda painted: painted.transpose(0, 2, 1, 3), "pictures of"),
}


@pytest.mark.parametrize("change", WRONG)
def test_an_executor_that_answers_wrongly_is_refused_by_name(bundle, change):
    do, words = WRONG[change]
    with pytest.raises(WrongAnswers, match=words):
        check_answers(bundle, Changed(bundle, do))


def test_right_executors_pass_and_say_how_near_they_are(bundle):
    for name in ("onnxruntime:cpu-fp32", "onnxruntime:cpu-int8"):
        _, why = load_executor(bundle, name)
        assert "differ from the stored ones by" in why


def test_after_a_wrong_executor_the_next_one_is_taken_and_the_sentence_says_why(bundle, monkeypatch):
    import vision_banana_ros.generators.executors.tensorrt as tensorrt

    monkeypatch.setattr(tensorrt, "load", lambda bundle, options: Changed(bundle, WRONG["mirrored"][0]))
    generator = load_generator(bundle.path, "tensorrt,onnxruntime:cpu-fp32")
    assert (
        generator.executor == "onnxruntime cpu fp32"
        and ("tensorrt fp32 answers wrongly on this machine") in generator.why
    )
    assert (
        "The executor tensorrt is not used" in generator.faults[0]
        and "answers wrongly" in generator.faults[0]
    )
    with pytest.raises(InputError, match="answers wrongly"):
        load_executor(bundle, "tensorrt")


def test_a_bundle_without_stored_answers_is_taken_with_a_note(bundle, tmp_path):
    path = tmp_path / "old"
    shutil.copytree(bundle.path, path)
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "reference.png").unlink()
    del manifest["files"]["reference.png"], manifest["reference"]
    (path / "manifest.json").write_text(json.dumps(manifest))
    _, why = load_executor(open_bundle(path), "onnxruntime:cpu-fp32")
    assert "stores no answers" in why


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 5.0, -3.0, 1e30])
def test_what_is_no_colour_is_unreadable_and_the_rest_is_read(bundle, value):
    right = on_cpu.load(bundle, ("cpu", "fp32"))

    class Blotched(Changed):
        def answer(self, *given):
            painted = right.answer(*given).copy()
            painted[:, 10:20, 10:30, 1] = value
            return painted

    frame = reference_module.stored_answers(bundle)[0]
    looks = Perceiver(Generator(bundle, Blotched(bundle, None))).look(
        frame, [Question.depth(), Question.normals()]
    )
    for answer in looks:
        assert not answer.confidence[10:20, 10:30].any()
        assert answer.confidence[40:].any()
    assert np.isnan(looks[0].depth_m[10:20, 10:30]).all()


def test_pictures_of_another_size_are_an_error_and_not_cropped():
    with pytest.raises(WrongAnswers, match="in place of"):
        trusted(np.zeros((1, 10, 13, 3), np.float32), 1, (10, 12))
    with pytest.raises(WrongAnswers, match="in place of"):
        trusted(np.zeros((2, 10, 12, 3), np.float32), 1, (10, 12))


def test_the_precision_that_costs_less_is_taken_and_remembered_with_its_figures(bundle, monkeypatch, cache):
    costs = {
        "onnxruntime cpu int8": precision_choice.Cost(0.042, 0.042),
        "onnxruntime cpu fp32": precision_choice.Cost(0.050, 0.088),
    }
    monkeypatch.setattr(precision_choice, "measure", lambda bundle, executor: costs[executor.name])
    executor, why = load_executor(bundle, "onnxruntime:cpu")
    assert (
        executor.name == "onnxruntime cpu int8"
        and ("int8 42 ms (42 ms of all cores), fp32 50 ms (88 ms") in why
    )
    costs["onnxruntime cpu int8"] = precision_choice.Cost(9.0, 9.0)
    executor, why = load_executor(bundle, "onnxruntime:cpu")
    assert executor.name == "onnxruntime cpu int8" and "measured on this machine before" in why
    kept = cache / "vision_banana" / "executors.json"
    for damage in (lambda: kept.write_text('{"a": ['), lambda: os.mkfifo(kept)):  # as if there were none
        kept.unlink()
        damage()
        executor, why = load_executor(bundle, "onnxruntime:cpu")
        assert executor.name == "onnxruntime cpu fp32" and "measured just now" in why


def test_a_cheaper_precision_that_answers_wrongly_here_is_not_taken(bundle, monkeypatch):
    """As int8 on a CPU whose sums of products of 8 bits saturate."""
    right = on_cpu.OnnxRuntimeExecutor.answer

    def answer(self, *given):
        painted = right(self, *given)
        return painted * 0.8 if self.name.endswith("int8") else painted

    monkeypatch.setattr(on_cpu.OnnxRuntimeExecutor, "answer", answer)
    monkeypatch.setattr(
        precision_choice, "measure", lambda bundle, executor: precision_choice.Cost(1e-3, 1e-3)
    )
    executor, why = load_executor(bundle, "onnxruntime:cpu")
    assert executor.name == "onnxruntime cpu fp32"


def test_a_damaged_store_of_answers_is_told(bundle, tmp_path):
    path = tmp_path / "damaged"
    shutil.copytree(bundle.path, path)
    (path / "reference.png").write_bytes(b"no picture")
    renew_manifest(path)
    with pytest.raises(InputError, match="export the bundle again"):
        check_answers(open_bundle(path), on_cpu.load(bundle, ("cpu", "fp32")))
