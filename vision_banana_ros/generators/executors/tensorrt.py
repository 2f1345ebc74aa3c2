# SPDX-License-Identifier: Apache-2.0
"""TensorRT 10 and 11 on an NVIDIA GPU, with engines that were built for this GPU, driver and version.

Option: a precision, see `engines.recipe.PRECISIONS`.
"""

from collections.abc import Sequence

from vision_banana_ros.generators.bundle import Bundle
from vision_banana_ros.generators.engines.executor import EngineExecutor, load_with


def load(bundle: Bundle, options: Sequence[str] = ()) -> EngineExecutor:
    """Raises InputError if TensorRT, the GPU or an engine is missing; nothing is built here."""
    return load_with("tensorrt", bundle, options)
