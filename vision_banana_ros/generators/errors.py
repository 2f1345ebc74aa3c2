# SPDX-License-Identifier: Apache-2.0
"""Errors of generators."""

from vision_banana_ros.errors import InputError


class ExecutorLost(RuntimeError):
    """The executor failed at run time: its GPU ran out of memory or failed.

    The message is a sentence for the user. The executor has released its resources and must not be used
    again; another one can process the same frame (see `FallbackExecutor`).
    """


class WrongAnswers(InputError):
    """An executor runs, but its pictures differ from those of the bundle's graphs."""
