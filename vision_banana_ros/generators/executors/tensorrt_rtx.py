# SPDX-License-Identifier: Apache-2.0
"""TensorRT-RTX on an NVIDIA RTX GPU, from engines that any machine can have built, with a GPU or without.

Option: a precision, see `engines.recipe.PRECISIONS`.
"""

from collections.abc import Sequence

from vision_banana_ros.generators.bundle import Bundle
from vision_banana_ros.generators.engines.executor import EngineExecutor, load_with


def load(bundle: Bundle, options: Sequence[str] = ()) -> EngineExecutor:
    """Raises InputError where TensorRT-RTX, the GPU or a ready engine is missing; nothing is built here."""
    return load_with("tensorrt_rtx", bundle, options)
