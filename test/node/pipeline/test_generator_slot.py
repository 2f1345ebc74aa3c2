# SPDX-License-Identifier: Apache-2.0
"""The generator slot with a worker that works exactly when the test wants it to."""

import gc
import weakref
from collections.abc import Callable

import pytest
from node_support import BALL, BOX, TestGenerator, load_oracle

from vision_banana_ros.errors import InputError
from vision_banana_ros.node.parameters import PARAMETERS, Settings
from vision_banana_ros.node.pipeline.generator_slot import GeneratorSlot

VALUES = {name: parameter.default for name, parameter in PARAMETERS.items()}


def settings(*expressions: str) -> Settings:
    return Settings.read({**VALUES, "expressions": list(expressions)})


class Node:
    """Jobs of the worker and callbacks of the executor wait until a test runs them.

    quick: a job is done before its submission returns. full: no job is taken.
    """

    def __init__(self, quick: bool = False):
        self.quick, self.full = quick, False
        self.jobs, self.callbacks, self.used, self.refused = [], [], [], []
        self.slot = GeneratorSlot(load_oracle, self.submit, self.callbacks.append)
        self.slot.load(settings(), lambda job: job())

    def submit(self, job: Callable[[], None]) -> None:
        if self.full:
            raise InputError("too many")
        self.jobs.append(job)
        if self.quick:
            self.work()

    def change(self, *expressions: str) -> None:
        self.slot.change(
            settings(*expressions),
            lambda config: self.used.append(config.prompts.expressions),
            self.refused.append,
        )

    def work(self) -> None:
        while self.jobs:
            self.jobs.pop(0)()

    def spin(self) -> None:
        while self.callbacks:
            self.callbacks.pop(0)()


@pytest.mark.parametrize("quick", [False, True])
def test_a_change_is_used_however_quick_the_worker_is(quick):
    node = Node(quick)
    node.change(BALL)
    node.work()
    assert node.used == []  # what follows is the executor's, which owns the topics
    node.spin()
    assert node.used == [(BALL,)] and node.slot.asked.prompts.expressions == (BALL,)
    node.change(BOX, BALL)
    node.change(BALL)  # the generator has read that already
    assert node.used == [(BALL,), (BALL,)]
    node.work()
    node.spin()
    assert node.slot.asked.prompts.expressions == (BALL,) and node.refused == []


def test_of_two_changes_the_later_one_is_used_in_whatever_order_their_callbacks_run():
    node = Node()
    node.change(BALL)
    node.change(BOX)
    node.work()
    node.callbacks.reverse()
    node.spin()
    assert node.used == [(BOX,)]


def test_what_the_generator_cannot_use_is_refused_unless_it_was_replaced():
    node = Node()
    node.change("a cat")
    node.work()
    node.spin()
    assert len(node.refused) == 1 and "was not told about" in node.refused[0] and node.used == []
    node.change("a cat")
    node.change(BALL)
    node.work()
    node.spin()
    assert len(node.refused) == 1 and node.used == [(BALL,)]


def test_an_error_of_the_runtime_is_told_too(monkeypatch):
    node = Node()

    def breaks(self, instruction):
        raise RuntimeError("the accelerator has gone")

    monkeypatch.setattr(TestGenerator, "prepare", breaks)
    node.change(BALL)
    node.work()
    node.spin()
    assert node.refused == ["RuntimeError: the accelerator has gone"]


def test_a_generator_that_is_let_go_while_it_reads_leaves_nothing_to_the_next():
    node = Node()
    node.change(BALL)
    node.slot.let_go()()
    node.work()  # the job was under way
    node.spin()
    assert node.slot.asked is None and node.used == []
    node.slot.load(settings(), lambda job: job())
    node.spin()
    node.change(BALL)
    assert node.used == []  # the new generator has to read it first
    node.work()
    assert any("ball" in instruction for instruction in node.slot.generator.prepared)
    node.spin()
    assert node.used == [(BALL,)]


def test_only_what_the_present_generator_read_counts_as_prepared():
    node = Node()
    first = node.slot.generator
    node.change(BALL)
    questions = node.slot.generator.questions.values()
    node.slot.let_go()()
    node.slot.load(settings(), lambda job: job())
    node.slot.set_prepared(first, list(questions))
    node.change(BALL)
    assert node.used == [] and len(node.jobs) == 2


def test_a_callback_that_waits_for_the_executor_does_not_hold_the_generator():
    node = Node()
    node.change("a cat")
    node.work()
    generator = weakref.ref(node.slot.generator)
    drop = node.slot.let_go()
    assert generator() is not None
    drop()
    gc.collect()
    assert generator() is None and node.callbacks


def test_a_change_that_the_worker_has_no_room_for_leaves_the_one_before():
    node = Node()
    node.change(BALL)
    node.full = True
    with pytest.raises(InputError, match="too many"):
        node.change(BOX)
    node.work()
    node.spin()
    assert node.used == [(BALL,)]
