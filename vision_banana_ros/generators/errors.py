# SPDX-License-Identifier: Apache-2.0
"""What a generator may raise."""

from vision_banana_ros.errors import InputError


class ExecutorLost(RuntimeError):
    """The executor cannot go on while it serves: its GPU ran out of memory or failed.

    The message is a sentence for the user. The executor has freed what it held and must not be used again;
    another one may answer the same frame (see `FallbackExecutor`).
    """


class WrongAnswers(InputError):
    """An executor runs, but what it paints is not what the bundle's graphs paint."""
