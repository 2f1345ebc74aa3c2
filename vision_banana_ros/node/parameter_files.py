# SPDX-License-Identifier: Apache-2.0
"""Parameter files that are given to this node and name only others: ROS ignores them in silence."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vision_banana_ros.errors import InputError
from vision_banana_ros.files import read_yaml

_SHOWN = 3
"""So many of the nodes that a file names are repeated."""


def files_for_others(arguments: Sequence[str], node: str) -> Iterator[str]:
    """Says of each parameter file that it has nothing for the node.

    Args:
        arguments: The command line, with `--params-file FILE` in it.
        node: The full name of the node, as in /vision_banana.

    Yields:
        A sentence for each such file.
    """
    for option, file in zip(arguments, arguments[1:], strict=False):
        if option != "--params-file":
            continue
        try:
            content = read_yaml(Path(file))
        except (InputError, OSError):
            continue  # ROS has read it, in its own way
        named = list(_nodes(content, ""))
        if not any(_fits(pattern, node) for pattern in named):
            others = ", ".join(named[:_SHOWN]) or "no node"
            yield f"The parameter file '{file}' names {others} and not {node}: it is ignored."


def _nodes(content: Any, above: str) -> Iterator[str]:
    """The full names and patterns that have ros__parameters, at any depth."""
    if not isinstance(content, Mapping):
        return
    for key, value in content.items():
        if key == "ros__parameters":
            yield above
        else:
            yield from _nodes(value, f"{above}/{str(key).strip('/')}")


def _fits(pattern: str, node: str) -> bool:
    """By ROS's rules: * is one part of a name, ** is any number of parts."""
    parts = {"**": "(?:/[^/]+)*", "*": "/[^/]+"}
    expression = "".join(parts.get(part, f"/{re.escape(part)}") for part in pattern.split("/")[1:])
    return re.fullmatch(expression, node) is not None
