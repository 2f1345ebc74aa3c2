# SPDX-License-Identifier: Apache-2.0
"""A camera's topics: images, raw or compressed, and the last CameraInfo."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from builtin_interfaces.msg import Time
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSCompatibility, ReliabilityPolicy, qos_check_compatible
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from vision_banana_ros.node.health.faults import Faults
from vision_banana_ros.node.topics.camera_info import distorted
from vision_banana_ros.node.topics.qos import asked, mismatch, overridable, own_group

_TYPES = {"image": Image, "image/compressed": CompressedImage}
SILENT_S = 2.0
"""A camera that sends nothing for so long is reported."""


def nanoseconds(stamp: Time) -> int:
    return stamp.sec * 1_000_000_000 + stamp.nanosec


@dataclass(frozen=True, eq=False)
class Frame:
    """An image as it came, not yet decoded. way: the subscription that it came by."""

    message: Image | CompressedImage
    way: str

    @property
    def stamp_ns(self) -> int:
        return nanoseconds(self.message.header.stamp)


class Inputs:
    """Subscriptions for one camera. prefix: goes before the topics' names, such as "front/".

    Images are asked for BEST_EFFORT, which every publisher can serve. But of images larger than the
    middleware's buffers (512 KiB of shared memory in Fast DDS, half a 640x480 image) best effort loses most. So
    once all publishers are seen to offer RELIABLE, a second, reliable subscription is made, and the first one
    goes when the second has brought a frame. Compressed images are subscribed to only while nobody publishes
    raw ones: subscribing makes a camera's driver compress. In such a change the same frame may come by both
    ways; `deliver` must expect that.
    """

    def __init__(self, node: Node, prefix: str, deliver: Callable[[Frame], None], faults: Faults):
        self._node = node
        self._prefix = prefix
        self._deliver = deliver
        self._faults = faults
        self._subscriptions: dict[str, Subscription] = {}
        self._heard = time.monotonic()
        self.info: CameraInfo | None = None

    def topic(self, name: str) -> str:
        """The name after remapping."""
        return self._node.resolve_topic_name(self._prefix + name)

    @property
    def rectified(self) -> bool:
        """Whether the image topic's name says that lens distortion was removed."""
        return "rect" in self.topic("image").rsplit("/", 1)[-1]

    def open(self) -> None:
        self._subscribe("image")
        self._subscriptions["camera_info"] = self._node.create_subscription(
            CameraInfo,
            self._prefix + "camera_info",
            self._on_info,
            asked(ReliabilityPolicy.BEST_EFFORT),
            callback_group=own_group(),
            qos_overriding_options=overridable(),
            event_callbacks=self._events("camera_info"),
        )
        self.adapt()

    def close(self) -> None:
        for way in list(self._subscriptions):
            self._drop(way)
        self.info = None

    def waiting_since_now(self) -> None:
        """Before now, silence was nobody's fault."""
        self._heard = time.monotonic()

    def adapt(self) -> None:
        """Follows the publishers that are there. To be called now and then."""
        if not self._subscriptions:
            return
        raw = self._node.count_publishers(self.topic("image")) > 0
        compressed = self._node.count_publishers(self.topic("image/compressed")) > 0
        if raw or not compressed:
            self._drop("image/compressed")
            self._drop("image/compressed, reliable")
        elif "image/compressed, reliable" not in self._subscriptions:
            self._subscribe("image/compressed")
        self._prefer_reliable("image")
        self._prefer_reliable("image/compressed")

    def inspect(self) -> None:
        """Reports a camera that is silent, and takes back what was said of a publisher that has gone. To be called every second."""
        for way in ("image", "image/compressed", "camera_info"):
            subscription = self._subscriptions.get(way)
            fault = f"qos {self.topic(way)}"
            if subscription is not None and self._faults.shown(fault) and self._all_fit(way, subscription):
                self._faults.clear(fault)
        silent_s = time.monotonic() - self._heard
        if silent_s < SILENT_S:
            self._faults.clear("silent")
            return
        topic = self.topic("image")
        publishers = self._node.count_publishers(topic) + self._node.count_publishers(self.topic("image/compressed"))
        if publishers:
            cure = "whoever publishes there sends nothing that arrives: look at the camera, and at 'ros2 topic info -v' for the QoS"
        else:
            cure = f"nobody publishes there: start the camera, or remap the topic to it, as in {self._prefix}image:=/camera/image_raw"
        self._faults.report("silent", f"No image has come on {topic} for {silent_s:.0f} s, and {cure}.")

    def _all_fit(self, name: str, subscription: Subscription) -> bool:
        offers = self._node.get_publishers_info_by_topic(self.topic(name))
        mine = subscription.qos_profile
        return all(qos_check_compatible(o.qos_profile, mine)[0] != QoSCompatibility.ERROR for o in offers)

    def _prefer_reliable(self, name: str) -> None:
        offers = self._node.get_publishers_info_by_topic(self.topic(name))
        reliable = bool(offers) and all(o.qos_profile.reliability == ReliabilityPolicy.RELIABLE for o in offers)
        way = f"{name}, reliable"
        if reliable and name in self._subscriptions:
            self._subscribe(name, ReliabilityPolicy.RELIABLE)
        elif not reliable and way in self._subscriptions:
            self._subscribe(name)
            self._drop(way)

    def _subscribe(self, name: str, reliability: ReliabilityPolicy = ReliabilityPolicy.BEST_EFFORT) -> None:
        reliable = reliability == ReliabilityPolicy.RELIABLE
        way = f"{name}, reliable" if reliable else name
        if way in self._subscriptions:
            return

        def on_image(message: Image | CompressedImage) -> None:
            self._heard = time.monotonic()
            if reliable:
                self._drop(name)
            self._deliver(Frame(message, way))

        profile = asked(reliability)
        if reliable:  # all else as in the first subscription, which the overrides were applied to
            profile.depth = self._subscriptions[name].qos_profile.depth
        self._subscriptions[way] = self._node.create_subscription(
            _TYPES[name],
            self._prefix + name,
            on_image,
            profile,
            callback_group=own_group(),
            qos_overriding_options=None if reliable else overridable(),
            event_callbacks=self._events(name) if not reliable else self._adapting(),
        )

    def _events(self, name: str) -> SubscriptionEventCallbacks:
        topic = self.topic(name)
        tell = mismatch(topic, False, lambda text: self._faults.report(f"qos {topic}", text, lasting=True))
        return SubscriptionEventCallbacks(incompatible_qos=tell, matched=lambda _: self.adapt())

    def _adapting(self) -> SubscriptionEventCallbacks:
        return SubscriptionEventCallbacks(incompatible_qos=lambda _: self.adapt(), matched=lambda _: self.adapt())

    def _drop(self, way: str) -> None:
        subscription = self._subscriptions.pop(way, None)
        if subscription is not None:
            self._node.destroy_subscription(subscription)

    def _on_info(self, info: CameraInfo) -> None:
        self.info = info
        if distorted(info) and not self.rectified:
            topic = self.topic("image")
            better = f"{topic.rsplit('/', 1)[0]}/image_rect"
            self._faults.report(
                "distortion",
                f"CameraInfo says that the lens bends straight lines (D is not zero), and {topic} does not look"
                " rectified: the cloud is wrong towards the corners. Rectify the images (image_proc) and remap, as in"
                f" image:={better}.",
                lasting=True,
            )
        else:
            self._faults.clear("distortion")
