# SPDX-License-Identifier: Apache-2.0
"""The path over the GPU, on stand-ins that do nothing before they are waited for: same answers, one graph,
no silent death."""

import numpy as np
import pytest

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators import load_generator
from vision_banana_ros.generators.engines import EngineMissing, cuda_graph
from vision_banana_ros.generators.errors import ExecutorLost
from vision_banana_ros.generators.executors import onnxruntime, tensorrt
from vision_banana_ros.generators.executors.fallback import FallbackExecutor
from vision_banana_ros.generators.generator import Generator
from vision_banana_ros.generators.own.device_decode import DECODE_GRAPHS, OUTPUTS, as_answer, decode_inputs
from vision_banana_ros.perception import Question

GENERATIONS = ("10.9.0.34", "11.4.1.5")
QUESTIONS = ["depth", "surface normals", "floor: red, wall: blue"]


@pytest.fixture
def frames(bundle):
    return np.random.default_rng(1).integers(0, 255, (3, *bundle.manifest.size, 3), np.uint8)


@pytest.fixture
def ready(machine, bundle):
    machine.build()
    machine.cuda.calls.clear()
    return machine


@pytest.mark.parametrize("version", GENERATIONS)
def test_answers_are_those_of_onnxruntime_for_any_number_of_questions(machine, bundle, frames, version):
    machine.install(version)
    machine.build()
    plain = load_generator(bundle.path, "onnxruntime:fp32")
    fast = load_generator(bundle.path, "tensorrt")
    assert fast.executor == "tensorrt fp32"
    many = [f"the thing with number {i}" for i in range(9)]  # more than an engine takes at once
    asks = [(frames[0], QUESTIONS), (frames[1], QUESTIONS[:1]), (frames[2], QUESTIONS)]
    for frame, asked in asks + [(frames[2], many)] * (version == GENERATIONS[0]):
        np.testing.assert_allclose(fast.paint(frame, asked), plain.paint(frame, asked), atol=1e-4)


def test_a_frame_is_one_copy_in_one_graph_one_copy_out(ready, bundle, frames):
    generator = load_generator(bundle.path, "tensorrt")
    generator.paint(frames[0], QUESTIONS)
    assert generator.loaded_executor.captured(3)
    ready.cuda.calls.clear()
    generator.paint(frames[1], QUESTIONS)
    assert ready.cuda.calls == [
        "copy in",
        "cudaGraphLaunch",
        "copy out",
        "cudaEventRecord",
        "cudaEventSynchronize",
    ]


def test_two_frames_can_be_under_way_and_answers_stay_as_they_are(ready, bundle, frames):
    generator = load_generator(bundle.path, "tensorrt")
    executor = generator.loaded_executor
    text, mask = (
        np.stack(parts) for parts in zip(*(generator.encoded(q) for q in QUESTIONS[:1]), strict=True)
    )
    alone = [executor.answer([frame], text, mask) for frame in frames]
    tickets = [executor.submit(frame, text, mask) for frame in frames]  # one more than there are buffers
    for ticket, expected in zip(tickets, alone, strict=True):
        np.testing.assert_array_equal(ticket.result()["rgb"], expected)
    assert not np.array_equal(alone[0], alone[1])


def test_numbers_leave_the_gpu_where_the_bundle_has_decoders(ready, bundle, frames):
    if DECODE_GRAPHS["semantic"] not in bundle.manifest.files:
        pytest.skip("the installed bundle was exported before there were decode graphs")
    questions = [
        Question.semantic({"floor": (255, 0, 0), "wall": (0, 0, 255)}),
        Question.depth(),
        Question.normals(),
    ]
    questions += [Question.referring("the red box", "white"), Question.instances("chair")]
    asked = [(q.task, decode_inputs(q.task, q.legend, q.color)) for q in questions]
    generator = load_generator(bundle.path, "tensorrt")
    executor = generator.loaded_executor
    text, mask = (
        np.stack(parts) for parts in zip(*(generator.encoded(q.instruction) for q in questions), strict=True)
    )
    for some in (slice(0, 5), slice(1, 3)):
        pictures = executor.answer([frames[0]], text[some], mask[some])
        ready.cuda.calls.clear()
        answers = executor.read([frames[0]], text[some], mask[some], asked[some])
        assert executor.captured(len(text[some]))
        for question, picture, outputs in zip(questions[some], pictures, answers, strict=True):
            if question.task == "instances":
                np.testing.assert_array_equal(outputs[0], picture)
                continue
            got, expected = as_answer(question.task, outputs), question.read(picture)
            for name in OUTPUTS[question.task]:
                np.testing.assert_allclose(getattr(got, name), getattr(expected, name), rtol=1e-4, atol=1e-4)


