# SPDX-License-Identifier: Apache-2.0
"""Prompts that survive a restart: a small JSON file in ROS_HOME, written atomically."""

import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from vision_banana_ros.errors import InputError
from vision_banana_ros.files import read_json

KEPT = {"legend": list, "expressions": list, "instances_class": str}
"""The parameters that can be kept, and their types."""
MAX_BYTES = 1_000_000


class KeptPrompts:
    """The file of one node.

    Args:
        node: The fully qualified name of the node.
    """

    def __init__(self, node: str):
        home = Path(os.environ.get("ROS_HOME") or Path.home() / ".ros")
        self.path = home / "vision_banana" / f"{node.strip('/').replace('/', '.')}.prompts.json"

    def read(self) -> dict[str, Any]:
        """The stored parameters by name; empty if there is no file.

        Raises InputError if it cannot be used.
        """
        try:
            values = read_json(self.path, MAX_BYTES)
        except FileNotFoundError:
            return {}
        except (OSError, InputError) as error:
            raise self.unusable(f"it cannot be read ({str(error).rstrip('.')})") from error
        if not isinstance(values, dict) or not all(_fits(name, value) for name, value in values.items()):
            raise self.unusable("it does not hold prompts")
        return values

    def keep(self, changes: Mapping[str, Any]) -> None:
        """Adds or replaces stored parameters. Raises InputError if the file cannot be written."""
        try:
            known = self.read()
        except InputError:
            known = {}  # of no use to anybody; this replaces it
        text = json.dumps({**known, **changes}, indent=2) + "\n"
        unfinished = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(
                "w", dir=self.path.parent, prefix=".prompts-", delete=False
            ) as file:
                unfinished = Path(file.name)
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self.path)
        except OSError as error:
            if unfinished is not None:
                with suppress(OSError):
                    unfinished.unlink()
            raise InputError(
                f"The prompts are asked now, but were not kept: {self.path} cannot be written"
                f" ({error.strerror}). Set ROS_HOME to"
                " a folder that can."
            ) from error

    def unusable(self, why: str) -> InputError:
        """The error for a stored file that cannot be used, with a solution."""
        return InputError(
            f"The kept prompts in {self.path} are not used: {why}. Set them again with"
            " persist, or delete the file."
        )


def _fits(name: str, value: Any) -> bool:
    kind = KEPT.get(name)
    return (
        kind is not None
        and isinstance(value, kind)
        and (kind is str or all(isinstance(entry, str) for entry in value))
    )
