# SPDX-License-Identifier: Apache-2.0
"""Which room may import which, and that no modules import one another in a circle. Imports inside
functions count too."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import vision_banana_ros

ROOT = Path(vision_banana_ros.__file__).parent
MAY_IMPORT = {
    "tasks": set(),
    "reasoning": set(),
    "scenes": {"tasks"},
    "generators": {"tasks"},
    "perception": {"tasks", "generators"},
    "evaluation": {"tasks", "scenes", "generators", "perception"},
    "training": {"tasks", "scenes", "generators", "perception", "evaluation"},
    "node": {"tasks", "generators", "perception", "reasoning"},
    "cli": {"tasks", "scenes", "generators", "perception", "evaluation", "training", "node", "reasoning"},
}


def name_of(file: Path) -> str:
    parts = file.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(file): file for file in ROOT.rglob("*.py")}


def imported(name: str) -> Iterator[str]:
    """The modules of the package that a module names in its imports."""
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: imports are absolute"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                if (target := full if full in MODULES else str(node.module)) in MODULES:
                    yield target


def executed(name: str) -> set[str]:
    """Those, and the packages that Python runs first: `import a.b.c` runs a and a.b. Not those that the
    module is in."""
    found = set()
    for target in imported(name):
        parts = target.split(".")
        found |= {".".join(parts[:n]) for n in range(1, len(parts) + 1)}
    return {
        target
        for target in found
        if target in MODULES and target != name and not name.startswith(f"{target}.")
    }


def room_of(name: str) -> str:
    return name.split(".")[1] if "." in name else ""


def test_every_room_is_known():
    files = {name for name in MODULES if name.count(".") == 1 and not (ROOT / room_of(name)).is_dir()}
    assert {room_of(name) for name in MODULES} - {room_of(name) for name in files} - {""} == set(MAY_IMPORT)
    for name in files:  # such as errors.py: every room may import it, so it imports none
        assert not {room_of(target) for target in imported(name)} & set(MAY_IMPORT), name


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_lies_below_it(room):
    wrong = {
        f"{name} imports {target}"
        for name in MODULES
        if room_of(name) == room
        for target in imported(name)
        if room_of(target) in MAY_IMPORT and room_of(target) not in {room, *MAY_IMPORT[room]}
    }
    assert not wrong


def test_no_modules_import_one_another_in_a_circle():
    try:
        list(TopologicalSorter({name: executed(name) for name in MODULES}).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_only_the_node_imports_ros():
    ros = (
        "rclpy",
        "sensor_msgs",
        "std_msgs",
        "diagnostic_msgs",
        "geometry_msgs",
        "vision_banana_interfaces",
        "rcl_interfaces",
    )
    for name, file in MODULES.items():
        if room_of(name) in ("node", "cli"):
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            assert not {n.split(".")[0] for n in names} & set(ros), name