def test_programs_that_are_no_longer_used_are_freed(ready, bundle, frames, monkeypatch):
    monkeypatch.setattr(cuda_graph, "PROGRAMS_KEPT", 2)
    generator = load_generator(bundle.path, "tensorrt")
    executor = generator.loaded_executor
    text, mask = (np.stack(parts) for parts in zip(*[generator.encoded("depth")] * 8, strict=True))
    pending = executor.submit(frames[0], text[:1], mask[:1])
    executor.answer([frames[0]], text[:2], mask[:2])
    before = ready.cuda.allocated()
    # in place of the first, whose answer has not been taken yet
    executor.answer([frames[0]], text[:3], mask[:3])
    assert ready.cuda.allocated() == before
    np.testing.assert_array_equal(pending.result()["rgb"], executor.answer([frames[0]], text[:1], mask[:1]))


def test_everything_is_freed(ready, bundle, frames):
    generator = load_generator(bundle.path, "tensorrt")
    generator.paint(frames[0], QUESTIONS)
    assert ready.cuda.allocated() > 0
    generator.loaded_executor.close()
    assert ready.cuda.allocated() == 0
    with pytest.raises(ExecutorLost, match="was closed"):
        generator.paint(frames[0], QUESTIONS)


def test_what_cannot_be_captured_runs_without_a_graph(ready, bundle, frames):
    expected = load_generator(bundle.path, "tensorrt").paint(frames[0], QUESTIONS[:1])
    generator = load_generator(bundle.path, "tensorrt")
    generator.prepare(QUESTIONS[0])
    ready.cuda.fail_with["cudaGraphInstantiate"] = ready.cuda.cudaError_t.cudaErrorStreamCaptureUnsupported
    np.testing.assert_array_equal(generator.paint(frames[0], QUESTIONS[:1]), expected)
    assert not generator.loaded_executor.captured(1)


def test_an_answer_that_nobody_took_is_lost_with_its_executor(ready, bundle, frames):
    generator = load_generator(bundle.path, "tensorrt")
    text, mask = (part[None] for part in generator.encoded("depth"))
    ticket = generator.loaded_executor.submit(frames[0], text, mask)
    generator.loaded_executor.close()
    with pytest.raises(cuda_graph.EngineError, match="before the executor was closed"):
        ticket.result()


def test_without_engines_it_says_what_to_run(machine, bundle):
    with pytest.raises(
        EngineMissing, match="vision-banana engine build .* --executor tensorrt --precision fp32"
    ):
        tensorrt.load(bundle)
    with pytest.raises(InputError, match="has no option 'fp12': give fp32 or tf32"):
        tensorrt.load(bundle, ("fp12",))


def test_an_engine_that_tensorrt_does_not_take_is_refused(ready, bundle):
    cache = ready.build()
    cache.store(ready.recipes()[2], b"not an engine", 1)
    with pytest.raises(InputError, match="cannot load the engine of answer.onnx.*build its engines again"):
        tensorrt.load(bundle)
    assert ready.cuda.allocated() == 0


def test_too_little_memory_at_the_start_is_a_sentence(ready, bundle):
    ready.cuda.fail_with["cudaStreamCreateWithFlags"] = ready.cuda.cudaError_t.cudaErrorMemoryAllocation
    with pytest.raises(InputError, match="cannot start on Stand-in GPU.*end other programs"):
        tensorrt.load(bundle)
    assert ready.cuda.allocated() == 0


@pytest.mark.parametrize("call", ["cudaMalloc", "cudaHostAlloc"])
def test_too_little_memory_for_the_first_answer_is_a_sentence(ready, bundle, frames, call):
    generator = load_generator(bundle.path, "tensorrt")
    ready.cuda.fail_with[call] = ready.cuda.cudaError_t.cudaErrorMemoryAllocation
    with pytest.raises(ExecutorLost, match="ran out of memory"):
        generator.paint(frames[0], QUESTIONS)
    assert ready.cuda.allocated() == 0


FAILURES = [
    ("cudaGraphLaunch", "cudaErrorMemoryAllocation", "ran out of memory"),
    ("copy in", "cudaErrorIllegalAddress", "its GPU failed"),
    ("cudaEventSynchronize", "cudaErrorIllegalAddress", "its GPU failed"),
]


@pytest.mark.parametrize(("call", "error", "words"), FAILURES)
def test_a_gpu_that_fails_while_serving_says_so_and_frees_everything(
    ready, bundle, frames, call, error, words
):
    generator = load_generator(bundle.path, "tensorrt")
    generator.paint(frames[0], QUESTIONS[:1])
    ready.cuda.fail_with[call] = ready.cuda.cudaError_t[error]
    with pytest.raises(ExecutorLost, match=words):
        generator.paint(frames[0], QUESTIONS[:1])
    assert ready.cuda.allocated() == 0


