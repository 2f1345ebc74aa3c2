# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with an engine before it runs (InputError) and while it serves (ExecutorLost)."""

from vision_banana_ros.errors import InputError


class ExecutorLost(RuntimeError):
    """The executor cannot go on while it serves: its GPU ran out of memory or failed.

    The message is a sentence for the user. The executor has freed what it held and must not be used again; another
    one may answer the same frame (see `FallbackExecutor`).
    """


class EngineMissing(InputError):
    """No engine has been built for this graph on this machine."""


class EngineRefused(InputError):
    """There is an engine, or a place for it, that must not be used."""


class BuildOutOfMemory(InputError):
    """The GPU or the machine had too little memory to build the engine."""
