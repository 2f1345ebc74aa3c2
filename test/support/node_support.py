# SPDX-License-Identifier: Apache-2.0
"""What the node's tests share: a generator that knows its frames, a client, and a node that runs beside the
test.

A test frame is one grey level (and a border, see `drawn`); it says what the oracle paints. Level 10 is a wall
at 1.1 m, level 100 at 2 m, and so on, with the left half class 0 and the right half class 1. A few levels
stand for trouble: UNREADABLE, BREAKS, STUCK.

Run as a program it is the node itself with this generator: python test/support/node_support.py --ros-args -p
autostart:=true
"""

import fcntl
import random
import socket
import sys
import tempfile
import threading
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import ChangeState, GetState
from oracle import Oracle, Truth
from patience import COMPILED_S, PATIENCE_S
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image

from vision_banana_ros.errors import InputError
from vision_banana_ros.node.node import VisionBananaNode
from vision_banana_ros.node.topics.fastdds import carry_large_images
from vision_banana_ros.node.topics.messages import TYPES
from vision_banana_ros.perception import Question
from vision_banana_ros.tasks.colors import BLACK, far_apart

ROOT = Path(__file__).resolve().parents[2]
SIZE = (48, 64)
LEGEND = {"floor": (128, 64, 128), "wall": (0, 0, 255), "box": (255, 128, 0)}
NEW_LEGEND = {"road": (255, 0, 0), "curb": (0, 255, 0)}
BALL, BOX, NOTHING = "the red ball", "the blue box", "a purple elephant"
ECHO = "Paint the picture as it is."
UNREADABLE, BREAKS, STUCK = 250, 251, 252
MANY_CALLS = QoSProfile(depth=1000, reliability=ReliabilityPolicy.RELIABLE)
PATIENT = {"max_age": PATIENCE_S, "service_timeout": PATIENCE_S}
"""Parameters of the tests' nodes: on a loaded machine no frame is too old and no request takes too long."""


def depth_of(level: int) -> float:
    """The distance of the wall in a frame of this grey level, metres."""
    return 1.0 + level / 100


