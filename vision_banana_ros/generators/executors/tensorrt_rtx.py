# SPDX-License-Identifier: Apache-2.0
"""TensorRT-RTX on an NVIDIA RTX GPU, with engines that any machine can build, with or without a GPU.

Option: a precision, see `engines.recipe.PRECISIONS`.
"""

from collections.abc import Sequence

from vision_banana_ros.generators.bundle import Bundle
from vision_banana_ros.generators.engines.executor import EngineExecutor, load_with


def load(bundle: Bundle, options: Sequence[str] = ()) -> EngineExecutor:
    """Raises InputError if TensorRT-RTX, the GPU or an engine is missing; nothing is built here."""
    return load_with("tensorrt_rtx", bundle, options)
