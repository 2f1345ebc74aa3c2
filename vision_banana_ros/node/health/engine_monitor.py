# SPDX-License-Identifier: Apache-2.0
"""The engine that the parameter executor asks for.

Its state for diagnostics, and its build in a process of its own.

Another executor may serve meanwhile; an engine that has become ready is taken by the next activate or
configure, which themselves never build.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators import default_bundle
from vision_banana_ros.generators.bundle import open_bundle
from vision_banana_ros.generators.executors import has_gpu


class Engine:
    """Of one node. log: writes one line."""

    def __init__(self, log: Callable[[str], object]):
        self._log = log
        self._wanted: tuple[Any, str, str] | None = None
        self._build: Any = None

    def want(self, bundle: str, executor: str) -> None:
        """Finds out what is wanted, and starts to build it where it is missing; editors have no engines.

        InputError for a bundle that is not one.
        """
        self._wanted = None
        if executor == "auto" and not has_gpu() or executor != "auto" and "tensorrt" not in executor:
            return
        # Takes a second to import, and needs libraries that few machines have.
        from vision_banana_ros.generators.engines import engine_state, engine_wanted, start_build

        kind = engine_wanted(executor)
        if kind is None:
            return
        opened = open_bundle(Path(bundle) if bundle else default_bundle())
        if opened.editor_runner:
            return
        self._wanted = opened, *kind
        if engine_state(*self._wanted).name == "missing" and not self.building:
            self._log(f"The engine for {kind[0]} is built in the background; diagnostics show how far it is.")
            self._build = start_build(*self._wanted)

    @property
    def building(self) -> bool:
        """Whether a build of this node's is under way."""
        return self._build is not None and not self._build.ended

    @property
    def state(self) -> str:
        """missing, building 40 %, ready or refused (why); empty where no engine is wanted."""
        if self._wanted is None:
            return ""
        if self._build is not None:
            return str(self._build.poll())
        from vision_banana_ros.generators.engines import engine_state

        try:
            return str(engine_state(*self._wanted))
        except (InputError, OSError) as error:
            return f"refused ({error})"

    def close(self) -> None:
        """Ends a build that is under way; what it had finished stays."""
        if self.building:
            self._build.cancel()
