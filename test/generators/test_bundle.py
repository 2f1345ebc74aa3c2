# SPDX-License-Identifier: Apache-2.0
import json
import os
import shutil

import cv2
import numpy as np
import pytest
from stand_in_editor import EDITOR

from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation.card import write_card
from vision_banana_ros.generators import default_bundle, load_generator, open_bundle
from vision_banana_ros.generators.bundle import add_metrics, renew_manifest
from vision_banana_ros.generators.errors import ExecutorLost
from vision_banana_ros.generators.executors import load_executor
from vision_banana_ros.generators.executors import onnxruntime as on_cpu
from vision_banana_ros.tasks import TASKS, depth, referring, semantic


@pytest.fixture
def bundle(tmp_path):
    return shutil.copytree(default_bundle(), tmp_path / "bundle")


@pytest.fixture(scope="module")
def generator():
    return load_generator(default_bundle())


def change_manifest(bundle, **changes):
    file = bundle / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def frame(generator, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*generator.size, 3), np.uint8)


def test_the_installed_bundle_is_whole_and_says_what_it_is():
    manifest = open_bundle(default_bundle()).manifest
    assert set(manifest.tasks) == set(TASKS)
    assert manifest.licence == "Apache-2.0"
    assert 0 < manifest.depth_range_m[0] < manifest.depth_range_m[1]
    assert len(manifest.legend) > 5
    assert sum(f.stat().st_size for f in default_bundle().iterdir()) < 40 * 2**20


def test_what_is_measured_of_a_copy_of_hard_links_leaves_the_original_as_it_was(bundle, tmp_path):
    """As by `cp -al`: a file that is replaced is another one, and is never half written."""
    shutil.copytree(bundle, tmp_path / "links", copy_function=os.link)
    before = {file.name: file.read_bytes() for file in bundle.iterdir()}
    add_metrics(tmp_path / "links", "elsewhere", {"depth": {"delta1": 0.5}})
    write_card(tmp_path / "links")
    assert open_bundle(tmp_path / "links").metrics["elsewhere"] and open_bundle(bundle)
    assert before == {file.name: file.read_bytes() for file in bundle.iterdir()}


def test_no_bundle_no_manifest(tmp_path):
    with pytest.raises(InputError, match="There is no bundle"):
        open_bundle(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds no manifest\.json"):
        open_bundle(tmp_path)


@pytest.mark.parametrize("graph", ["image.onnx", "text.onnx", "answer.onnx"])
def test_a_missing_a_truncated_and_an_altered_file_are_named(bundle, graph):
    content = (bundle / graph).read_bytes()
    (bundle / graph).write_bytes(content[:-100])
    with pytest.raises(InputError, match=f"{graph}.*cut off or altered"):
        load_generator(bundle)
    (bundle / graph).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InputError, match=f"{graph}.*cut off or altered"):
        load_generator(bundle)
    (bundle / graph).unlink()
    with pytest.raises(InputError, match=f"lacks its file {graph}"):
        load_generator(bundle)


