# SPDX-License-Identifier: Apache-2.0
"""Tests use public names only: what a module keeps to itself can change without them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
OWN = {"self", "cls", "os"}  # os._exit


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in ("_replace", "_fields")


def uses(tree: ast.Module) -> Iterator[str]:
    """Private names of others: attributes, imports, and what monkeypatch replaces."""
    made_here = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    made_here |= {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and private(node.attr) and node.attr not in made_here:
            if not (isinstance(node.value, ast.Name) and node.value.id in OWN):
                yield f"line {node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.ImportFrom):
            yield from (f"line {node.lineno}: {name.name}" for name in node.names if private(name.name))
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("setattr"):
            name = node.args[1].value if len(node.args) > 1 and isinstance(node.args[1], ast.Constant) else ""
            if private(str(name)):
                yield f"line {node.lineno}: {name}"


@pytest.mark.parametrize("use", ["thing._name", "from a import _name", 'monkeypatch.setattr(a, "_name", 1)'])
def test_a_private_name_is_found(use):
    assert list(uses(ast.parse(use)))


def test_no_test_uses_the_private_names_of_others():
    files = list(TESTS.rglob("*.py"))
    assert len(files) > 100
    assert not [f"{file}: {use}" for file in files for use in uses(ast.parse(file.read_text()))]
