# SPDX-License-Identifier: Apache-2.0
"""Errors of engines before they run; for errors at run time see generators.errors."""

from vision_banana_ros.errors import InputError


class EngineMissing(InputError):
    """No engine has been built for this graph on this machine."""


class EngineRefused(InputError):
    """There is an engine, or a folder for it, that must not be used."""


class BuildOutOfMemory(InputError):
    """The GPU or the machine had too little memory to build the engine."""
