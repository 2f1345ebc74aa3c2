# SPDX-License-Identifier: Apache-2.0
"""Builds run in a process of their own, tell how far they are, and leave nothing behind that could be
mistaken for an engine."""

import json
import subprocess
import time
from pathlib import Path

import pytest
from patience import PATIENCE_S

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.engines import EngineState, engine_state, start_build
from vision_banana_ros.generators.engines.cache import EngineCache
from vision_banana_ros.generators.engines.errors import BuildOutOfMemory
from vision_banana_ros.generators.engines.library import Progress, compile_graph, open_library, options
from vision_banana_ros.generators.engines.recipe import graphs

GENERATIONS = ("10.9.0.34", "11.4.1.5")


@pytest.fixture
def record(monkeypatch, tmp_path):
    """What was built, one dict an engine, by whichever process."""
    path = tmp_path / "builds"
    monkeypatch.setenv("STAND_IN_RECORD", str(path))
    return lambda: [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.parametrize("version", GENERATIONS)
def test_both_generations_build_strongly_typed_without_precision_flags(machine, bundle, record, version):
    machine.install(version)
    machine.build()
    machine.build("tf32")
    built = record()
    assert [b["strongly_typed"] for b in built] == [True] * 2 * len(graphs(bundle))
    assert [b["flags"] for b in built] == [[]] * len(graphs(bundle)) + [["TF32"]] * len(graphs(bundle))
    assert {b["version"] for b in built} == {version}


def test_the_stand_in_has_nothing_that_tensorrt_11_removed(machine):
    """Or the test above would prove nothing."""
    trt = open_library("tensorrt").trt
    assert not hasattr(trt.BuilderFlag, "FP16") and not hasattr(
        trt.NetworkDefinitionCreationFlag, "EXPLICIT_BATCH"
    )
    with pytest.raises(AttributeError):
        trt.Builder(None).create_builder_config().int8_calibrator = None


def test_a_build_tells_how_far_it_is_and_ends_ready(machine, bundle, record, monkeypatch):
    monkeypatch.setenv("STAND_IN_STEP_S", "0.01")
    build = start_build(bundle, "tensorrt")
    seen = _watch(build)
    percents = [state.percent for state in seen if state.name == "building"]
    assert percents == sorted(percents) and len(set(percents)) > 5
    assert any(state.remaining_s is not None for state in seen)
    assert str(seen[-1]) == "ready"
    assert len(record()) == len(graphs(bundle))
    assert start_build(bundle, "tensorrt").wait(PATIENCE_S) == EngineState("ready")
    assert len(record()) == len(graphs(bundle))  # what is there is not built again


def test_two_builds_at_once_build_each_engine_once(machine, bundle, record, monkeypatch):
    monkeypatch.setenv("STAND_IN_STEP_S", "0.01")
    builds = [start_build(bundle, "tensorrt") for _ in range(2)]
    assert [build.wait(PATIENCE_S).name for build in builds] == ["ready"] * 2
    assert len(record()) == len(graphs(bundle))


def test_others_see_a_build_and_that_it_was_killed_and_the_next_one_goes_on(
    machine, bundle, record, monkeypatch
):
    monkeypatch.setenv("STAND_IN_STEP_S", "0.03")
    build = start_build(bundle, "tensorrt")
    _until(lambda: engine_state(bundle, "tensorrt").percent > 0)
    build.cancel()
    state = engine_state(bundle, "tensorrt")
    assert state.name == "missing" and "was ended at" in state.why
    ended = build.poll()
    assert (
        ended.name == "refused" and "killed, most likely because the machine ran out of memory" in ended.why
    )
    monkeypatch.setenv("STAND_IN_STEP_S", "0")
    finished = len(EngineCache().entries())
    before = len(record())
    assert start_build(bundle, "tensorrt").wait(PATIENCE_S).name == "ready"
    assert len(record()) - before == len(graphs(bundle)) - finished


def test_a_build_that_the_kernel_kills_is_reported(machine, bundle, monkeypatch):
    monkeypatch.setenv("STAND_IN_FAILS", "killed")
    state = start_build(bundle, "tensorrt").wait(PATIENCE_S)
    assert state.name == "refused" and "out of memory" in state.why
    assert EngineCache().entries() == []


@pytest.mark.parametrize(
    ("fails", "words"), [("memory", "too little memory"), ("refuses", "cannot build .*conv2d.*onnxruntime")]
)
def test_a_failure_is_a_sentence_and_stays_until_the_next_build(machine, bundle, monkeypatch, fails, words):
    monkeypatch.setenv("STAND_IN_FAILS", fails)
    with pytest.raises(BuildOutOfMemory if fails == "memory" else InputError, match=words):
        machine.build()
    state = engine_state(bundle, "tensorrt")
    assert state.name == "refused" and "the last build failed" in state.why
    monkeypatch.delenv("STAND_IN_FAILS")
    machine.build()
    assert engine_state(bundle, "tensorrt").name == "ready"


def test_an_altered_engine_is_built_again(machine, bundle, engine_files):
    cache = machine.build()
    recipe = machine.recipes()[1]
    file = engine_files(cache, recipe).engine
    good = file.read_bytes()
    file.write_bytes(good[:-1] + b"?")
    machine.build()
    assert cache.load(recipe) == good


def test_an_operator_that_is_not_supported_is_named(machine, bundle, tmp_path):
    graph = tmp_path / "odd.onnx"
    graph.write_bytes(
        (bundle.path / "text.onnx").read_bytes().replace(b"LayerNormalization", b"LayerNormalizatiox")
    )
    library = open_library("tensorrt")
    with pytest.raises(
        InputError, match="cannot read odd.onnx .operator LayerNormalizatiox.*export the bundle again"
    ):
        compile_graph(library, graph, {}, options(library, "fp32"), "", lambda fraction: None)


def test_an_open_dimension_that_nobody_knows_is_named(machine, bundle):
    library = open_library("tensorrt")
    with pytest.raises(InputError, match="leaves the dimension 'questions' open"):
        compile_graph(library, bundle.path / "text.onnx", {}, {}, "", lambda fraction: None)


def test_without_a_gpu_the_builder_says_so(machine, bundle, monkeypatch):
    monkeypatch.setenv("STAND_IN_NO_GPU", "1")
    with pytest.raises(InputError, match="does not start .*builds only where its GPU and driver are"):
        compile_graph(open_library("tensorrt"), bundle.path / "text.onnx", {}, {}, "", lambda fraction: None)


def test_a_build_ends_with_the_process_that_started_it(machine, bundle, monkeypatch, record):
    monkeypatch.setenv("STAND_IN_STEP_S", "5")
    build = start_build(bundle, "tensorrt")
    _until(record)
    process = Path(f"/proc/{record()[0]['pid']}")
    assert process.exists()
    build.process.stdin.close()  # what the end of this process would do
    build.process.wait(PATIENCE_S)
    assert not process.exists()


def test_progress_only_grows_and_survives_names_that_come_back():
    told: list[float] = []
    progress = Progress(told.append)
    progress.start("all", None, 2)
    for _ in range(2):
        progress.start("part", "all", 4)
        for step in range(4):
            progress.start("part", "part", 2)  # a phase under another of its name
            progress.step("part", step)
        progress.finish("part")
        progress.step("all", 0)
    progress.finish("nobody started this")
    progress.finish("all")
    assert told == sorted(told) and told[-1] == 1


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (EngineState("missing"), "missing"),
        (EngineState("building", 40), "building 40 %"),
        (EngineState("building", 40, 30), "building 40 %, about 30 s left"),
        (EngineState("building", 40, 600), "building 40 %, about 10 min left"),
        (EngineState("ready"), "ready"),
        (EngineState("refused", why="no GPU"), "refused (no GPU)"),
    ],
)
def test_a_state_reads_as_words(state, words):
    assert str(state) == words


def _watch(build):
    seen = []
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        ended = build.ended
        seen.append(build.poll())
        if ended:
            return seen
        time.sleep(0.02)
    build.cancel()
    raise AssertionError(f"The build did not end: {seen[-1]}")


def _until(condition):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_builder_refuses_in_one_line(machine, bundle, monkeypatch):
    monkeypatch.setenv("STAND_IN_NO_GPU", "1")
    command = start_build(bundle, "tensorrt").process.args
    done = subprocess.run(command, stdin=subprocess.PIPE, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode in (2, 3) and "Traceback" not in done.stderr
