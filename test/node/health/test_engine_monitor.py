# SPDX-License-Identifier: Apache-2.0
"""The engine's state in diagnostics and its build beside the node, with engines that are not there."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from node_support import SIZE, new_client, running_node
from oracle import Truth
from stand_in_editor import encode, loader, make_bundle

from vision_banana_ros.cli.prompts import own_instructions
from vision_banana_ros.node import run as run_module
from vision_banana_ros.node.health import engine_monitor as engine_module
from vision_banana_ros.node.health.engine_monitor import Engine
from vision_banana_ros.node.health.faults import say


class State(SimpleNamespace):
    def __str__(self):
        return self.text


class Build:
    """One that is done after it was looked at `longest` times."""

    def __init__(self, engines):
        self.engines, self.looks, self.cancelled = engines, 0, False

    @property
    def ended(self):
        return self.cancelled or self.looks > self.engines.longest

    def poll(self):
        self.looks += 1
        self.engines.now = State(name="ready", text=self.engines.outcome) if self.ended else self.engines.now
        return (
            self.engines.now if self.ended else State(name="building", text=f"building {10 * self.looks} %")
        )

    def cancel(self):
        self.cancelled = True


@pytest.fixture
def engines(monkeypatch):
    """Stands for the engines of a machine with a GPU."""
    module = ModuleType("vision_banana_ros.generators.engines")
    module.now, module.outcome, module.builds = (
        State(name="missing", text="missing (none was built)"),
        "ready",
        [],
    )
    module.longest = float("inf")
    module.engine_wanted = lambda executor: ("tensorrt", "fp32")
    module.engine_state = lambda *wanted: module.now
    module.start_build = lambda *wanted: module.builds.append(Build(module)) or module.builds[-1]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(engine_module, "has_gpu", lambda: True)
    return module


def test_a_missing_engine_is_built_beside_the_node_and_seen_in_diagnostics(engines):
    with running_node() as (node, context), new_client(context) as client:
        node.trigger_configure()
        assert node.state == "inactive" and len(engines.builds) == 1  # configure did not wait
        client.spin_until(
            lambda: client.status("generator").get("engine", "").startswith("building"),
            "a build in diagnostics",
        )
        engines.longest = 0
        client.spin_until(lambda: client.status("generator").get("engine") == "ready", "the engine")
        assert client.get_parameter_of_node("build_only") is False
        node.trigger_activate(), node.trigger_deactivate(), node.trigger_activate()
        assert len(engines.builds) == 1  # nothing is built by activate


def test_a_build_ends_with_its_node(engines):
    with running_node() as (node, _):
        node.trigger_configure()
        assert node.engine.building
    assert engines.builds[0].cancelled


def test_where_no_engine_can_be_had_nothing_is_looked_for(engines, monkeypatch):
    monkeypatch.setattr(engine_module, "has_gpu", lambda: False)
    engine = Engine(print)
    for executor in ("auto", "onnxruntime", "torch:graph-fp16"):
        engine.want("", executor)
        assert engine.state == "" and not engine.building


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine with a GPU and TensorRT as the package finds them; the module of engines is real."""
    from vision_banana_ros.generators.engines import library, recipe, state

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = SimpleNamespace(executor="tensorrt", version="11.4.1.5")
    for module in (library, recipe, state):
        monkeypatch.setattr(module, "open_library", lambda kind: found)
    device = SimpleNamespace(name="A GPU", capability="9.0", driver="580")
    monkeypatch.setattr(recipe, "find_device", lambda: device)
    monkeypatch.setattr(engine_module, "has_gpu", lambda: True)


@pytest.mark.parametrize("executor", ["auto", "tensorrt,onnxruntime"])
def test_a_node_with_an_imported_editor_starts_where_tensorrt_is_installed(machine, tmp_path, executor):
    editor = make_bundle(tmp_path / "klein", "vision_banana")
    encode(editor, own_instructions(editor))
    load = loader(lambda image: Truth(depth_m=np.ones(SIZE)))
    with (
        running_node(load, bundle=str(editor.path), executor=executor) as (node, context),
        new_client(context) as client,
    ):
        node.trigger_configure()
        assert node.state == "inactive", node.failure
        client.spin_until(
            lambda: client.status("generator").get("bundle") == "klein",
            "the diagnostics of a loaded generator",
        )
        assert "engine" not in client.status("generator") and not node.engine.building


@pytest.mark.parametrize(("outcome", "status"), [("ready", 0), ("refused (no memory)", 1)])
def test_build_only_ends_with_what_the_build_came_to(engines, monkeypatch, outcome, status):
    engines.outcome, engines.longest = outcome, 3
    executor = SimpleNamespace(spin_once=lambda timeout_sec: None)
    with running_node() as (node, _):
        assert run_module.build(node, executor) == status


def test_memory_that_ran_out_is_said_in_words_with_a_cure():
    for error in (
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("std::bad_alloc"),
    ):
        assert "choose a smaller bundle" in say(error)
    assert say(RuntimeError("odd")) == "RuntimeError: odd"
