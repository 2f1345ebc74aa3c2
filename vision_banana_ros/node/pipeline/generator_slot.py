# SPDX-License-Identifier: Apache-2.0
"""The generator while it is loaded, and what it is asked: loaded, prepared for new prompts, and let go on the worker's thread."""

from collections.abc import Callable, Sequence

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators import Generator
from vision_banana_ros.node.parameters import Settings
from vision_banana_ros.node.pipeline.inference_config import Asking
from vision_banana_ros.perception import Question

Loader = Callable[[str, str], Generator]


class Loaded:
    """One generator, or none.

    wanted: what it is to be asked from now on. asked: the same, once the generator has read it. Both None without a generator.
    submit: runs a job on the worker's thread, InputError where too much waits.
    """

    def __init__(self, loader: Loader, submit: Callable[[Callable[[], None]], None]):
        self._load = loader
        self._submit = submit
        self._prepared: set[str] = set()
        self.generator: Generator | None = None
        self.wanted: Asking | None = None
        self.asked: Asking | None = None

    def load(self, settings: Settings) -> None:
        """On the worker's thread: some runtimes tie an engine to it. InputError where generator or prompts cannot be used."""
        generator = self._load(settings.bundle, settings.executor)
        self.generator = generator
        asking = Asking.of(settings, generator)
        self.prepare(asking.all_questions())
        self.wanted = self.asked = asking

    def prepare(self, questions: Sequence[Question]) -> None:
        """On the worker's thread: has the generator read instructions ahead. InputError where it cannot use one."""
        assert self.generator is not None
        for question in questions:
            self.generator.prepare(self.generator.asked(question).instruction)
            self._prepared.add(question.instruction)

    def change(self, settings: Settings, then: Callable[[Asking], None], refused: Callable[[InputError], None]) -> None:
        """Asks something else: calls `then` once the generator has read it, or `refused` where it cannot use it.

        InputError where settings contradict each other. Nothing happens without a generator.
        """
        if self.generator is None:
            return
        asking = Asking.of(settings, self.generator)

        def take() -> None:
            self.asked = asking
            then(asking)

        def prepare_and_take() -> None:
            try:
                self.prepare(asking.all_questions())
            except InputError as error:
                refused(error)
                return
            if self.wanted is asking:  # and not replaced since
                take()

        if self._prepared.issuperset(question.instruction for question in asking.all_questions()):
            take()
        else:
            self._submit(prepare_and_take)
        self.wanted = asking

    def let_go(self) -> Callable[[], None]:
        """There is no generator any more. What is returned drops the last hold on it, wherever it is called."""
        last = [self.generator, self.wanted, self.asked]
        self.generator = self.wanted = self.asked = None
        self._prepared.clear()
        return last.clear
