# SPDX-License-Identifier: Apache-2.0
"""TensorRT engines of a bundle's graphs, built in a separate process and cached."""

from vision_banana_ros.generators.engines.build import Build, start_build
from vision_banana_ros.generators.engines.errors import EngineMissing, EngineRefused
from vision_banana_ros.generators.engines.state import EngineState, engine_state, engine_wanted

__all__ = [
    "Build",
    "EngineMissing",
    "EngineRefused",
    "EngineState",
    "engine_state",
    "engine_wanted",
    "start_build",
]
