# SPDX-License-Identifier: Apache-2.0
"""Composes the output messages. Each topic has one message whose buffer is reused for every frame.

Two properties of rclpy determine the design. The setter of `data` checks every byte of a bytes object or
ndarray, which takes a second for a large image, but not of array.array('B'). And allocating a new buffer per
frame costs more in page faults than filling it.
"""

import math
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from std_msgs.msg import Header

from vision_banana_ros.node.topics import message_buffers
from vision_banana_ros.node.topics.camera_info import message_of
from vision_banana_ros.perception.camera import Calibration
from vision_banana_ros.perception.geometry import Intrinsics
from vision_banana_ros.perception.obstacles import Floor, ObstacleFilter
from vision_banana_ros.perception.tracking import Tracked
from vision_banana_ros.tasks import TASKS as KNOWN
from vision_banana_ros.tasks.colors import Rgb

try:
    from vision_banana_ros.node.topics.detection_messages import MAKERS as _THINGS
except ImportError:  # a ROS without vision_msgs: the node works, only detections have no topic
    _THINGS = {}

# Encoding -> (numpy's type, channels)
_LAYOUTS: dict[str, tuple[Any, int]] = {
    "32FC1": (np.float32, 1),
    "32FC3": (np.float32, 3),
    "mono8": (np.uint8, 1),
    "16UC1": (np.uint16, 1),
    "rgb8": (np.uint8, 3),
}

RELATIVE = "depth_relative/image_rect"
"""Topic of relative depth, which is never published on a topic of metric depth."""

_PUBLISHED = {output.topic: (task.name, output) for task in KNOWN.values() for output in task.publishes}
_OTHERS: dict[str, tuple[str, ...]] = {
    "depth/camera_info": (),
    "points": ("depth",),
    "points_obstacles": ("depth",),
    RELATIVE: ("depth_relative",),
    "detections": (),
    "detections_3d": ("depth",),
    "tracks": (),
}
TASKS: dict[str, tuple[str, ...]] = {**{topic: (task,) for topic, (task, _) in _PUBLISHED.items()}, **_OTHERS}
"""The output topics with the tasks that each of them requires."""
OF_THINGS = frozenset({"detections", "detections_3d", "tracks"})
"""The outputs that also use the answers of the tasks in `THINGS`, as far as these have questions."""
THINGS = ("instances", "referring")

_NOT_IMAGES = {"depth/camera_info": CameraInfo, "points": PointCloud2, "points_obstacles": PointCloud2}
_NOT_IMAGES |= {topic: kind for topic, (kind, _) in _THINGS.items()}
OUTPUTS: dict[str, type] = {
    topic: _NOT_IMAGES.get(topic, Image) for topic in TASKS if topic not in OF_THINGS or topic in _THINGS
}
TYPES = {topic: kind for topic, kind in OUTPUTS.items() if topic != RELATIVE}
"""The outputs of bundles with metric depth."""


def group_of(topic: str) -> str:
    """The group of an output in the parameters `rates` and `priority`; relative depth belongs to depth."""
    return "detections" if topic in OF_THINGS else topic.split("/", 1)[0].removesuffix("_relative")


GROUPS = tuple(dict.fromkeys(group_of(topic) for topic in TASKS))
_NEED_CAMERA = frozenset({"points", "points_obstacles", "depth/camera_info", "detections_3d"})


def needs_camera(topic: str, depth_needs_lens: bool) -> bool:
    """Whether an output requires a CameraInfo; `depth_needs_lens` is `Perceiver.needs_lens`."""
    return topic in _NEED_CAMERA or (depth_needs_lens and "depth" in TASKS[topic])


@dataclass(frozen=True)
class Seen:
    """A frame with all of its answers on one pixel grid.

    Attributes:
        header: The header of the frame.
        image: (H, W, 3) uint8 RGB.
        answers: Answers by task, in the order of the questions.
        legend: Colours of the classes in the order of their ids.
        depth_range: Range of depth in visualisations, in metres.
        camera: Intrinsics on this grid; None without a usable CameraInfo.
        obstacles: The filter of points_obstacles.
        ignored: (H, W) bool, pixels of classes that points_obstacles leaves out; None for none.
        floor: The floor, which points_obstacles leaves out; None if unknown.
        obstacle_scale: Factor for the depth of points_obstacles, from the error of the floor's depth.
        things: Detections with their tracks.
    """

    header: Header
    image: np.ndarray
    answers: dict[str, list[Any]]
    legend: dict[str, Rgb]
    depth_range: tuple[float, float]
    camera: Intrinsics | None
    obstacles: ObstacleFilter
    ignored: np.ndarray | None = None
    floor: Floor | None = None
    obstacle_scale: float = 1.0
    things: Sequence[Tracked] = ()


def image_message(header: Header, encoding: str, height: int, width: int) -> tuple[Image, np.ndarray]:
    """Creates an image message and a writable view of its pixels, (H, W) or (H, W, channels)."""
    dtype, channels = _LAYOUTS[encoding]
    step = width * channels * np.dtype(dtype).itemsize
    message = Image(header=header, height=height, width=width, encoding=encoding, is_bigendian=0, step=step)
    message.data = array("B", bytes(step * height))
    pixels = np.frombuffer(message.data, dtype)  # of what the message has: some versions of rclpy take a copy
    return message, pixels.reshape(height, width) if channels == 1 else pixels.reshape(
        height, width, channels
    )


