# SPDX-License-Identifier: Apache-2.0
"""The loaded generator and the current inference configuration.

Everything here belongs to the executor thread of ROS. Only slow operations, loading a generator and encoding
prompts, run on the worker thread, which alone may use the generator; their results are handed back to the
executor thread.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from vision_banana_ros.generators import Generator
from vision_banana_ros.node.health.faults import say
from vision_banana_ros.node.parameters import Settings
from vision_banana_ros.node.pipeline.inference_config import Asking
from vision_banana_ros.perception import Question

Loader = Callable[[str, str], Generator]


class GeneratorSlot:
    """Holds one generator or none.

    Attributes:
        generator: The loaded generator, or None.
        asked: The configuration in use, or None until the prompts are encoded.

    Args:
        loader: Loads a generator from a bundle and the name of an executor.
        submit: Queues a job for the worker thread. Raises InputError if the queue is full.
        in_executor: Queues a callback for the executor thread; thread-safe.
    """

    def __init__(
        self,
        loader: Loader,
        submit: Callable[[Callable[[], None]], None],
        in_executor: Callable[[Callable[[], None]], object],
    ):
        self._load = loader
        self._submit = submit
        self._in_executor = in_executor
        self._prepared: set[str] = set()
        self._pending: Asking | None = None
        self._changes = 0
        self.generator: Generator | None = None
        self.asked: Asking | None = None

    def load(self, settings: Settings, in_worker: Callable[[Callable[[], Any]], Any]) -> None:
        """Loads the generator of `settings` and encodes their prompts.

        Args:
            settings: The parameters of the node.
            in_worker: Runs a job on the worker thread and returns its result; some runtimes bind an engine to
                a thread.

        Raises:
            InputError: If the generator or the prompts cannot be used; in the latter case `generator` is set.
        """
        self.generator = in_worker(lambda: self._load(settings.bundle, settings.executor))
        config = Asking.of(settings, self.generator)
        questions = config.all_questions()
        in_worker(lambda: prepare(config.generator, questions))
        self.set_prepared(config.generator, questions)
        self.asked = config

    def set_prepared(self, generator: Generator, questions: Sequence[Question]) -> None:
        """Marks the configuration of these questions as encoded.

        No effect if another generator was loaded meanwhile.
        """
        if generator is self.generator:
            self._prepared.update(question.instruction for question in questions)

    def change(
        self, settings: Settings, then: Callable[[Asking], None], refused: Callable[[str], None]
    ) -> None:
        """Changes the configuration: at once if all prompts are encoded, otherwise when they are.

        A later change, or `let_go`, replaces one that is still pending. Without a generator nothing happens.

        Args:
            settings: The parameters of the node.
            then: Called with the configuration when it is in use.
            refused: Called with the reason if the generator cannot use it.

        Raises:
            InputError: If settings contradict each other, or the job queue of the worker is full.
        """
        if self.generator is None:
            return
        config = Asking.of(settings, self.generator)
        questions = config.all_questions()
        if self._prepared.issuperset(question.instruction for question in questions):
            self._changes += 1
            self._pending = None
            self._take(config, then)
            return
        # The callback that comes back holds this number and not the configuration: the last hold on a
        # generator must not be dropped on the executor's thread.
        number = self._changes + 1

        def finish(error: str) -> None:
            if number != self._changes or self._pending is None:
                return
            pending, self._pending = self._pending, None
            if error:
                refused(error)
            else:
                self.set_prepared(pending.generator, pending.all_questions())
                self._take(pending, then)

        self._submit(
            partial(
                _prepare_and_tell,
                config.generator,
                questions,
                lambda error: self._in_executor(partial(finish, error)),
            )
        )
        self._changes = number
        self._pending = config

    def let_go(self) -> Callable[[], None]:
        """Empties the slot.

        The returned callable drops the last reference to the generator, on the thread that calls it.
        """
        last = [self.generator, self.asked, self._pending]
        self.generator = self.asked = self._pending = None
        self._changes += 1
        self._prepared.clear()
        return last.clear

    def _take(self, config: Asking, then: Callable[[Asking], None]) -> None:
        self.asked = config
        then(config)


def prepare(generator: Generator, questions: Sequence[Question]) -> None:
    """On the worker's thread: has the generator read instructions ahead.

    InputError where it cannot use one.
    """
    for question in questions:
        generator.prepare(generator.asked(question).instruction)


def _prepare_and_tell(
    generator: Generator, questions: Sequence[Question], tell: Callable[[str], object]
) -> None:
    """Tells what was wrong, or an empty text."""
    try:
        prepare(generator, questions)
    except Exception as error:
        tell(say(error))
    else:
        tell("")
