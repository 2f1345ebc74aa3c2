# SPDX-License-Identifier: Apache-2.0
"""A camera's topics: images, raw or compressed, and its CameraInfo."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSCompatibility, QoSProfile, ReliabilityPolicy, qos_check_compatible
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from vision_banana_ros.node.health.faults import Faults
from vision_banana_ros.node.topics.camera_info import CameraInfos
from vision_banana_ros.node.topics.qos import asked, latched, mismatch, overridable, own_group
from vision_banana_ros.node.topics.stamps import nanoseconds

RAW, COMPRESSED, INFO = "image", "image/compressed", "camera_info"
LATCHED_INFO = "camera_info, latched"
TYPES: dict[str, type] = {RAW: Image, COMPRESSED: CompressedImage, INFO: CameraInfo}
RAW_SILENT_S = 1.0
"""Where raw images are advertised but none has come for so long, compressed ones are taken."""
INFOS_WAITING = 10
"""CameraInfo that may wait for the node: each may be that of a frame."""
SILENT_S = 2.0
"""A camera that sends nothing for so long is reported."""


def reliably(name: str) -> str:
    """The way of a topic's reliable subscription."""
    return f"{name}, reliable"


@dataclass(frozen=True, eq=False)
class Frame:
    """An image as it came, not yet decoded. way: the subscription that it came by."""

    message: Image | CompressedImage
    way: str

    @property
    def stamp_ns(self) -> int:
        """The stamp in nanoseconds."""
        return nanoseconds(self.message.header.stamp)