class Composer:
    """Makes the message of a topic. A message is valid until the same topic is composed again."""

    def __init__(self) -> None:
        self._images: dict[str, tuple[Image, np.ndarray]] = {}
        self._cloud: tuple[PointCloud2, np.ndarray] | None = None
        self._makers: dict[str, Callable[[Seen], Any]] = {
            "depth/camera_info": self._camera_info,
            "normals/image": self._normals,
            "segmentation/confidence": self._confidence,
            "referring/mask": self._referring,
            "points": self._points,
            "points_obstacles": self._obstacles,
            "depth/color": self._depth_color,
            "normals/color": self._normals_color,
            "segmentation/overlay": self._overlay,
            RELATIVE: self._depth_relative,
        }

    def compose(self, topic: str, seen: Seen) -> Any:
        """The message of a topic with the header of the frame, or None if a required answer is missing."""
        if not all(seen.answers.get(task) for task in TASKS[topic]):
            return None
        if topic in OF_THINGS:
            answered = any(seen.answers.get(task) for task in THINGS)
            return (
                _THINGS[topic][1](seen.header, seen.things)
                if answered and (seen.camera or topic != "detections_3d")
                else None
            )
        maker = self._makers.get(topic)
        return maker(seen) if maker else self._plain(topic, seen)

    def _plain(self, topic: str, seen: Seen) -> Image:
        """Publishes a field of the answer unchanged."""
        task, output = _PUBLISHED[topic]
        message, pixels = self._image(topic, output.encoding, seen)
        pixels[:] = getattr(seen.answers[task][0], output.field)
        return message

    def _image(self, topic: str, encoding: str, seen: Seen) -> tuple[Image, np.ndarray]:
        height, width = seen.image.shape[:2]
        kept = self._images.get(topic)
        if kept is None or kept[1].shape[:2] != (height, width):
            kept = self._images[topic] = image_message(seen.header, encoding, height, width)
        kept[0].header = seen.header
        return kept

    def _depth_relative(self, seen: Seen) -> Image:
        message, pixels = self._image(RELATIVE, "32FC1", seen)
        pixels[:] = seen.answers["depth_relative"][0].depth_relative
        return message

    def _camera_info(self, seen: Seen) -> CameraInfo | None:
        if seen.camera is None:
            return None
        info = message_of(Calibration.of_pinhole(seen.camera))
        info.header = seen.header
        return info

    def _normals(self, seen: Seen) -> Image:
        message, pixels = self._image("normals/image", "32FC3", seen)
        message_buffers.optical_normals(seen.answers["normals"][0].normals, pixels)
        return message

    def _confidence(self, seen: Seen) -> Image:
        message, pixels = self._image("segmentation/confidence", "mono8", seen)
        message_buffers.confidence_bytes(seen.answers["semantic"][0].confidence, pixels)
        return message

    def _referring(self, seen: Seen) -> Image:
        message, pixels = self._image("referring/mask", "mono8", seen)
        pixels[:] = 0
        best = np.zeros(pixels.shape, np.float32)
        for value, answer in enumerate(seen.answers["referring"], 1):
            message_buffers.referring_values(answer.mask, answer.confidence, value, best, pixels)
        return message

    def _points(self, seen: Seen) -> PointCloud2 | None:
        if seen.camera is None:
            return None
        height, width = seen.image.shape[:2]
        if self._cloud is None or self._cloud[1].shape[:2] != (height, width):
            cloud = _cloud_message(
                height, width, ("x", "y", "z", "rgb"), array("B", bytes(16 * width * height)), dense=False
            )
            self._cloud = cloud, np.frombuffer(cloud.data, np.float32).reshape(height, width, 4)
        message, points = self._cloud
        message.header = seen.header
        k = seen.camera
        depth_m = seen.answers["depth"][0].depth_m
        message_buffers.cloud(depth_m, seen.image, k.fx, k.fy, k.cx, k.cy, points, points.view(np.uint32))
        return message

    def _obstacles(self, seen: Seen) -> PointCloud2 | None:
        if seen.camera is None:
            return None
        depth = seen.answers["depth"][0]
        depth_m = depth.depth_m
        if seen.obstacle_scale != 1:
            depth_m = depth_m * np.float32(seen.obstacle_scale)
        points = seen.obstacles(depth_m, depth.confidence, seen.camera, seen.floor, seen.ignored)
        message = _cloud_message(1, len(points), "xyz", array("B", points.tobytes()), dense=True)
        message.header = seen.header
        return message

    def _depth_color(self, seen: Seen) -> Image:
        message, pixels = self._image("depth/color", "rgb8", seen)
        message_buffers.depth_color(seen.answers["depth"][0].depth_m, *seen.depth_range, pixels)
        return message

    def _normals_color(self, seen: Seen) -> Image:
        message, pixels = self._image("normals/color", "rgb8", seen)
        message_buffers.normals_color(seen.answers["normals"][0].normals, pixels)
        return message

    def _overlay(self, seen: Seen) -> Image:
        message, pixels = self._image("segmentation/overlay", "rgb8", seen)
        message_buffers.overlay(seen.image, seen.answers["semantic"][0].labels, seen.legend, pixels)
        return message


def _cloud_message(height: int, width: int, fields: Iterable[str], data: array, dense: bool) -> PointCloud2:
    """A cloud of float32 fields without row padding: Nav2 reads it in lockstep with the mask."""
    described = [
        PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
        for i, name in enumerate(fields)
    ]
    step = 4 * len(described)
    message = PointCloud2(
        height=height,
        width=width,
        fields=described,
        is_bigendian=False,
        point_step=step,
        row_step=step * width,
        is_dense=dense,
    )
    message.data = data
    return message


def picture_range(depth_range_m: tuple[float, float], max_range: float) -> tuple[float, float]:
    """(near, far) in metres that a bundle's depths are coloured over.

    Always the same, so that colours do not flicker.
    """
    near, far = max(depth_range_m[0], 0.2), min(depth_range_m[1], 20.0, max_range or math.inf)
    return near, max(far, 2 * near)