def test_a_graph_that_is_no_graph_is_refused_with_a_sentence(bundle):
    import hashlib

    (bundle / "answer.onnx").write_bytes(b"not a graph")
    files = json.loads((bundle / "manifest.json").read_text())["files"]
    change_manifest(bundle, files={**files, "answer.onnx": hashlib.sha256(b"not a graph").hexdigest()})
    with pytest.raises(InputError, match=r"cannot load answer\.onnx"):
        load_generator(bundle, "onnxruntime:fp32")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"format": 99}, "format 99"),
        ({"size": None}, "cannot be read"),
        ({"legend": {"a": [0, 0, 0], "b": [1, 0, 0]}}, "too near"),
        ({"files": {"../outside": "0"}}, "outside its folder"),
        ({"files": {}}, "lists no image.onnx"),
        ({"instance_taus": {"tau": 14}}, "instance_taus are background_tau, merge_tau, region_tau"),
        ({"instance_taus": {"region_tau": 0}}, "instance_taus are"),
        ({"referring_core": 1}, "referring_core is a confidence"),
        ({"expressions_together": 9}, "expressions_together is a whole number from 1 to 8"),
        ({"depth_focal_px": -1}, "depth_focal_px is a focal length"),
        ({"canvases": [[64]]}, "cannot be read"),
        ({"canvases": [["a", "b"]]}, "cannot be read"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_refused(bundle, changes, sentence):
    change_manifest(bundle, **changes)
    with pytest.raises(InputError, match=sentence):
        open_bundle(bundle)


def test_canvases_are_further_sizes(bundle):
    change_manifest(bundle, canvases=[[48, 128], [96, 64]])
    assert open_bundle(bundle).manifest.canvases == ((48, 128), (96, 64))


def test_a_manifest_that_is_no_json_is_refused(bundle):
    (bundle / "manifest.json").write_text("{")
    with pytest.raises(InputError, match="JSON"):
        open_bundle(bundle)


def test_an_unknown_executor_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="onnxruntime"):
        load_generator(default_bundle(), executor="abacus")


def test_it_paints_one_picture_an_instruction_and_the_instruction_decides(generator):
    asked = [
        depth.instruction(),
        semantic.instruction(generator.manifest.legend),
        referring.instruction("a box", "red"),
    ]
    painted = generator.paint(frame(generator), asked)
    assert painted.shape == (3, *generator.size, 3)
    assert painted.dtype == np.float32
    assert painted.min() >= 0 and painted.max() <= 1
    assert np.abs(painted[0] - painted[1]).mean() > 0.05


def test_an_answer_depends_neither_on_its_neighbours_nor_on_the_run(generator):
    asked = [depth.instruction(), referring.instruction("a box", "red")]
    both = generator.paint(frame(generator), asked)
    np.testing.assert_array_equal(both, generator.paint(frame(generator), asked))
    alone = generator.paint(frame(generator), asked[1:])
    np.testing.assert_allclose(both[1:], alone, atol=1e-4)


@pytest.mark.parametrize("shape", [(10, 10, 3), (144, 192), (144, 192, 4)])
def test_frames_of_other_shapes_are_refused(generator, shape):
    with pytest.raises(InputError, match="uint8 frames of shape"):
        generator.paint(np.zeros(shape, np.uint8), [depth.instruction()])
    with pytest.raises(InputError, match="float64"):
        generator.paint(np.zeros((*generator.size, 3)), [depth.instruction()])


def test_nothing_asked_and_nothing_said_are_refused(generator):
    with pytest.raises(InputError, match="at least one"):
        generator.paint(frame(generator), [])
    with pytest.raises(InputError, match="empty"):
        generator.prepare("")


