# SPDX-License-Identifier: Apache-2.0
"""Sentences on stderr, which no result depends on."""

import sys
from contextlib import suppress


def tell(sentence: str) -> None:
    """Prints a line on stderr. Where nobody reads it any more, or its disk is full, the work goes on."""
    with suppress(OSError):
        print(sentence, file=sys.stderr, flush=True)
