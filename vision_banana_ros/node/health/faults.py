# SPDX-License-Identifier: Apache-2.0
"""The current faults of the node, as sentences with a solution, for the log and for diagnostics."""

import threading
import time
from collections.abc import Callable

from vision_banana_ros.errors import InputError

SHOWN_S = 5.0
"""A fault of one frame is shown this long after it was last seen."""
LOGGED_EVERY_S = 10.0
"""A fault that stays, or comes back, is logged again after this long."""

OUT_OF_MEMORY = ("out of memory", "outofmemory", "failed to allocate", "bad alloc", "bad_alloc")
"""By these words in their messages the errors of the runtimes are known, which have no type in common."""


class Faults:
    """Faults by key. Thread-safe.

    Args:
        log: Writes one warning to the log.
    """

    def __init__(self, log: Callable[[str], object]):
        self._log = log
        self._lock = threading.Lock()
        self._sentences: dict[str, tuple[str, float]] = {}
        self._logged: dict[str, tuple[str, float]] = {}

    def report(self, key: str, sentence: str, lasting: bool = False) -> None:
        """Reports a fault.

        It is shown for `SHOWN_S` after the last report, or with `lasting` until it is cleared.
        """
        now = time.monotonic()
        with self._lock:
            self._sentences[key] = sentence, float("inf") if lasting else now + SHOWN_S
            said, when = self._logged.get(key, ("", 0.0))
            silent = now - when < LOGGED_EVERY_S and (said == sentence or not lasting)
            if not silent:
                self._logged[key] = sentence, now
        if not silent:
            self._log(sentence)

    def clear(self, key: str) -> None:
        """Clears a fault."""
        with self._lock:
            self._sentences.pop(key, None)

    def clear_all(self) -> None:
        """Clears all faults."""
        with self._lock:
            self._sentences.clear()
            self._logged.clear()

    def shown(self, key: str) -> bool:
        """Whether the fault is currently shown."""
        with self._lock:
            return key in self._sentences and self._sentences[key][1] > time.monotonic()

    def sentences(self) -> list[str]:
        """The sentences of all current faults."""
        now = time.monotonic()
        with self._lock:
            return [sentence for sentence, until in self._sentences.values() if until > now]


def say(error: Exception) -> str:
    """An error as a sentence, with a solution if one is known."""
    if isinstance(error, InputError):
        return str(error)
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError) or any(words in text.lower() for words in OUT_OF_MEMORY):
        return (
            f"the memory ran out ({text}). End what else uses the accelerator, or choose a smaller"
            " bundle or another executor."
        )
    return text
