# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with an engine before it runs; while it serves, see generators.errors."""

from vision_banana_ros.errors import InputError


class EngineMissing(InputError):
    """No engine has been built for this graph on this machine."""


class EngineRefused(InputError):
    """There is an engine, or a place for it, that must not be used."""


class BuildOutOfMemory(InputError):
    """The GPU or the machine had too little memory to build the engine."""
