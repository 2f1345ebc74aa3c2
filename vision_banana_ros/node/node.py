# SPDX-License-Identifier: Apache-2.0
"""/vision_banana: a lifecycle node that asks a generator about a camera's frames."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators import Generator, default_bundle, load_generator
from vision_banana_ros.node import parameters
from vision_banana_ros.node.diagnostics import Diagnostics
from vision_banana_ros.node.inputs import Frame
from vision_banana_ros.node.parameters import Settings
from vision_banana_ros.node.prompts import Prompts, read_legend
from vision_banana_ros.node.services import Services
from vision_banana_ros.node.stream import Asking, Stream
from vision_banana_ros.node.warmup import warm_up
from vision_banana_ros.node.worker import Worker
from vision_banana_ros.perception import Perceiver, Question
from vision_banana_ros.tasks import TASKS

STOP_S = 1.0
"""How long the end of a worker is waited for."""

Loader = Callable[[str, str], Generator]


def load(bundle: str, executor: str) -> Generator:
    """The generator that the parameters name; an empty bundle is the one installed with the package."""
    return load_generator(bundle or default_bundle(), executor)


class VisionBananaNode(LifecycleNode):
    """configure loads the generator and makes the topics, activate lets frames through, cleanup frees everything.

    ROS's executor runs all callbacks on one thread; the worker's thread alone touches the generator.
    generator_loader: makes a generator from the parameters bundle and executor.
    """

    def __init__(self, generator_loader: Loader = load, **kwargs: Any):
        super().__init__("vision_banana", **kwargs)
        parameters.declare(self)
        self._load = generator_loader
        self._worker: Worker[Frame] | None = None
        self._prepared: set[str] = set()
        self.generator: Generator | None = None
        self._wanted: Asking | None = None
        self.failure = ""
        self.stream = Stream(self, self._hand_over)
        self._services_offered = Services(self)
        self._diagnostics = Diagnostics(self)
        self.add_on_set_parameters_callback(self._on_parameters)

    @property
    def state(self) -> str:
        """The lifecycle state in words."""
        return self._state_machine.current_state[1]

    # Transitions

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            self._configure()
        except Exception as error:
            self.failure = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
            self.get_logger().error(f"The node cannot be configured: {self.failure}")
            self._free()
            return TransitionCallbackReturn.FAILURE
        self.failure = ""
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        result = super().on_activate(state)
        self.stream.start()
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._free()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._stop()
        self._free()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._stop()
        self._free()
        return super().on_error(state)

    def close(self) -> bool:
        """Ends the worker, from any state, before the process ends. Returns False where it is still busy."""
        self._stop()
        return self._worker is None or self._worker.stop(STOP_S)

    def _configure(self) -> None:
        settings = Settings.read(parameters.current(self))
        self.get_logger().info("Loading the generator; the very first time, code is compiled for this machine, a minute or so.")
        self._worker = Worker(self.stream.answer, lambda error: self.get_logger().error(f"Worker: {error}"))
        # Loaded where it is used: some runtimes tie an engine to its thread. And while this thread waits, signals are heard.
        self.generator = self._run_in_worker(lambda: self._load(settings.bundle, settings.executor))
        asking = self._asking_for(settings, self.generator)
        self._run_in_worker(lambda: warm_up(asking))
        self._run_in_worker(lambda: self.prepare(asking.all_questions()))
        self._wanted = asking
        self.stream.open(asking)
        height, width = self.generator.size
        self.get_logger().info(f"{self.generator.name} ({width}x{height}) is ready on {self.generator.executor}.")

    def _stop(self) -> None:
        if self._worker is not None:
            self.stream.stop(self._worker.mailbox.take())

    def _free(self) -> None:
        if self._worker is not None and not self._worker.stop(STOP_S):
            self.get_logger().warning("The generator is still busy with its last frame; its memory is freed afterwards.")
        self._services_offered.cancel("The node was cleaned up before the request was answered. Configure it and ask again.")
        self._worker = None
        self.generator = None
        self._wanted = None
        self._prepared.clear()
        self.stream.close()

    # What the worker does

    def submit(self, job: Callable[[], None]) -> None:
        """Runs a job on the worker's thread, of a configured node. InputError where too much waits."""
        assert self._worker is not None
        self._worker.submit(job)

    def prepare(self, questions: Sequence[Question]) -> None:
        """On the worker's thread: has the generator read instructions ahead. InputError where it cannot use one."""
        assert self.generator is not None
        for question in questions:
            self.generator.prepare(question.instruction)
            self._prepared.add(question.instruction)

    def _run_in_worker(self, job: Callable[[], Any]) -> Any:
        done: Future = Future()

        def run() -> None:
            try:
                done.set_result(job())
            except Exception as error:
                done.set_exception(error)

        self.submit(run)
        return done.result()

    def _hand_over(self, frame: Frame) -> Frame | None:
        assert self._worker is not None
        return self._worker.mailbox.put(frame)

    # What is asked

    def asking(self) -> Asking:
        """With what the next frame is asked. InputError while the node is not configured."""
        if self.stream.asking is None:
            raise InputError(
                "The node is not configured, so there is no generator. Configure it first: ros2 lifecycle set /vision_banana"
                " configure."
            )
        return self.stream.asking

    def _asking_for(self, settings: Settings, generator: Generator) -> Asking:
        own = generator.manifest.legend
        legend = read_legend(settings.legend, own) if settings.legend else own
        prompts = Prompts(legend, settings.expressions, settings.instances_class)
        questions = {task: prompts.questions(task) for task in TASKS if task in generator.tasks}
        return Asking(generator, Perceiver(generator, settings.output_size), prompts, questions, settings)

    def _on_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        known = {p.name: p.value for p in changes if p.name in parameters.PARAMETERS}
        if not known:
            return SetParametersResult(successful=True)
        try:
            self._change(Settings.read({**parameters.current(self), **known}))
        except InputError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _change(self, settings: Settings) -> None:
        before = self._wanted
        if before is None:
            return  # configure will read them
        if (settings.bundle, settings.executor) != (before.settings.bundle, before.settings.executor):
            raise InputError("bundle and executor are read by configure: deactivate and clean up first, then set them.")
        asking = self._asking_for(settings, before.generator)
        if self._prepared.issuperset(question.instruction for question in asking.all_questions()):
            self._ask(asking)
        else:
            self.submit(lambda: self._prepare_and_ask(asking))
        self._wanted = asking

    def _prepare_and_ask(self, asking: Asking) -> None:
        """On the worker's thread: changes to prompts that the generator has not read yet."""
        try:
            self.prepare(asking.all_questions())
        except InputError as error:
            self.stream.faults.report("prompts", f"The prompts were not changed: {error}", lasting=True)
            return
        if self._wanted is asking:  # and not replaced since
            self._ask(asking)

    def _ask(self, asking: Asking) -> None:
        self.stream.faults.clear("prompts")
        self.stream.change(asking)
