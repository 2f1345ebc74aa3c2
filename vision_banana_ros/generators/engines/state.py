# SPDX-License-Identifier: Apache-2.0
"""The state of a bundle's engines, as one value for display."""

import contextlib
import time
from dataclasses import dataclass
from typing import Literal

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.bundle import Bundle
from vision_banana_ros.generators.engines.cache import EngineCache, Note
from vision_banana_ros.generators.engines.errors import EngineMissing
from vision_banana_ros.generators.engines.library import open_library
from vision_banana_ros.generators.engines.recipe import PRECISIONS, Recipe, recipes
from vision_banana_ros.generators.executors import ON_GPU

_ENOUGH = 0.1  # of a build has to be done before the rest is estimated from it


@dataclass(frozen=True, slots=True)
class EngineState:
    """`str()` of it is shown in diagnostics: missing, building 40 %, ready, refused (reason)."""

    name: Literal["missing", "building", "ready", "refused"]
    percent: int = 0  # while building, over all graphs of the bundle
    remaining_s: float | None = None  # while building; None while it cannot be told
    why: str = ""

    def __str__(self) -> str:
        if self.name == "building":
            left = "" if self.remaining_s is None else f", about {_words(self.remaining_s)} left"
            return f"building {self.percent} %{left}"
        return f"{self.name} ({self.why})" if self.why else self.name


def engine_wanted(executor: str) -> tuple[str, str] | None:
    """The executor and precision whose engines a parameter needs first, or None.

    Examples of the parameter: "auto", "tensorrt:tf32", "tensorrt,onnxruntime".
    """
    for name in ON_GPU if executor == "auto" else executor.split(","):
        kind, _, precision = name.strip().partition(":")
        with contextlib.suppress(InputError):
            open_library(kind)
            return kind, precision or PRECISIONS[0]
    return None


def engine_state(bundle: Bundle, executor: str, precision: str = "fp32") -> EngineState:
    """The state of a bundle's engines for an executor on this machine, whichever process builds them.

    It only reads a few small files and can be called from a timer. Checksums are verified when an engine is
    loaded.
    """
    try:
        needed = recipes(bundle, executor, precision)
        cache = EngineCache()
    except InputError as error:
        return EngineState("refused", why=str(error))
    weights = [float((bundle.path / recipe.graph).stat().st_size) for recipe in needed]
    return _combine(cache, needed, weights)


def _combine(cache: EngineCache, needed: list[Recipe], weights: list[float]) -> EngineState:
    done = 0.0
    running: list[tuple[Recipe, float, Note]] = []
    missing: list[str] = []
    refused: list[str] = []
    for recipe, weight in zip(needed, weights, strict=True):
        note = cache.note(recipe.key)
        try:
            if note.running:
                done += weight * note.fraction
                running.append((recipe, weight, note))
                continue
            cache.find(recipe)
            done += weight
        except EngineMissing as error:
            if note.failure:
                refused.append(f"the last build failed: {note.failure}")
            elif note.started:
                missing.append(
                    f"the last build of {recipe.graph} was ended at {note.fraction:.0%}, by a"
                    " lack of memory perhaps"
                )
            else:
                missing.append(str(error))
        except InputError as error:
            refused.append(str(error))
    if running:
        share = done / sum(weights)
        return EngineState(
            "building", min(round(100 * share), 99), _remaining(cache, running, sum(weights) - done)
        )
    if refused:
        return EngineState("refused", why=refused[0])
    return EngineState("missing", why=missing[0]) if missing else EngineState("ready")


def _remaining(
    cache: EngineCache, running: list[tuple[Recipe, float, Note]], weight_left: float
) -> float | None:
    """Seconds for what is left, at the pace of the present graph.

    As it is going, or as it went another time.
    """
    recipe, weight, note = running[0]
    elapsed = time.time() - note.started
    before = cache.seconds_before(recipe)
    if before is not None and note.started and elapsed < before:
        pace = before / weight
        # it goes by the clock then, not by phases
        weight_left -= weight * max(elapsed / before - note.fraction, 0)
    elif note.fraction >= _ENOUGH:
        pace = elapsed / (note.fraction * weight)
    else:
        return None
    return weight_left * pace


def _words(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