class Inputs:
    """Subscriptions for one camera. prefix: goes before the topics' names, such as "front/".

    Images are asked for BEST_EFFORT, which every publisher can serve. But of images larger than the
    middleware's buffers (512 KiB of shared memory in Fast DDS, half a 640x480 image) best effort loses most.
    So once all publishers are seen to offer RELIABLE, a second, reliable subscription is made, and the first
    one goes when the second has brought a frame. Compressed images are subscribed to while no raw ones
    arrive, whoever advertises them: subscribing makes a camera's driver compress. In such a change the same
    frame may come by both ways; `deliver` must expect that.
    """

    def __init__(self, node: Node, prefix: str, deliver: Callable[[Frame], None], faults: Faults):
        self._node = node
        self._prefix = prefix
        self._deliver = deliver
        self._faults = faults
        self.subscriptions: dict[str, Subscription] = {}
        self._heard = self._heard_raw = time.monotonic()
        self.infos = CameraInfos()

    @property
    def info(self) -> CameraInfo | None:
        """The newest."""
        return self.infos.newest

    def topic(self, name: str) -> str:
        """The name after remapping.

        Image/compressed follows image, as image_transport has it, unless it is remapped itself.
        """
        resolved = str(self._node.resolve_topic_name(self._prefix + name))
        if name == COMPRESSED and resolved == self._node.resolve_topic_name(
            self._prefix + name, only_expand=True
        ):
            return f"{self.topic(RAW)}/compressed"
        return resolved

    def open(self) -> None:
        """Creates the subscriptions."""
        self._heard_raw = time.monotonic()
        self._subscribe(RAW)
        profile = asked(ReliabilityPolicy.BEST_EFFORT)
        profile.depth = INFOS_WAITING
        self.subscriptions[INFO] = self._subscribe_to_info(profile, self._events(INFO))
        self.adapt()

    def close(self) -> None:
        """Destroys the subscriptions."""
        for way in list(self.subscriptions):
            self._drop(way)
        self.infos.clear()

    def waiting_since_now(self) -> None:
        """Before now, silence was nobody's fault."""
        self._heard = self._heard_raw = time.monotonic()

    def adapt(self) -> None:
        """Follows the publishers that are there, and what arrives. To be called now and then."""
        if not self.subscriptions:
            return
        raw = self._node.count_publishers(self.topic(RAW)) > 0
        compressed = self._node.count_publishers(self.topic(COMPRESSED)) > 0
        silent = time.monotonic() - self._heard_raw > RAW_SILENT_S
        if not compressed or (raw and not silent):
            self._drop(COMPRESSED)
            self._drop(reliably(COMPRESSED))
        elif reliably(COMPRESSED) not in self.subscriptions:
            self._subscribe(COMPRESSED)
        self._prefer_reliable(RAW)
        self._prefer_reliable(COMPRESSED)
        self._follow_latched_info()

    def inspect(self) -> None:
        """Reports a camera that is silent, and takes back what was said of a publisher that has gone.

        To be called every second.
        """
        for way in (RAW, COMPRESSED, INFO):
            self._check_type(way)
            self._check_publishers(way)
            subscription = self.subscriptions.get(way)
            fault = f"qos {self.topic(way)}"
            if subscription is not None and self._faults.shown(fault) and self._all_fit(way, subscription):
                self._faults.clear(fault)
        silent_s = time.monotonic() - self._heard
        if silent_s < SILENT_S:
            self._faults.clear("silent")
            return
        topic = self.topic(RAW)
        publishers = self._node.count_publishers(topic) + self._node.count_publishers(self.topic(COMPRESSED))
        if publishers:
            cure = (
                "a publisher exists, but nothing arrives: check the camera, and with 'ros2 topic info"
                " -v' the QoS"
            )
        else:
            cure = (
                "nobody publishes there: start the camera, or remap the topic to it, as in"
                f" {self._prefix}image:=/camera/image_raw"
            )
        self._faults.report("silent", f"No image has come on {topic} for {silent_s:.0f} s, and {cure}.")

    def _check_publishers(self, name: str) -> None:
        """Reports several publishers: frames of one camera would be measured by the CameraInfo of another."""
        topic = self.topic(name)
        fault, count = f"publishers {topic}", self._node.count_publishers(topic)
        if name == INFO:  # a driver may have a publisher of it for each of its image topics
            offers = self._node.get_publishers_info_by_topic(topic)
            count = len({(offer.node_namespace, offer.node_name) for offer in offers})
        if count < 2 or self.subscriptions.keys().isdisjoint((name, reliably(name))):
            self._faults.clear(fault)
            return
        self._faults.report(
            fault,
            f"{count} publishers send to {topic}; if they are different cameras or recordings, what is"
            " published is wrong. Leave one (ros2 topic info -v names them); one that was killed is counted"
            " for some 20 s.",
            lasting=True,
        )

    def _check_type(self, name: str) -> None:
        """Reports publishers of another type: DDS connects nothing and says nothing."""
        topic, wanted = self.topic(name), TYPES[name]
        mine = f"sensor_msgs/msg/{wanted.__name__}"
        others = {o.topic_type for o in self._node.get_publishers_info_by_topic(topic)} - {mine}
        fault = f"type {topic}"
        if not others:
            self._faults.clear(fault)
            return
        other = min(others)
        cure = f"remap {self._prefix}{name} to a topic of {mine}"
        if other == "sensor_msgs/msg/CompressedImage" and name == RAW:
            cure = (
                f"remap {self._prefix}{COMPRESSED} to it, or {self._prefix}{RAW} to its name without"
                " /compressed"
            )
        self._faults.report(
            fault, f"{topic} is published as {other}, but {mine} is read there: {cure}.", lasting=True
        )

    def _all_fit(self, name: str, subscription: Subscription) -> bool:
        offers = self._node.get_publishers_info_by_topic(self.topic(name))
        mine = subscription.qos_profile
        return all(qos_check_compatible(o.qos_profile, mine)[0] != QoSCompatibility.ERROR for o in offers)

    def _prefer_reliable(self, name: str) -> None:
        offers = self._node.get_publishers_info_by_topic(self.topic(name))
        reliable = bool(offers) and all(
            o.qos_profile.reliability == ReliabilityPolicy.RELIABLE for o in offers
        )
        first = self.subscriptions.get(name)
        # as qos_overrides may ask
        if reliable and first is not None and first.qos_profile.reliability != ReliabilityPolicy.RELIABLE:
            self._subscribe(name, ReliabilityPolicy.RELIABLE)
        elif not reliable and reliably(name) in self.subscriptions:
            self._subscribe(name)
            self._drop(reliably(name))

    def _subscribe(self, name: str, reliability: ReliabilityPolicy = ReliabilityPolicy.BEST_EFFORT) -> None:
        reliable = reliability == ReliabilityPolicy.RELIABLE
        way = reliably(name) if reliable else name
        if way in self.subscriptions:
            return

        def on_image(message: Image | CompressedImage) -> None:
            self._heard = time.monotonic()
            if name == RAW:
                self._heard_raw = self._heard
            if reliable:
                self._drop(name)
            self._deliver(Frame(message, way))

        profile = asked(reliability)
        if reliable:  # all else as in the first subscription, which the overrides were applied to
            profile.depth = self.subscriptions[name].qos_profile.depth
        self.subscriptions[way] = self._node.create_subscription(
            TYPES[name],
            self.topic(name),
            on_image,
            profile,
            callback_group=own_group(),
            qos_overriding_options=None if reliable else overridable(),
            event_callbacks=self._events(name) if not reliable else self._adapting(),
        )

    def _subscribe_to_info(
        self, profile: QoSProfile, events: SubscriptionEventCallbacks, kept: bool = False
    ) -> Subscription:
        return self._node.create_subscription(
            CameraInfo,
            self._prefix + INFO,
            self.infos.add,
            profile,
            callback_group=own_group(),
            qos_overriding_options=None if kept else overridable(),
            event_callbacks=events,
        )

    def _follow_latched_info(self) -> None:
        """Subscribes to a latched CameraInfo as well, if there is such a publisher.

        A volatile subscription does not receive messages from before. The second subscription is only made if
        there is a latched publisher, because others would warn about incompatible QoS.
        """
        offers = self._node.get_publishers_info_by_topic(self.topic(INFO))
        if not any(o.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for o in offers):
            self._drop(LATCHED_INFO)
        elif LATCHED_INFO not in self.subscriptions:
            self.subscriptions[LATCHED_INFO] = self._subscribe_to_info(latched(), self._adapting(), kept=True)

    def _events(self, name: str) -> SubscriptionEventCallbacks:
        topic = self.topic(name)
        tell = mismatch(topic, False, lambda text: self._faults.report(f"qos {topic}", text, lasting=True))
        return SubscriptionEventCallbacks(incompatible_qos=tell, matched=lambda _: self.adapt())

    def _adapting(self) -> SubscriptionEventCallbacks:
        return SubscriptionEventCallbacks(
            incompatible_qos=lambda _: self.adapt(), matched=lambda _: self.adapt()
        )

    def _drop(self, way: str) -> None:
        subscription = self.subscriptions.pop(way, None)
        if subscription is not None:
            self._node.destroy_subscription(subscription)
