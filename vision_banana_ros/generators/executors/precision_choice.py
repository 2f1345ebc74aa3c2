# SPDX-License-Identifier: Apache-2.0
"""Chooses the fastest precision by a measurement at the first load, cached by machine and bundle."""

import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.files import read_json
from vision_banana_ros.generators.bundle import MANIFEST, Bundle
from vision_banana_ros.generators.own.tokenizer import tokenize
from vision_banana_ros.generators.reference import QUESTIONS, check_answers

if TYPE_CHECKING:
    from vision_banana_ros.generators.executors import Executor

TRIED_S = 0.5
"""Of each, after a first frame."""
MIN_FRAMES = 3


@dataclass(frozen=True)
class Cost:
    """Wall and CPU time in seconds of a frame with one depth and one normals prompt.

    The minimum of several runs.
    """

    wall_s: float
    cpu_s: float

    @property
    def both(self) -> float:
        """The product of wall and CPU time.

        Half the latency is worth twice the cores, because a robot has other work for them.
        """
        return self.wall_s * self.cpu_s


def fastest(bundle: Bundle, loads: Mapping[str, Callable[[], "Executor"]]) -> tuple[str, str]:
    """Chooses the precision with the lowest cost among those that reproduce the bundle's reference answers.

    Args:
        bundle: The open bundle.
        loads: Functions that load an executor, by precision; the first one is the default if none can be
            measured.

    Returns:
        The precision, and a sentence with the measurements.
    """
    known = _remembered(bundle, tuple(loads))
    when = "measured on this machine before"
    if known is None:
        when, known = "measured just now", {}
        for name, load in loads.items():
            with suppress(InputError):  # that one is not to be had here, or answers wrongly
                executor = load()
                check_answers(bundle, executor)
                known[name] = measure(bundle, executor)
        _remember(bundle, tuple(loads), known)
    if not known:
        return next(iter(loads)), "None could be tried."
    best = min(known, key=lambda name: known[name].both)
    figures = ", ".join(
        f"{name} {cost.wall_s * 1e3:.0f} ms ({cost.cpu_s * 1e3:.0f} ms of all cores)"
        for name, cost in known.items()
    )
    return best, f"For two questions it takes {figures}, {when}."


def measure(bundle: Bundle, executor: "Executor") -> Cost:
    """Measures the cost of a frame."""
    manifest = bundle.manifest
    prompts = [
        tokenize(instruction(), manifest.text_length, manifest.text_buckets) for instruction in QUESTIONS
    ]
    pieces, colors, mask = (
        np.stack([getattr(prompt, part) for prompt in prompts]) for part in ("pieces", "colors", "mask")
    )
    text = executor.encode_text(pieces, colors, mask)
    frame = np.random.default_rng(0).integers(0, 256, (*manifest.size, 3), np.uint8)
    executor.answer(executor.encode_image(frame), text, mask)
    walls: list[float] = []
    cpus: list[float] = []
    end = time.perf_counter() + TRIED_S
    while len(walls) < MIN_FRAMES or time.perf_counter() < end:
        wall, cpu = time.perf_counter(), time.process_time()
        executor.answer(executor.encode_image(frame), text, mask)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return Cost(min(walls), min(cpus))


def _place() -> Path:
    return (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vision_banana" / "executors.json"
    )


def _key(bundle: Bundle, names: tuple[str, ...]) -> str:
    """The cache key: CPU, number of cores, version of the runtime, and bundle."""
    import onnxruntime

    cpu = platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line for line in lines if line.startswith(("model name", "CPU part"))), cpu)
    manifest = sha256((bundle.path / MANIFEST).read_bytes()).hexdigest()
    return " ".join([cpu, str(len(os.sched_getaffinity(0))), onnxruntime.__version__, manifest, *names])


def _read() -> dict[str, dict[str, dict[str, float]]]:
    try:
        content = read_json(_place())
    except (OSError, InputError):
        return {}
    return content if isinstance(content, dict) else {}


def _remembered(bundle: Bundle, names: tuple[str, ...]) -> dict[str, Cost] | None:
    try:
        found = {name: Cost(**cost) for name, cost in _read()[_key(bundle, names)].items()}
        usable = set(found) <= set(names) and all(0 < cost.both < 1e6 for cost in found.values())
    except (AttributeError, KeyError, TypeError):
        return None
    return found if found and usable else None


def _remember(bundle: Bundle, names: tuple[str, ...], known: dict[str, Cost]) -> None:
    """Stores the measurement; if the cache is not writable, it is repeated at every load."""
    place = _place()
    with suppress(OSError):
        content = {**_read(), _key(bundle, names): {name: asdict(cost) for name, cost in known.items()}}
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=place.parent, prefix=".executors-", delete=False) as file:
            file.write(json.dumps(content, indent=1) + "\n")
        Path(file.name).replace(place)