@pytest.mark.parametrize(
    "changes",
    [
        {"size": [0, 192]},
        {"size": [-144, 192]},
        {"size": [144, 10**6]},
        {"size": ["144", 192]},
        {"size": [True, 192]},
        {"size": [144.5, 192]},
        {"size": 144},
        {"steps": 0},
        {"steps": 10**9},
        {"steps": None},
        {"depth_range_m": [20.0, 0.2]},
        {"depth_range_m": [-1.0, 20.0]},
        {"depth_range_m": [1.0, 1e30]},
        {"depth_range_m": {"near": 1}},
        {"text_length": -1},
        {"text_length": 10**9},
        {"tasks": "depth"},
        {"tasks": [["depth"]]},
        {"files": ["image.onnx"]},
        {"files": {"image.onnx": None}},
        {"legend": [1, 2]},
        {"legend": {"wall": "no colour"}},
        {"network": 3},
        {"made": "by hand"},
        {"made": {"by": "\x1b[2J"}},
        {"made": {"by": "x" * 100_000}},
        {"made": {"x" * 1000: 1}},
        {"made": {"a": {"b": [[[[[[[[[[[1]]]]]]]]]]]}}},
        {"backbone": 3},
        {"backbone": {"graphs": []}},
        {"backbone": {"family": "flux2_klein"}},
        *(
            {"backbone": {**EDITOR, **change}}
            for change in (
                {"encoder": {"files": {}}},
                {"guidance": "strong"},
                {"schedule": [["a"]]},
                {"schedule": [[1.0]] * 100_000},
                {"latents": [10**12]},
                {"prompt": {"text": "x"}},
                {"words": {"depth": [1]}},
            )
        ),
        {"reference": "a text"},
        {"instance_taus": [1]},
        {"depth_focal_px": [5]},
        {"canvases": [[0, 192]]},
        {"canvases": [[144.5, 192]]},
        {"canvases": ["ab"]},
        {"canvases": {"144": 192}},
        {"canvases": [[144, 192]] * 1000},
        {"name": "\x1b[2J"},
        {"name": ["a"]},
        {"description": "x" * 10_000},
        {"licence": None},
    ],
    ids=str,
)
def test_what_cannot_be_in_a_manifest_is_a_sentence(bundle, changes):
    change_manifest(bundle, **changes)
    with pytest.raises(InputError):
        open_bundle(bundle)


def test_an_editor_is_described_by_its_manifest(bundle):
    change_manifest(bundle, backbone=EDITOR)
    assert open_bundle(bundle).editor_runner == "torch"


@pytest.mark.parametrize("field", ["depth_range_m", "depth_focal_px", "referring_core"])
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(bundle, field, number):
    file = bundle / "manifest.json"
    value = json.loads(file.read_text())[field]
    text = json.dumps({**json.loads(file.read_text()), field: ["@", "@"] if isinstance(value, list) else "@"})
    file.write_text(text.replace('"@"', number))
    with pytest.raises(InputError):
        open_bundle(bundle)


def test_a_graph_that_is_exchanged_after_the_check_is_not_loaded(bundle):
    opened = open_bundle(bundle)
    shutil.copy(bundle / "text.onnx", bundle / "answer.onnx")
    with pytest.raises(InputError, match=r"answer\.onnx.*cut off or altered"):
        load_executor(opened, "onnxruntime:cpu-fp32")


def test_a_pipe_in_place_of_a_file_is_refused_and_not_waited_for(bundle):
    for name in ("text.onnx", "manifest.json"):
        (bundle / name).unlink()
        os.mkfifo(bundle / name)
        with pytest.raises(InputError):
            open_bundle(bundle)


def test_a_graph_that_does_not_end_is_interrupted(bundle, monkeypatch):
    monkeypatch.setitem(on_cpu.LONGEST_RUN_S, "cpu", 1e-4)
    # While it is loaded it answers the stored frame: where that is interrupted already, the bundle is
    # refused.
    with pytest.raises((ExecutorLost, InputError), match="did not end within"):
        for seed in range(50):  # a run that ended before it was looked at is none that hangs
            loaded = load_generator(bundle, "onnxruntime:cpu-fp32")
            loaded.paint(frame(loaded, seed), [depth.instruction()] * 8)


def test_a_graph_in_place_of_another_is_refused_with_a_sentence(bundle):
    shutil.copy(bundle / "image.onnx", bundle / "answer.onnx")
    renew_manifest(bundle)
    with pytest.raises(InputError, match="export"):
        load_generator(bundle, "onnxruntime:cpu-fp32")


def test_a_stored_picture_that_is_a_bomb_is_refused_with_a_sentence(bundle):
    ok, data = cv2.imencode(".png", np.zeros((6000, 6000), np.uint8))
    (bundle / "reference.png").write_bytes(data.tobytes())
    renew_manifest(bundle)
    with pytest.raises(InputError, match=r"reference\.png.*export the bundle again"):
        load_generator(bundle, "onnxruntime:cpu-fp32")
