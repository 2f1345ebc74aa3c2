# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node /vision_banana, which answers questions about the frames of cameras with a generator."""

import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import partial
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from vision_banana_ros.compilation import compilation_told
from vision_banana_ros.errors import InputError
from vision_banana_ros.generators import Generator, default_bundle, load_generator
from vision_banana_ros.node import parameters
from vision_banana_ros.node.health.diagnostics import FINALIZED, PERIOD_S, Diagnostics, Health
from vision_banana_ros.node.health.engine_monitor import Engine
from vision_banana_ros.node.health.faults import Faults, say
from vision_banana_ros.node.health.manager_bond import ManagerBond
from vision_banana_ros.node.health.watchdog import Watchdog
from vision_banana_ros.node.parameters import Settings
from vision_banana_ros.node.pipeline import warmup
from vision_banana_ros.node.pipeline.camera_stream import Stream
from vision_banana_ros.node.pipeline.generator_slot import GeneratorSlot, Loader
from vision_banana_ros.node.pipeline.inference_config import Asking
from vision_banana_ros.node.pipeline.worker import Worker
from vision_banana_ros.node.services.prompt_store import KeptPrompts
from vision_banana_ros.node.services.read_only import answer_read_only_requests
from vision_banana_ros.node.services.refusals import refuse_what_raises
from vision_banana_ros.node.services.server import Services
from vision_banana_ros.node.topics.inputs import Frame
from vision_banana_ros.node.topics.transforms import Transforms

NAME = "vision_banana"
STOP_S = 1.0
"""How long the end of a worker is waited for."""
ANSWERED_EVERY_S = 0.1
"""How soon requests that only read are answered during a transition."""


def load(bundle: str, executor: str) -> Generator:
    """The generator that the parameters name; an empty bundle is the one installed with the package."""
    return load_generator(bundle or default_bundle(), executor)


