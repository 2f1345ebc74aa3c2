# SPDX-License-Identifier: Apache-2.0
"""The way from noise to a picture as numbers.

Every sampler used here is linear, x becomes keep * x + add * answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vision_banana_ros.errors import InputError

STARTS = ("noise", "frame", "zeros")
_SEED = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One call of the denoiser. time: what it is told; its answer then moves the picture."""

    time: float
    keep: float
    add: float


def walk(steps: Sequence[Step], x: Any, denoise: Callable[[Any, float], Any]) -> Any:
    """From the start x to the picture's latents; works on any kind of array."""
    for step in steps:
        x = step.keep * x + step.add * denoise(x, step.time)
    return x


def start_of(start: str, shape: Sequence[int], frame: np.ndarray | None = None) -> np.ndarray:
    """The first x, (1, ...) float32.

    Noise that is the same at every run, zeros, or the frame's own latents.
    """
    if start == "noise":
        return np.random.default_rng(_SEED).standard_normal((1, *shape), np.float32)
    if start == "zeros":
        return np.zeros((1, *shape), np.float32)
    if frame is None:
        raise InputError(f"A painting cannot start from '{start}': choose one of {', '.join(STARTS)}.")
    return frame


def flow_steps(scheduler: Any, steps: int, mu: float) -> list[Step]:
    """Of a flow-matching Euler scheduler, for the velocity that its transformer answers."""
    sigmas = None if scheduler.config.get("use_flow_sigmas") else np.linspace(1.0, 1 / steps, steps)
    scheduler.set_timesteps(steps if sigmas is None else None, sigmas=sigmas, mu=mu)
    levels = [float(sigma) for sigma in scheduler.sigmas]
    times = [float(t) / 1000 for t in scheduler.timesteps]
    return [
        Step(time, 1.0, after - now) for time, now, after in zip(times, levels[:-1], levels[1:], strict=True)
    ]


def shift_by_tokens(config: dict[str, Any], steps: int, shape: tuple[int, ...]) -> float:
    """The shift of FLUX.1 and Qwen pipelines: the more tokens, the longer the noise stays."""
    from diffusers.pipelines.flux.pipeline_flux_kontext import calculate_shift

    names = ("base_image_seq_len", "max_image_seq_len", "base_shift", "max_shift")
    given = (config.get(name, usual) for name, usual in zip(names, (256, 4096, 0.5, 1.15), strict=True))
    return calculate_shift(shape[0], *given)


def shifted_schedule(config: dict[str, Any], steps: int, shape: tuple[int, ...]) -> list[Step]:
    """The steps of FLUX.1 and Qwen pipelines."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    return flow_steps(
        FlowMatchEulerDiscreteScheduler.from_config(config), steps, shift_by_tokens(config, steps, shape)
    )


def shifted_time(config: dict[str, Any], shift: float, time: float) -> float:
    """Where a scheduler of this configuration and shift moves a time between 0 and 1."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    scheduler = FlowMatchEulerDiscreteScheduler.from_config(config)
    if scheduler.config.use_dynamic_shifting:
        return float(scheduler.time_shift(shift, 1.0, time))
    return scheduler.shift * time / (1 + (scheduler.shift - 1) * time)


def fields_of(scheduler: str) -> set[str]:
    """What diffusers' scheduler of this class is configured by."""
    import inspect

    import diffusers

    return set(inspect.signature(getattr(diffusers, scheduler)).parameters)


def linear_steps(scheduler: Any, steps: int) -> list[Step]:
    """The steps of a linear, deterministic scheduler (DDIM, or LCM with one step), found by evaluating it."""
    import torch

    scheduler.set_timesteps(steps)
    found = []
    for t in scheduler.timesteps:
        keep, add, both = (
            _moved(scheduler, steps, t, torch, answer, x)
            for answer, x in ((0.0, 1.0), (1.0, 0.0), (3.0, 2.0))
        )
        if abs(2 * keep + 3 * add - both) > 1e-4 * (abs(keep) + abs(add) + 1):
            raise InputError(
                f"{type(scheduler).__name__} draws noise or clips in {steps} steps: take one step, or"
                " weights with DDIM."
            )
        found.append(Step(float(t), keep, add))
    return found


def _moved(scheduler: Any, steps: int, t: Any, torch: Any, answer: float, x: float) -> float:
    scheduler.set_timesteps(steps)  # some count their steps
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(int((scheduler.timesteps == t).nonzero()[0]))
    given = (torch.full((1, 1, 1, 1), value, dtype=torch.float64) for value in (answer, x))
    return float(scheduler.step(next(given), t, next(given)).prev_sample)
