# SPDX-License-Identifier: Apache-2.0
"""Measuring executors against each other: each in a process of its own, all taking turns."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from vision_banana_ros.errors import InputError, shortened
from vision_banana_ros.evaluation.plain_torch import PLAIN, PlainTorch, load_plain
from vision_banana_ros.generators import Generator, load_generator
from vision_banana_ros.perception import Perceiver, Question
from vision_banana_ros.tasks import TASKS
from vision_banana_ros.tasks.answer_format import AnswerFormat
from vision_banana_ros.tasks.colors import Legend

WARM_UP = 5
REFERRED = ("the door", "the floor", "a person", "the red box", "the chair on the left")
MOST_QUESTIONS = 3 + len(REFERRED)
#: What the others are compared with, where it was measured, too: the field of a row, and how the other's name
#: begins.
COMPARED = {"times_plain_torch": PLAIN, "times_torch_eager": "torch eager"}


def measure(
    bundle: Path, executors: list[str], asked: list[tuple[int, int]], frame: tuple[int, int], runs: int
) -> Iterator[dict[str, Any]]:
    """Measures executors in turns.

    A frame is letterboxed, painted, decoded and resized to its own resolution. With several cameras a turn
    consists of one frame per camera, and times are those of the whole turn.

    Args:
        bundle: The bundle's folder.
        executors: Names of the executors.
        asked: Pairs of the number of prompts per frame and of cameras.
        frame: Height and width of the camera's images.
        runs: Measured turns, after `WARM_UP` others.

    Yields:
        One row per pair and executor: p50 and p99 in milliseconds of inference and of the whole frame, CPU
        time of both, memory and energy. `times_plain_torch` and `times_torch_eager` are the speed-ups over
        these baselines: by the medians of a frame, of inference, and by the CPU time of a frame, which
        depends less on other load. An executor that is not available is a row with "refused".
    """
    started = [_Runner(bundle, executor, frame) for executor in executors]
    try:
        for runner in started:
            runner.wait()
        ready = [runner for runner in started if "refused" not in runner.about]
        for questions, cameras in asked:
            turns: list[list[tuple[float, ...]]] = [[] for _ in ready]
            for i in range(WARM_UP + runs):
                for runner, times in zip(ready, turns, strict=True):
                    taken = runner.ask((questions, cameras))
                    if i >= WARM_UP:
                        times.append(taken)
            rows = [
                _row(runner, questions, cameras, times) for runner, times in zip(ready, turns, strict=True)
            ]
            add_speedups(rows)
            yield from rows
        yield from (runner.about for runner in started if runner not in ready)
    finally:
        for runner in started:
            runner.end()


def _row(runner: "_Runner", questions: int, cameras: int, times: list[tuple[float, ...]]) -> dict[str, Any]:
    paint, frame, paint_cpu, frame_cpu, energy = (1000 * np.array(times)).T
    return {
        **runner.about,
        "questions": questions,
        "cameras": cameras,
        "paint_ms": _percentiles(paint),
        "frame_ms": _percentiles(frame),
        "frames_per_s": round(cameras * 1000 / float(np.median(frame)), 2),
        "paint_cpu_ms": round(float(np.median(paint_cpu)), 2),
        "frame_cpu_ms": round(float(np.median(frame_cpu)), 2),
        **runner.ask("memory"),
        "joule_a_frame": round(float(np.mean(energy)) / 1000, 4) if np.isfinite(energy).all() else None,
        **dict.fromkeys(COMPARED),
    }


def add_speedups(rows: list[dict[str, Any]]) -> None:
    """How many times faster than each of COMPARED the rows are."""
    for field, name in COMPARED.items():
        base = next(
            (row for row in rows if row["executor"].startswith(name) and row["executor"].endswith("fp32")),
            None,
        )
        if base is None:
            continue
        for row in rows:
            row[field] = {
                "frame": round(base["frame_ms"]["p50"] / row["frame_ms"]["p50"], 2),
                "paint": round(base["paint_ms"]["p50"] / row["paint_ms"]["p50"], 2),
                "cpu": round(base["frame_cpu_ms"] / row["frame_cpu_ms"], 2),
            }


def questions_of(legend: Legend, count: int, tasks: Sequence[str] = tuple(TASKS)) -> list[Question]:
    """Depth, normals, semantic, and then things to look for, as far as `tasks` has them."""
    referred = [Question.referring(expression, "red") for expression in REFERRED]
    wanted = [Question.depth(), Question.normals(), Question.semantic(legend), *referred]
    return [question for question in wanted if question.task in tasks][:count]


@dataclass(frozen=True)
class _Failed:
    """What a process sends that cannot go on. why: what was raised there."""

    why: str


class _Runner:
    """One executor in its process. `about`: its name and size, or why it is refused."""

    def __init__(self, bundle: Path, executor: str, frame: tuple[int, int]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, bundle, executor, frame), daemon=True)
        self._process.start()
        theirs.close()
        self.about: dict[str, Any] = {"executor": executor}

    def wait(self) -> None:
        """Until the executor is loaded."""
        self.about |= self._receive()

    def ask(self, what: Any) -> Any:
        with suppress(OSError):  # `_receive` says so
            self._pipe.send(what)
        return self._receive()

    def end(self) -> None:
        self._pipe.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()

    def _receive(self) -> Any:
        try:
            received = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise InputError(
                f"The process of {self.about['executor']} died: is there enough memory for all executors?"
            ) from error
        if isinstance(received, _Failed):
            raise InputError(f"{self.about['executor']} failed while it was measured ({received.why}).")
        return received


def _percentiles(values_ms: np.ndarray) -> dict[str, float]:
    return {f"p{p}": round(float(np.percentile(values_ms, p)), 2) for p in (50, 99)}


def _serve(pipe: Connection, bundle: Path, executor: str, frame: tuple[int, int]) -> None:
    """The executor's process: load, then a turn whenever asked, until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the one that asks ends it
    try:
        generator = load_plain(bundle) if executor == PLAIN else load_generator(bundle, executor)
    except Exception as error:  # libraries raise what they like; the sentence is shown by the one that asks
        pipe.send({"refused": str(error) if isinstance(error, InputError) else _said(error)})
        return
    try:
        _take_turns(pipe, generator, frame)
    except Exception as error:
        with suppress(OSError):
            pipe.send(_Failed(_said(error)))