class VisionBananaNode(LifecycleNode):
    """The lifecycle node.

    configure loads the generator and creates the topics, activate starts processing, deactivate releases the
    accelerator (activate loads again), cleanup releases everything.

    Two threads share the work, and each object belongs to one of them:

    - The executor thread of ROS runs all callbacks: transitions, parameters, services, messages, diagnostics.
      It owns the ROS graph (subscriptions, publishers and timers are only created and destroyed there), the
      generator slot, and all of a stream except what its docstring assigns to the worker. It waits for the
      worker only in transitions.
    - The worker thread owns the generator: it loads and prepares it, processes frames and jobs of services,
      publishes the answers, and drops the last reference. Results for other objects are handed over by
      `in_executor`.

    Objects shared by both are locked internally: the mailboxes, the faults, the counts, and the configuration
    of a stream.

    Args:
        generator_loader: Loads a generator from the parameters bundle and executor, on the worker thread.
    """

    def __init__(self, generator_loader: Loader = load, **kwargs: Any):
        super().__init__(NAME, **kwargs)
        unknown = parameters.declare(self)
        self.slot = GeneratorSlot(generator_loader, self.submit, self.in_executor)
        self._worker: Worker[Frame] | None = None
        self._configured: Settings | None = None
        self.failure = ""
        self.faults = Faults(self.get_logger().warning)
        self.watchdog = Watchdog()
        self._bond = ManagerBond(self)
        for name, nearest in unknown.items():
            sentence = f"There is no parameter '{name}', and it is ignored"
            if nearest:
                self.faults.report(f"parameter {name}", f"{sentence}: is it '{nearest}'?", lasting=True)
            else:  # of another node, most likely, in a file for several
                self.get_logger().warning(f"{sentence}.")
        self.engine = Engine(self.get_logger().info)
        names = parameters.read_cameras(self.get_parameter("cameras").value)
        transforms = Transforms(self)
        self.streams = [
            Stream(self, name, partial(self._hand_over, i), transforms) for i, name in enumerate(names)
        ]
        self.kept_prompts = KeptPrompts(self.get_fully_qualified_name())
        self.services_offered = Services(self, self)
        self._diagnostics = Diagnostics(self, self.streams, self._health)
        self._take_up_kept_prompts()
        self.add_on_set_parameters_callback(self._on_parameters)
        if hasattr(self, "add_pre_set_parameters_callback"):  # Humble has none
            self.add_pre_set_parameters_callback(parameters.as_declared)
        refuse_what_raises(self)

    @property
    def state(self) -> str:
        """The lifecycle state in words."""
        return self._state_machine.current_state[1]

    def _health(self) -> Health:
        self.watchdog.alive()  # ROS's thread asks for this every second, also while it waits for the worker
        self._report_twins()
        if self.generator is not None and self.generator.faults:
            self.faults.report("executor", " ".join(self.generator.faults), lasting=True)
        else:
            self.faults.clear("executor")
        return Health(self.state, self.failure, self.engine.state, self.generator, self.faults.sentences())

    def _report_twins(self) -> None:
        own = (self.get_name(), self.get_namespace())
        twins = self.get_node_names_and_namespaces().count(own)
        if twins > 1:
            self.faults.report(
                "twins",
                f"{twins} nodes are called {self.get_fully_qualified_name()}, so that requests reach any of"
                " them. End all"
                " but one, or give it another name (-r __node:=NAME); one that was killed is counted for"
                " some 20 s.",
            )

    @property
    def generator(self) -> Generator | None:
        """The generator while it is loaded."""
        return self.slot.generator

    def stream(self, camera: str) -> Stream:
        """The stream of a camera; "" is the first. InputError for one that is not there."""
        for stream in self.streams:
            if camera in ("", stream.name):
                return stream
        names = ", ".join(stream.name for stream in self.streams if stream.name) or (
            "none, only one without a name"
        )
        raise InputError(f"There is no camera {camera!r}; the parameter cameras names {names}.")

    # Transitions

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Loads the generator, compiles, warms up, and creates the topics."""
        if not self._try("configured", self._configure):
            self._free()
            return TransitionCallbackReturn.FAILURE
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Starts processing frames; loads the generator if it was released."""
        if not self._try("activated", self._load_where_missing):
            return TransitionCallbackReturn.FAILURE
        result = super().on_activate(state)
        for stream in self.streams:
            stream.start(self.asking())
        self._bond.form()
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stops processing frames and releases the accelerator."""
        self._stop()
        self._unload("was deactivated")
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Releases everything that configure created."""
        self._free()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Releases everything, for good."""
        self._stop()
        self._free()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Releases everything after an error in a transition."""
        self._stop()
        self._free()
        return super().on_error(state)

    def close(self, timeout_s: float = STOP_S) -> bool:
        """Ends the worker, from any state, before the process ends.

        Returns False where it is still busy after so long.
        """
        self._stop()
        self.engine.close()
        self.services_offered.close()
        return self._worker is None or self._worker.stop(timeout_s)

    def destroy_node(self) -> None:
        """Leaves the ROS graph.

        Rclpy by itself keeps the state machine, and for 20 s others would still see the node.
        """
        super().destroy_node()
        self._state_machine.destroy_when_not_in_use()

    def _try(self, what: str, transition: Callable[[], object]) -> bool:
        try:
            transition()
        except Exception as error:
            self.failure = _with_cure(error)
            self.get_logger().error(f"The node cannot be {what}: {self.failure}")
            return False
        self.failure = ""
        return True

    def _configure(self) -> None:
        self._configured = Settings.read(parameters.current(self))
        self.get_logger().info("Loading the generator.")
        self._worker = Worker(
            [s.answer for s in self.streams], lambda error: self.get_logger().error(f"Worker: {say(error)}")
        )
        settings = self._configured
        self._run_in_worker(lambda: self.engine.want(settings.bundle, settings.executor))
        self._load_where_missing()
        asking = self.asking()
        with compilation_told(self.get_logger().info, warmup.__name__):
            self._run_in_worker(lambda: warmup.warm_up(asking))
        for stream in self.streams:
            stream.open()
        height, width = asking.generator.size
        self.get_logger().info(
            f"{asking.generator.name} ({width}x{height}) is ready on {asking.generator.executor}."
        )

    def _load_where_missing(self) -> None:
        if self.generator is not None:
            return
        settings = Settings.read(parameters.current(self))
        try:
            self.slot.load(settings, self._run_in_worker)
        except Exception as error:
            prompts_may_be_why = self.generator is not None and self.kept_prompts.path.exists()
            self._unload("could not load its generator")
            if isinstance(error, InputError) and prompts_may_be_why:
                raise InputError(
                    f"{error} The prompts kept in {self.kept_prompts.path} may be why: delete that file."
                ) from error
            raise
        if self.generator is not None and self.generator.why:
            self.get_logger().info(self.generator.why)

    def _stop(self) -> None:
        self._bond.part()
        for i, stream in enumerate(self.streams):
            stream.stop(self._worker.mailboxes[i].take() if self._worker is not None else None)

    def _unload(self, why: str) -> None:
        """Lets go of the generator, once the worker has done what it is doing."""
        self.services_offered.cancel(
            f"The node {why} before the request was answered. Activate it and ask again."
        )
        let_go = self.slot.let_go()
        if self._worker is not None:
            self._worker.forget_jobs()
            self._worker.submit(let_go)  # it goes where it was used

    def _free(self) -> None:
        if self._worker is not None and not self._worker.stop(STOP_S):
            self.get_logger().warning(
                "The generator is still busy with its last frame; its memory is freed afterwards."
            )
        self._unload("was cleaned up")
        self._worker = None
        self._configured = None
        for stream in self.streams:
            stream.close()

    # What the worker does

    def submit(self, job: Callable[[], None]) -> None:
        """Runs a job on the worker's thread, of a configured node. InputError where too much waits."""
        assert self._worker is not None
        self._worker.submit(job)

    def in_executor(self, callback: Callable[[], None]) -> None:
        """Runs a callback soon on the executor's thread; from any thread.

        Without an executor, as at the end, nothing happens.
        """
        if self.executor is not None:
            self.executor.create_task(callback)

    def _run_in_worker(self, job: Callable[[], Any]) -> Any:
        """Waits for a job, hears signals meanwhile, says how the node is and answers who asks.

        The very first load compiles code, which may take minutes on a small or busy machine.
        """
        done: Future = Future()

        def run() -> None:
            try:
                done.set_result(job())
            except Exception as error:
                done.set_exception(error)

        self.submit(run)
        told = time.monotonic()
        while wait([done], timeout=ANSWERED_EVERY_S).not_done:
            answer_read_only_requests(self)
            if time.monotonic() - told >= PERIOD_S:
                told = time.monotonic()
                self._diagnostics.publish()
        return done.result()

    def _hand_over(self, camera: int, frame: Frame) -> Frame | None:
        assert self._worker is not None
        return self._worker.mailboxes[camera].put(frame)

    # What is asked

    def asking(self) -> Asking:
        """With what the next frame is asked. InputError while there is no generator."""
        if self.slot.asked is None and self.state == FINALIZED:
            raise InputError(
                f"The node {self.get_fully_qualified_name()} was shut down for good: start it anew."
            )
        if self.slot.asked is None:
            missing = "activate" if self._configured else "configure"
            raise InputError(
                f"The node is not {missing}d, so there is no generator. Do it first: ros2 lifecycle set"
                f" {self.get_fully_qualified_name()} {missing}."
            )
        return self.slot.asked

    def _take_up_kept_prompts(self) -> None:
        """They were asked for later than whatever set the parameters."""
        try:
            kept = self.kept_prompts.read()
            try:  # alone, without the faults of other parameters
                Settings.read({**parameters.DEFAULTS, **kept})
            except InputError as error:
                raise self.kept_prompts.unusable(str(error).rstrip(".")) from error
        except InputError as error:
            self.faults.report("kept prompts", str(error), lasting=True)
            return
        if kept:
            self.set_parameters([Parameter(name, value=value) for name, value in kept.items()])
            self.get_logger().info(f"Prompts kept in {self.kept_prompts.path} are asked: {', '.join(kept)}.")

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
        before = self._configured
        if before is None:
            return  # configure will read them
        if (settings.bundle, settings.executor) != (before.bundle, before.executor):
            raise InputError(
                "bundle and executor are read by configure: deactivate and clean up first, then set them."
            )
        # without a generator activate will read them
        self.slot.change(settings, self._ask, self._keep_asking)

    def _ask(self, asking: Asking) -> None:
        self.faults.clear("prompts")
        for stream in self.streams:
            if stream.active:
                stream.change(asking)

    def _keep_asking(self, error: str) -> None:
        self.faults.report("prompts", f"The prompts were not changed: {error}", lasting=True)


def _with_cure(error: Exception) -> str:
    """Why the generator cannot be had, and what to do."""
    text = say(error)
    if text != f"{type(error).__name__}: {error}":
        return text
    if "qos" in text.lower():
        return f"{text}. Correct qos_overrides: depth is a number, the others are words, as in reliable."
    cure = "executor:=onnxruntime runs all but imported editors on every machine."
    return f"{text}. 'vision-banana info BUNDLE' checks a bundle; {cure}"