@pytest.mark.parametrize(("call", "error", "words"), FAILURES)
def test_another_executor_answers_the_frame_in_hand(ready, bundle, frames, call, error, words):
    told: list[str] = []
    plain = onnxruntime.load(bundle, ("fp32",))
    generator = Generator(bundle, FallbackExecutor(tensorrt.load(bundle), lambda: plain, told.append))
    expected = generator.paint(frames[0], QUESTIONS[:1])
    assert generator.executor == "tensorrt fp32"
    ready.cuda.fail_with[call] = ready.cuda.cudaError_t[error]
    np.testing.assert_allclose(generator.paint(frames[0], QUESTIONS[:1]), expected, atol=1e-4)
    assert generator.executor == plain.name
    assert len(told) == 1 and words in told[0] and "answers" in told[0]
    np.testing.assert_allclose(
        generator.paint(frames[1], QUESTIONS[:1]),
        Generator(bundle, plain).paint(frames[1], QUESTIONS[:1]),
        atol=1e-4,
    )
    assert len(told) == 1


def test_pictures_come_from_an_executor_that_cannot_decode(ready, bundle, frames):
    plain = onnxruntime.load(bundle, ("fp32",))
    executor = FallbackExecutor(tensorrt.load(bundle), lambda: plain, print)
    generator = Generator(bundle, executor)
    text, mask = (
        np.stack(parts) for parts in zip(*(generator.encoded(q) for q in QUESTIONS[:2]), strict=True)
    )
    features = executor.encode_image(frames[0])
    # one colour too many for the engine
    asked = [("depth", {}), ("semantic", {"palette": np.full((65, 3), 1e6, np.float32)})]
    outputs = executor.read(features, text, mask, asked)
    assert executor.decodes and [len(each) for each in outputs] == [2, 1]
    ready.cuda.fail_with["copy out"] = ready.cuda.cudaError_t.cudaErrorMemoryAllocation
    pictures = executor.read(features, text, mask, asked)
    assert not executor.decodes and [len(each) for each in pictures] == [1, 1]
    np.testing.assert_allclose(pictures[1][0], outputs[1][0], atol=1e-4)
    np.testing.assert_allclose(pictures, executor.read(features, text, mask, asked), atol=1e-6)


def test_with_nothing_to_fall_back_on_both_reasons_are_given(ready, bundle, frames):
    def none():
        raise InputError("There is no other.")

    generator = Generator(bundle, FallbackExecutor(tensorrt.load(bundle), none, print))
    ready.cuda.fail_with["copy in"] = ready.cuda.cudaError_t.cudaErrorMemoryAllocation
    with pytest.raises(ExecutorLost, match="ran out of memory.*There is no other"):
        generator.paint(frames[0], QUESTIONS)


def test_the_name_of_an_executor_that_needs_a_gpu_says_what_is_missing(machine, bundle, monkeypatch):
    monkeypatch.setenv("STAND_IN_NO_GPU", "1")
    with pytest.raises(InputError, match="no GPU that CUDA can use"):
        tensorrt.load(bundle)


@pytest.mark.parametrize("capturable", [True, False])
def test_tensorrt_rtx_compiles_at_once_and_is_captured_where_it_can_be(
    machine, bundle, frames, monkeypatch, capturable
):
    machine.install_rtx()
    machine.build(executor="tensorrt_rtx")
    if not capturable:
        monkeypatch.setenv("STAND_IN_NOT_CAPTURABLE", "1")
    generator = load_generator(bundle.path, "tensorrt_rtx")
    expected = load_generator(bundle.path, "onnxruntime:cpu-fp32").paint(frames[0], QUESTIONS[:2])
    for _ in range(2):
        np.testing.assert_allclose(generator.paint(frames[0], QUESTIONS[:2]), expected, atol=1e-4)
    assert generator.loaded_executor.captured(2) is capturable  # lazily compiled engines are never capturable


def test_tensorrt_rtx_builds_for_any_gpu_but_turing(machine, monkeypatch):
    rtx = machine.install_rtx()
    monkeypatch.setenv("STAND_IN_NO_GPU", "1")
    machine.build(executor="tensorrt_rtx")
    anywhere = {recipe.key for recipe in machine.recipes(executor="tensorrt_rtx")}
    assert rtx.built_for == [[]] * len(anywhere)
    monkeypatch.delenv("STAND_IN_NO_GPU")
    machine.set_gpu(minor=6)
    assert {recipe.key for recipe in machine.recipes(executor="tensorrt_rtx")} == anywhere
    machine.set_gpu(major=7, minor=5)
    turing = machine.recipes(executor="tensorrt_rtx")
    assert not anywhere & {recipe.key for recipe in turing}
    machine.build(executor="tensorrt_rtx")
    assert rtx.built_for[-1] == ["SM75"]
