# SPDX-License-Identifier: Apache-2.0
"""What is wrong at the moment, each as a sentence that says what to do: once in the log, and in diagnostics while it lasts."""

import threading
import time
from collections.abc import Callable

SHOWN_S = 5.0
"""A fault of one frame is shown this long after it was last seen."""
LOGGED_EVERY_S = 10.0
"""A fault that stays, or comes back, is logged again after this long."""


class Faults:
    """Faults by key. May be used from every thread.

    log: writes one line, a warning.
    """

    def __init__(self, log: Callable[[str], object]):
        self._log = log
        self._lock = threading.Lock()
        self._sentences: dict[str, tuple[str, float]] = {}
        self._logged: dict[str, tuple[str, float]] = {}

    def report(self, key: str, sentence: str, lasting: bool = False) -> None:
        """Something is wrong. It is shown for `SHOWN_S` unless it is reported again; `lasting`: until it is cleared."""
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
        """It is well again."""
        with self._lock:
            self._sentences.pop(key, None)

    def clear_all(self) -> None:
        """All is forgotten, as after a restart."""
        with self._lock:
            self._sentences.clear()
            self._logged.clear()

    def sentences(self) -> list[str]:
        """What is wrong now."""
        now = time.monotonic()
        with self._lock:
            return [sentence for sentence, until in self._sentences.values() if until > now]
