# SPDX-License-Identifier: Apache-2.0
"""What a generator may raise while it serves."""


class ExecutorLost(RuntimeError):
    """The executor cannot go on while it serves: its GPU ran out of memory or failed.

    The message is a sentence for the user. The executor has freed what it held and must not be used again; another
    one may answer the same frame (see `FallbackExecutor`).
    """
