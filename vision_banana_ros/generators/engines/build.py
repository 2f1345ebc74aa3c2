# SPDX-License-Identifier: Apache-2.0
"""Builds a bundle's engines in a separate process, because it may take an hour or all memory, or crash."""

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
    """A running build. Only `wait` blocks."""

    def __init__(self, bundle: Bundle, executor: str, precision: str) -> None:
        self._wanted = (bundle, executor, precision)
        self._last = EngineState("building")
        self._words = tempfile.TemporaryFile()  # noqa: SIM115  (a pipe that nobody reads would stop the build)
        command = [
            sys.executable,
            "-m",
            "vision_banana_ros.generators.engines.builder",
            str(bundle.path),
            executor,
            precision,
        ]
        path = os.pathsep.join([str(_PACKAGES), *filter(None, [os.environ.get("PYTHONPATH")])])
        # The builder ends when its end of this pipe closes: with the node, however that ends.
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._words,
            env={**os.environ, "PYTHONPATH": path},
        )

    @property
    def ended(self) -> bool:
        """Whether the build process has ended."""
        return self.process.poll() is not None

    def poll(self) -> EngineState:
        """The state: `building` while the process runs, then the result."""
        status = self.process.poll()
        now = engine_state(*self._wanted)
        if status is None:
            # Between two graphs, and before the first, nobody holds a lock.
            if now.name == "building" and now.percent >= self._last.percent:
                self._last = now
            return self._last
        if self.process.stdin is not None:
            self.process.stdin.close()
        if status == 0 or now.name == "refused":
            return now
        return EngineState("refused", why=self._why(status))

    def wait(self, timeout_s: float | None = None) -> EngineState:
        """Waits for the end of the build; returns the result, or the state after `timeout_s`."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout_s)
        return self.poll()

    def cancel(self) -> None:
        """Ends the build. Finished engines are kept; unfinished ones leave no usable file."""
        self.process.kill()
        self.process.wait()

    def _why(self, status: int) -> str:
        if status == -signal.SIGKILL:
            return (
                "the build was killed, most likely because the machine ran out of memory: end other"
                " programs and build again."
            )
        self._words.seek(0)
        lines = self._words.read().decode(errors="replace").strip().splitlines()
        name = signal.Signals(-status).name if status < 0 else f"status {status}"
        return f"the build ended with {name}{': ' + lines[-1] if lines else ''}"


def start_build(bundle: Bundle, executor: str, precision: str = "fp32") -> Build:
    """Builds the engines that `engine_state` reports as missing or refused, in a separate process.

    Returns at once.

    If another process builds the same engine, this one waits for it and uses the result.
    """
    return Build(bundle, executor, precision)