def mask_of(expression: str, size: tuple[int, int]) -> np.ndarray:
    """What fits an expression: the ball at the top left, the box at the bottom right, nothing for anything
    else."""
    height, width = size
    mask = np.zeros(size, bool)
    if expression == BALL:
        mask[height // 4 : height // 2, width // 4 : width // 2] = True
    elif expression == BOX:
        mask[height // 2 : 3 * height // 4, width // 2 : 3 * width // 4] = True
    return mask


def truth(image: np.ndarray) -> Truth:
    height, width = image.shape[:2]
    level = int(image[height // 2, width // 2, 0])
    if level == BREAKS:
        raise RuntimeError("the accelerator has gone")
    if level == STUCK:
        time.sleep(2 * PATIENCE_S)
    half = (np.arange(width) >= width // 2).astype(np.uint8) * np.ones((height, 1), np.uint8)
    return Truth(
        depth_m=np.full((height, width), np.nan if level == UNREADABLE else depth_of(level)),
        normals=np.broadcast_to(np.float64([0.6, 0.0, 0.8]), (height, width, 3)),
        labels=half,
        instances=mask_of(BALL, (height, width)) + 2 * mask_of(BOX, (height, width)).astype(np.uint16),
        masks={expression: mask_of(expression, (height, width)) for expression in (BALL, BOX, NOTHING)},
    )


class TestGenerator(Oracle):
    """The oracle with all questions of the tests, a pace, and a count of what it was asked."""

    __test__ = False

    def __init__(self, pace_s: float = 0.0):
        expressions = [
            Question.referring(expression, color)
            for expression in (BALL, BOX, NOTHING)
            for color in far_apart(2, avoid=[BLACK])
        ]
        things = [Question.instances(name) for name in ("box", "chair")]
        legends = [Question.semantic(LEGEND), Question.semantic(NEW_LEGEND)]
        super().__init__(SIZE, truth, [*legends, *things, *expressions])
        self.pace_s = pace_s
        self.answered: list[str] = []

    def paint(self, image: np.ndarray, instructions: Sequence[str]) -> np.ndarray:
        time.sleep(self.pace_s)
        if instructions == [ECHO]:
            return image[None] / np.float32(255)
        self.answered += [self.questions[instruction].task for instruction in instructions]
        return super().paint(image, instructions)


def load_oracle(bundle: str, executor: str) -> Any:
    """The loader that the tests' nodes use. The bundle "missing" cannot be loaded; "slow" takes 0.2 s for
    a frame."""
    if bundle == "missing":
        raise InputError("There is no bundle at 'missing': give the folder that holds its manifest.json.")
    return TestGenerator(pace_s=0.2 if bundle == "slow" else 0.0)


DOMAINS = 30  # held by a process at most; there are 90, and each test with a node takes one
_locks: list[tuple[int, Any]] = []


def any_domain() -> int:
    """A ROS domain that nobody else on this machine uses, for as long as this process lives; the oldest of
    DOMAINS again."""
    if len(_locks) >= DOMAINS:
        domain, lock = _locks.pop(0)
        _locks.append((domain, lock))
        return domain
    for domain in random.sample(range(10, 100), 90):
        lock = open(Path(tempfile.gettempdir()) / f"ros_domain_{domain}.lock", "w")  # noqa: SIM115
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind(("", 7410 + 250 * domain))  # where the first participant of the domain listens
        except OSError:
            lock.close()
            continue
        _locks.append((domain, lock))
        return domain
    raise RuntimeError("All ROS domains from 10 to 99 are in use on this machine; end what uses them.")


class Client(Node):
    """A camera and everybody who listens to the node, in one. Its calls spin it."""

    def __init__(self, context: Context, topics: Sequence[str] = ()):
        super().__init__("client", context=context)
        self.own_executor = SingleThreadedExecutor(context=context)
        self.own_executor.add_node(self)
        self.received: dict[str, list[Any]] = {}
        self.statuses: list[DiagnosticArray] = []
        self.create_subscription(DiagnosticArray, "/diagnostics", self.statuses.append, 10)
        self._clients_by_name: dict[str, Any] = {}
        self._stamp_ns = 0
        for topic in topics:
            self.listen(topic)

    def listen(self, topic: str, message_type: type | None = None, qos: QoSProfile | int = 50) -> None:
        received = self.received.setdefault(topic, [])
        own = topic if topic in TYPES else topic.partition("/")[2]  # without the camera's name
        self.create_subscription(message_type or TYPES[own], topic, received.append, qos)

    def spin_until(self, condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
        """Spins until the condition is truthy and returns its value; fails with `what` it waited for."""
        end = time.monotonic() + patience_s
        while not (value := condition()):
            assert time.monotonic() < end, f"waited in vain for {what}"
            self.own_executor.spin_once(timeout_sec=0.05)
        return value

    def next_stamp(self) -> int:
        """A stamp of now, nanoseconds, later than the one before."""
        self._stamp_ns = max(self.get_clock().now().nanoseconds, self._stamp_ns + 1)
        return self._stamp_ns

    def call(
        self,
        service_type: type,
        name: str,
        request: Any,
        later: bool = False,
        patience_s: float = PATIENCE_S,
    ) -> Any:
        """Calls a service and returns its reply, or with `later` the future of it."""
        client = self._clients_by_name.get(name)
        if client is None:
            client = self._clients_by_name[name] = self.create_client(
                service_type, name, qos_profile=MANY_CALLS
            )
        self.spin_until(client.service_is_ready, f"the service {name}")
        future = client.call_async(request)
        return future if later else self.reply(future, name, patience_s)

    def reply(self, future: Any, what: str = "a service", patience_s: float = PATIENCE_S) -> Any:
        return self.spin_until(lambda: future.done() and future.result(), f"a reply of {what}", patience_s)

    def transition(self, transition_id: int) -> bool:
        request = ChangeState.Request()
        request.transition.id = transition_id
        return self.call(ChangeState, "/vision_banana/change_state", request, patience_s=COMPILED_S).success

    def state(self) -> str:
        return self.call(GetState, "/vision_banana/get_state", GetState.Request()).current_state.label

    def set_parameters(self, **values: Any) -> list[Any]:  # type: ignore[override]
        """Sets the node's parameters from outside; returns a result for each."""
        request = SetParameters.Request()
        request.parameters = [
            Parameter(name, value=value).to_parameter_msg() for name, value in values.items()
        ]
        return self.call(SetParameters, "/vision_banana/set_parameters", request).results

    def get_parameter_of_node(self, name: str) -> Any:
        request = GetParameters.Request(names=[name])
        reply = self.call(GetParameters, "/vision_banana/get_parameters", request)
        return Parameter.from_parameter_msg(ParameterMessage(name=name, value=reply.values[0])).value

    def status(self, part: str = "stream") -> dict[str, str]:
        """The next diagnostics of a part: its values, and its sentence as "message"."""
        seen = len(self.statuses)
        self.spin_until(lambda: len(self.statuses) > seen, "diagnostics")
        found = next(s for s in self.statuses[-1].status if s.name.endswith(f": {part}"))
        return {"message": found.message, **{value.key: value.value for value in found.values}}

    def wait_for_fault(self, words: str) -> str:
        """Waits until the stream's diagnostics say these words and returns the whole sentence."""
        return self.spin_until(lambda: self.said(words), f"diagnostics that say {words!r}")

    def said(self, words: str) -> str:
        if not self.statuses:
            return ""
        messages = [s.message for s in self.statuses[-1].status]
        return next((m for m in messages if words in m), "")


def drawn(level: int, size: tuple[int, int] = SIZE, stamp_ns: int = 0) -> np.ndarray:
    """A frame of one grey level, (H, W, 3) uint8, but for a border of stripes at the top, whose first
    pixels tell the stamp: a frame without anything in it is dropped, and so is one that is the same as those
    before."""
    height, width = size
    image = np.full((height, width, 3), level, np.uint8)
    image[: height // 6, (np.arange(width) * 8 // width) % 2 == 0] = (level + 128) % 256
    image[0, :8] = np.frombuffer(stamp_ns.to_bytes(8, "little", signed=True), np.uint8)[:, None]
    return image


def picture(level: int, stamp_ns: int, size: tuple[int, int] = SIZE, frame_id: str = "camera") -> Image:
    """`drawn` as a message, rgb8."""
    height, width = size
    message = Image(height=height, width=width, encoding="rgb8", step=3 * width)
    message.data = array("B", drawn(level, size, stamp_ns).tobytes())
    message.header.frame_id = frame_id
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
    return message


def camera_info(size: tuple[int, int] = SIZE) -> CameraInfo:
    height, width = size
    f, cx, cy = 0.8 * width, (width - 1) / 2, (height - 1) / 2
    info = CameraInfo(height=height, width=width, distortion_model="plumb_bob", d=[0.0] * 5)
    info.k = [f, 0.0, cx, 0.0, f, cy, 0.0, 0.0, 1.0]
    info.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    info.p = [f, 0.0, cx, 0.0, 0.0, f, cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    return info


class Camera:
    """Publishes test frames through a client, with CameraInfo before each unless told otherwise."""

    def __init__(
        self, client: Client, reliability: ReliabilityPolicy = ReliabilityPolicy.RELIABLE, prefix: str = ""
    ):
        self.client = client
        qos = QoSProfile(depth=10, reliability=reliability)
        self.images = client.create_publisher(Image, f"{prefix}image", qos)
        self.infos = client.create_publisher(CameraInfo, f"{prefix}camera_info", qos)

    def close(self) -> None:
        """As when the driver ends."""
        self.client.destroy_publisher(self.images)
        self.client.destroy_publisher(self.infos)

    def connect(self) -> None:
        self.client.spin_until(
            lambda: self.images.get_subscription_count() > 0, "the node's subscription to image"
        )
        self.client.spin_until(
            lambda: self.infos.get_subscription_count() > 0, "the node's subscription to camera_info"
        )

    def show(self, level: int, stamp_ns: int | None = None, size: tuple[int, int] = SIZE) -> int:
        """Publishes a frame and returns its stamp."""
        stamp_ns = self.client.next_stamp() if stamp_ns is None else stamp_ns
        self.images.publish(picture(level, stamp_ns, size))
        return stamp_ns


LAYOUTS = {
    "32FC1": (np.float32, 1),
    "32FC3": (np.float32, 3),
    "mono8": (np.uint8, 1),
    "16UC1": (np.uint16, 1),
    "rgb8": (np.uint8, 3),
}


def stamp_of(message: Any) -> int:
    return message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec


def stamps(messages: Sequence[Any]) -> list[int]:
    return [stamp_of(message) for message in messages]


def pixels(message: Image) -> np.ndarray:
    """The pixels of an image that the node published."""
    dtype, channels = LAYOUTS[message.encoding]
    values = np.frombuffer(message.data, dtype).reshape(message.height, message.width, channels)
    return values if channels > 1 else values[..., 0]


LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)


@contextmanager
def running_node(
    loader: Callable[[str, str], Any] = load_oracle, **parameters: Any
) -> Iterator[tuple[VisionBananaNode, Context]]:
    """The node on a thread of its own in this process, in a domain of its own, unconfigured."""
    carry_large_images()
    context = Context()
    rclpy.init(context=context, domain_id=any_domain(), args=[])
    overrides = [Parameter(name, value=value) for name, value in {**PATIENT, **parameters}.items()]
    node = VisionBananaNode(loader, context=context, parameter_overrides=overrides)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def spin() -> None:
        with suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        yield node, context
    finally:
        executor.shutdown()
        thread.join()
        node.close()
        node.destroy_node()
        rclpy.try_shutdown(context=context)


@contextmanager
def new_client(context: Context, topics: Sequence[str] = ()) -> Iterator[Client]:
    client = Client(context, topics)
    try:
        yield client
    finally:
        client.own_executor.shutdown()
        client.destroy_node()


if __name__ == "__main__":
    from vision_banana_ros.node.main import main

    sys.path.insert(0, str(ROOT))
    sys.exit(main(generator_loader=load_oracle))