def _said(error: Exception) -> str:
    return shortened(f"{type(error).__name__}: {error}")


def _take_turns(pipe: Connection, generator: Generator | PlainTorch, frame: tuple[int, int]) -> None:
    height, width = generator.size
    painter, meter = _Timed(generator), _Meter()
    perceiver = Perceiver(painter)
    pipe.send({"executor": generator.executor, "size": f"{width}x{height}"})
    while True:
        try:
            what = pipe.recv()
        except (EOFError, OSError):
            return
        if what == "memory":
            pipe.send({"rss_mib": _rss_mib(), "gpu_mib": meter.memory_mib()})
            continue
        asked = questions_of(generator.manifest.legend, what[0], generator.tasks)
        images = [np.random.default_rng(i).integers(0, 256, (*frame, 3), np.uint8) for i in range(what[1])]
        painter.clock_s = painter.cpu_s = 0.0
        joule, cpu, start = meter.joule(), time.process_time(), time.perf_counter()
        for image in images:
            perceiver.look(image, asked)
        frame_s, frame_cpu_s = time.perf_counter() - start, time.process_time() - cpu
        pipe.send(
            (painter.clock_s, frame_s, painter.cpu_s, frame_cpu_s, (meter.joule() - joule) / len(images))
        )


def _rss_mib() -> float:
    return round(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


class _Timed:
    """A generator that adds up what painting takes, and decoding where that is done on the device."""

    def __init__(self, generator: Generator | PlainTorch) -> None:
        self._generator = generator
        self._answer = self._painted if isinstance(generator, PlainTorch) else generator.answer
        self.clock_s = self.cpu_s = 0.0

    @property
    def size(self) -> tuple[int, int]:
        return self._generator.size

    @property
    def manifest(self) -> AnswerFormat:
        return self._generator.manifest

    def paint(self, image: np.ndarray, instructions: Sequence[str]) -> np.ndarray:
        return self._generator.paint(image, instructions)

    def answer(self, image: np.ndarray, questions: Sequence[Question]) -> list[Any]:
        start, cpu = time.perf_counter(), time.process_time()
        answers = self._answer(image, questions)
        self.clock_s += time.perf_counter() - start
        self.cpu_s += time.process_time() - cpu
        return answers

    def _painted(self, image: np.ndarray, questions: Sequence[Question]) -> list[Any]:
        return list(self._generator.paint(image, [question.instruction for question in questions]))


class _Meter:
    """Energy and memory of the first GPU, where NVML (the package nvidia-ml-py) gives them."""

    def __init__(self) -> None:
        try:
            import pynvml

            pynvml.nvmlInit()
            self._nvml, self._device = pynvml, pynvml.nvmlDeviceGetHandleByIndex(0)
        except Exception:  # no package, no driver, no GPU: nothing to meter
            self._nvml = None

    def joule(self) -> float:
        """Since the driver was loaded; NaN where it is not known."""
        if self._nvml is None:
            return float("nan")
        try:
            return self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._device) / 1000
        except self._nvml.NVMLError:
            return float("nan")

    def memory_mib(self) -> float | None:
        """What this process holds on the GPU."""
        if self._nvml is None:
            return None
        mine = [
            p for p in self._nvml.nvmlDeviceGetComputeRunningProcesses(self._device) if p.pid == os.getpid()
        ]
        return round(mine[0].usedGpuMemory / 2**20, 1) if mine and mine[0].usedGpuMemory else None
