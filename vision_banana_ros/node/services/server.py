# SPDX-License-Identifier: Apache-2.0
"""The ROS services.

Callbacks hand jobs to the worker and wait as coroutines, so that the executor is not blocked.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar, cast

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.task import Future
from sensor_msgs.msg import Image

from vision_banana_interfaces.srv import Generate, Segment, SetPrompts  # type: ignore[attr-defined]
from vision_banana_ros.errors import InputError, shortened
from vision_banana_ros.node.pipeline.camera_stream import Stream
from vision_banana_ros.node.pipeline.generator_slot import GeneratorSlot, prepare
from vision_banana_ros.node.pipeline.inference_config import Asking
from vision_banana_ros.node.services import handlers, prompt_encoder
from vision_banana_ros.node.services.prompt_store import KeptPrompts
from vision_banana_ros.node.services.reasoning import Understood, answer_absent, on_a_thread, understand
from vision_banana_ros.node.topics.qos import own_group, requested
from vision_banana_ros.node.topics.stamps import nanoseconds
from vision_banana_ros.perception import Question
from vision_banana_ros.reasoning import PassThrough
from vision_banana_ros.tasks.legend_text import clean_text

T = TypeVar("T")


class Host(Protocol):
    """What the services need of the node that offers them."""

    slot: GeneratorSlot
    kept_prompts: KeptPrompts

    def asking(self) -> Asking:
        """The current inference configuration."""

    def stream(self, camera: str) -> Stream:
        """The stream of a camera. Raises InputError if there is none of that name."""

    def submit(self, job: Callable[[], None]) -> None:
        """Queues a job for the worker thread."""


class Services:
    """~/segment, ~/set_prompts and ~/generate.

    They are there in every state, so that a request always gets a reply.
    """

    def __init__(self, node: Node, host: Host):
        self._node = node
        self._host = host
        self._clock = Clock(clock_type=ClockType.STEADY_TIME)
        group = ReentrantCallbackGroup()  # a callback that waits must not keep others from starting
        self._waiting: set[Future] = set()
        self.encoder = prompt_encoder.Encoder(lambda error: node.get_logger().error(f"Encoder: {error}"))
        for kind, name, reply in (
            (Segment, "~/segment", self._segment),
            (SetPrompts, "~/set_prompts", self._set_prompts),
            (Generate, "~/generate", self._generate),
        ):
            node.create_service(
                kind, name, self._replying(reply), qos_profile=requested(), callback_group=group
            )

    def cancel(self, reason: str) -> None:
        """Fails every request that waits."""
        self.encoder.cancel()
        for future in self._waiting:
            future.set_result((None, InputError(reason)))

    def close(self) -> None:
        """Before the process ends."""
        self.encoder.close()

    def _replying(self, reply: Callable[[Any, Any], Awaitable[str]]) -> Callable[[Any, Any], Awaitable[Any]]:
        """Turns an error into a reply that says what was wrong."""

        async def callback(request: Any, response: Any) -> Any:
            try:
                response.message = await reply(request, response)
                response.success = True
            except InputError as error:
                response.message = str(error)
            except Exception as error:
                response.message = shortened(f"The request failed: {type(error).__name__}: {error}")
                self._node.get_logger().error(response.message)
            return response

        return callback

    async def _segment(self, request: Segment.Request, response: Segment.Response) -> str:
        query = clean_text(request.expression, "The expression")
        asking, stream = self._host.asking(), self._host.stream(request.camera)
        stamp_ns, camera_of = nanoseconds(request.stamp), handlers.whose_camera(request, stream)
        message = self._picture(request.image, stream, stamp_ns)
        reasoning, meant = asking.settings.reasoning, Understood(query, query)
        end = time.monotonic() + asking.settings.service_timeout
        if not isinstance(reasoning, PassThrough):
            late = self._late("the reasoning model is slow")
            meant = await self._elsewhere(
                on_a_thread, lambda: understand(message, query, reasoning), end, late
            )
        if meant.absent:
            return meant.told(answer_absent(message, meant, asking, response))
        learning = time.monotonic()
        if await self._learn(asking, questions=[handlers.look_for(meant.expression)]):
            end += time.monotonic() - learning
            # the newest is another one by now
            message = message if stamp_ns else self._picture(request.image, stream, 0)
        return meant.told(
            await self._in_worker(
                lambda: handlers.segment(
                    message, meant.expression, asking, camera_of, stream.depth.metres, response
                ),
                end,
            )
        )

    async def _set_prompts(self, request: SetPrompts.Request, response: SetPrompts.Response) -> str:
        asking = self._host.asking()
        change = handlers.prompts(request.task, request.prompts, asking)
        await self._learn(asking, questions=change.questions)
        await self._in_worker(lambda: prepare(asking.generator, change.questions))
        self._host.slot.set_prepared(asking.generator, change.questions)
        result = self._node.set_parameters([Parameter(change.parameter, value=change.value)])[0]
        if not result.successful:
            raise InputError(result.reason)
        response.ids, response.colors = change.ids, change.colors
        if request.persist:
            self._host.kept_prompts.keep({change.parameter: change.value})
        return f"{change.message} It is kept over a restart." if request.persist else change.message

    async def _generate(self, request: Generate.Request, response: Generate.Response) -> str:
        instruction = clean_text(request.instruction, "The instruction", handlers.MAX_INSTRUCTION)
        asking, stream = self._host.asking(), self._host.stream(request.camera)
        message = self._picture(request.image, stream, 0)
        if await self._learn(asking, instructions=[instruction]):
            message = self._picture(request.image, stream, 0)
        return await self._in_worker(lambda: handlers.generate(message, instruction, asking, response))

    def _picture(self, image: Image, stream: Stream, stamp_ns: int) -> Any:
        """The image of a request, or where that is empty the frame of the stream that it names."""
        if image.width or image.height or image.data:
            return image
        if not stream.active:
            raise InputError(
                "The node is not active, so there is no live stream. Activate it first (ros2 lifecycle set"
                " /vision_banana"
                " activate), or send an image."
            )
        return stream.frame(stamp_ns).message

    async def _learn(
        self, asking: Asking, questions: Sequence[Question] = (), instructions: Sequence[str] = ()
    ) -> bool:
        """Has encoded what an imported editor does not know yet; returns whether there was any.

        InputError where it may not.
        """
        if not prompt_encoder.reads_ahead(asking):
            return False
        wanted = [
            *instructions,
            *(asking.generator.asked(q).instruction for q in asking.perceiver.asked(questions)),
        ]
        end = time.monotonic() + prompt_encoder.LONGEST_S
        late = f"Within {prompt_encoder.LONGEST_S:g} s it was not encoded. Ask again."
        return await self._elsewhere(
            self.encoder.submit, lambda: self.encoder.encode(wanted, asking), end, late
        )

    def _late(self, reason: str) -> str:
        timeout_s = self._host.asking().settings.service_timeout
        return f"No answer within {timeout_s:g} s (service_timeout): {reason}. Ask again."

    async def _in_worker(self, job: Callable[[], T], end: float | None = None) -> T:
        """Runs `job` on the worker thread; returns its result, or raises its error, or InputError."""
        end = time.monotonic() + self._host.asking().settings.service_timeout if end is None else end
        return await self._elsewhere(
            self._host.submit, job, end, self._late("the generator is slow or has too much to do")
        )

    async def _elsewhere(
        self, submit: Callable[[Callable[[], None]], None], job: Callable[[], T], end: float, late: str
    ) -> T:
        """Runs `job` where `submit` does, until `end` (time.monotonic).

        `late`: what is said where it takes longer.
        """
        executor = self._node.executor
        assert executor is not None  # or no callback would run
        future: Future[tuple[T | None, Exception | None]] = Future(executor=executor)

        def run() -> None:
            if future.done():  # too late, nobody waits any more
                return
            try:
                future.set_result((job(), None))
            except Exception as error:
                future.set_result((None, error))
            executor.wake()

        def give_up() -> None:
            future.set_result((None, InputError(late)))

        left_s = max(end - time.monotonic(), 1e-3)
        timer = self._node.create_timer(left_s, give_up, callback_group=own_group(), clock=self._clock)
        self._waiting.add(future)
        try:
            submit(run)
            outcome = await future
        finally:
            self._waiting.discard(future)
            self._node.destroy_timer(timer)
        assert outcome is not None
        result, error = outcome
        if error is not None:
            raise error
        return cast(T, result)
