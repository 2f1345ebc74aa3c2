# SPDX-License-Identifier: Apache-2.0
"""What runs a bundle's graphs.

Each executor is one file with a function `load(bundle, options)`; `load_executor` picks one.
"""

import importlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.bundle import Bundle
from vision_banana_ros.generators.errors import ExecutorLost, WrongAnswers
from vision_banana_ros.generators.executors.fallback import FallbackExecutor
from vision_banana_ros.generators.reference import check_answers
from vision_banana_ros.missing import cure

EXECUTORS = ("onnxruntime", "torch", "tensorrt", "tensorrt_rtx")
#: What "auto" tries on a machine with an NVIDIA GPU, in this order. Without one there is only ONNX Runtime to
#: try.
ON_GPU = ("tensorrt", "tensorrt_rtx", "torch:graph-fp16", "onnxruntime")
_LOG = logging.getLogger(__name__)
GPU_DEVICES = ("/dev/nvidiactl", "/dev/nvhost-gpu", "/dev/nvgpu/igpu0", "/dev/dxg")  # PC, Jetson, WSL

#: Whatever one executor's encode_image gives and its answer takes: arrays, or buffers on its device.
Features = Any


class Executor(Protocol):
    """Runs a bundle's three graphs. ExecutorLost (generators.errors) where it cannot go on while it serves.

    One that can also decode on its device has `decodes`, the tasks that it decodes, and `read`: see
    engines.executor.
    """

    @property
    def name(self) -> str:
        """With what it computes on and in, such as "onnxruntime cpu int8"."""

    @property
    def any_size(self) -> bool:
        """Whether it takes frames of every size that the bundle names, or of the first alone."""

    def encode_image(self, image: np.ndarray) -> Features:
        """(H, W, 3) uint8 -> features, shared by all questions of the frame."""

    def encode_text(self, pieces: np.ndarray, colors: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Tokenized instructions, (N, T, ...) -> (N, T, C) float32."""

    def answer(self, features: Features, text: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Features, (N, T, C) encoded instructions and (N, T) mask -> (N, H, W, 3) float32 in 0..1."""


def load_executor(
    bundle: Bundle, wanted: str, told: Callable[[str], object] = _LOG.warning
) -> tuple[Executor, str]:
    """The executor for a bundle, and a sentence that says why it is this one.

    wanted: a name, with options after a colon ("torch:compiled-bf16", "onnxruntime:fp32"; each executor's
    file names its own); or several names in order of preference, with commas ("tensorrt,onnxruntime"); or
    "auto", the best that this machine has. Each answers the bundle's stored frame first, and is refused where
    it does so wrongly. With names left, the CPU also takes over from one that is lost while it serves. told:
    gets a sentence for each that answers wrongly, now, or is lost, later. Raises InputError with every reason
    where none of them can be had.
    """
    names = names_of(wanted)
    refused: list[str] = []
    for name in names:
        kind, _, options = name.partition(":")
        try:
            module = importlib.import_module(f"{__name__}.{kind}")
            executor: Executor = module.load(bundle, tuple(options.split("-")) if options else ())
            checked = check_answers(bundle, executor)
        except (InputError, ExecutorLost) as error:  # lost already while its answers were compared
            refused.append(f"{name}: {error}")
            if isinstance(error, WrongAnswers):
                told(f"The executor {name} is not used. {error}")
            continue
        except ImportError as error:
            refused.append(f"{name}: {cure(error)}")
            continue
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            # graphs with other inputs, outputs or types than those that this version exports
            refused.append(
                f"{name}: the graphs of bundle '{bundle.path}' do not fit this version"
                f" ({type(error).__name__}: {error}): export the bundle again."
            )
            continue
        why = " ".join(filter(None, [_why(wanted, executor, refused), getattr(executor, "why", ""), checked]))
        return (_with_fallback(bundle, executor, told) if name != names[-1] else executor), why
    raise InputError(
        refused[0].partition(": ")[2] if len(refused) == 1 else f"No executor can be had. {' '.join(refused)}"
    )


def _with_fallback(bundle: Bundle, executor: Executor, told: Callable[[str], object]) -> Executor:
    """Falls back to the CPU if a GPU executor fails at run time, for example if it runs out of memory.

    After some faults no library in the process can use the GPU again.
    """
    return FallbackExecutor(executor, lambda: load_executor(bundle, "onnxruntime:cpu")[0], told)


def has_gpu() -> bool:
    """Whether there is an NVIDIA GPU, found without loading any library."""
    return any(Path(device).exists() for device in GPU_DEVICES)


def names_of(wanted: str) -> tuple[str, ...]:
    """The executors that are tried for a name, in this order. Raises InputError for one that is none."""
    if wanted == "auto":
        return ON_GPU if has_gpu() else ("onnxruntime",)
    names = tuple(name.strip() for name in wanted.split(","))
    for name in names:
        if name.partition(":")[0] not in EXECUTORS:
            raise InputError(
                f"There is no executor '{name}': choose auto, one of {', '.join(EXECUTORS)},"
                " or several with commas."
            )
    return names


def _why(wanted: str, executor: Executor, refused: list[str]) -> str:
    if refused:
        return f"Running on {executor.name}, because others cannot be had. {' '.join(refused)}"
    if wanted != "auto":
        return f"Running on {executor.name}, as asked."
    return f"Running on {executor.name}, " + (
        "the best for this GPU." if has_gpu() else "for there is no NVIDIA GPU here."
    )
