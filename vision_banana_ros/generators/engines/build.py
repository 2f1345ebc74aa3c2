# SPDX-License-Identifier: Apache-2.0
"""Building a bundle's engines in a process of its own.

It may take an hour, all memory, or the process down with it.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from vision_banana_ros.generators.bundle import Bundle
from vision_banana_ros.generators.engines.state import EngineState, engine_state

_PACKAGES = Path(__file__).resolve().parents[3]


class Build:
    """A build under way. Nothing here waits except `wait`."""

    def __init__(self, bundle: Bundle, executor: str, precision: str) -> None:
        self._wanted = (bundle, executor, precision)
        self._last = EngineState("building")
        self._words = tempfile.TemporaryFile()  # noqa: SIM115  (a pipe that nobody reads would stop the build)
        command = [sys.executable, "-m", "vision_banana_ros.generators.engines.builder", str(bundle.path), executor, precision]
        path = os.pathsep.join([str(_PACKAGES), *filter(None, [os.environ.get("PYTHONPATH")])])
        # The builder ends when its end of this pipe closes: with the node, however that ends.
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._words, env={**os.environ, "PYTHONPATH": path}
        )

    @property
    def ended(self) -> bool:
        """Whether the build process has ended."""
        return self._process.poll() is not None

    def poll(self) -> EngineState:
        """How it stands. `building` as long as the process runs, then what it came to."""
        status = self._process.poll()
        now = engine_state(*self._wanted)
        if status is None:
            # Between two graphs, and before the first, nobody holds a lock.
            if now.name == "building" and now.percent >= self._last.percent:
                self._last = now
            return self._last
        if self._process.stdin is not None:
            self._process.stdin.close()
        if status == 0 or now.name == "refused":
            return now
        return EngineState("refused", why=self._why(status))

    def wait(self, timeout_s: float | None = None) -> EngineState:
        """Waits for the end; returns what it came to, or how it stands after `timeout_s`."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        return self.poll()

    def cancel(self) -> None:
        """Ends the build.

        What it had finished stays; what it had begun leaves nothing behind that could be used.
        """
        self._process.kill()
        self._process.wait()

    def _why(self, status: int) -> str:
        if status == -signal.SIGKILL:
            return "the build was killed, most likely because the machine ran out of memory: end other programs and build again."
        self._words.seek(0)
        lines = self._words.read().decode(errors="replace").strip().splitlines()
        name = signal.Signals(-status).name if status < 0 else f"status {status}"
        return f"the build ended with {name}{': ' + lines[-1] if lines else ''}"


def start_build(bundle: Bundle, executor: str, precision: str = "fp32") -> Build:
    """Build what `engine_state` finds missing or refused, in a process of its own; returns at once.

    If another process builds the same, this one waits for it and uses what it made.
    """
    return Build(bundle, executor, precision)
