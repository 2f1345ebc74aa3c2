# SPDX-License-Identifier: Apache-2.0
"""Detections and tracks as messages of vision_msgs, whose import fails where ROS has none."""

from collections.abc import Callable, Sequence
from typing import Any

from std_msgs.msg import Header
from vision_msgs.msg import (
    Detection2D,
    Detection2DArray,
    Detection3D,
    Detection3DArray,
    ObjectHypothesisWithPose,
)

from vision_banana_ros.perception.detections import Detection, Solid
from vision_banana_ros.perception.tracking import Tracked


def detections(header: Header, things: Sequence[Tracked]) -> Detection2DArray:
    """All things of a frame with their boxes in pixels; `id` is that of the track."""
    return Detection2DArray(
        header=header, detections=[_flat(header, thing, thing.detection.box) for thing in things]
    )


def tracks(header: Header, things: Sequence[Tracked]) -> Detection2DArray:
    """The things that were seen in several frames, with the boxes of the tracks' filter."""
    return Detection2DArray(
        header=header, detections=[_flat(header, thing, thing.box) for thing in things if thing.sure]
    )


def detections_3d(header: Header, things: Sequence[Tracked]) -> Detection3DArray:
    """The things whose depth is known, in the frame of the header."""
    out = Detection3DArray(header=header)
    for thing in things:
        solid = thing.detection.solid
        if solid is None:
            continue
        message = Detection3D(header=header, id=str(thing.id), results=[_hypothesis(thing.detection)])
        _place(message.bbox.center, solid)
        _place(message.results[0].pose.pose, solid)
        message.bbox.size.x, message.bbox.size.y, message.bbox.size.z = solid.size
        out.detections.append(message)
    return out


MAKERS: dict[str, tuple[type, Callable[[Header, Sequence[Tracked]], Any]]] = {
    "detections": (Detection2DArray, detections),
    "detections_3d": (Detection3DArray, detections_3d),
    "tracks": (Detection2DArray, tracks),
}
"""By topic, the type of its messages and what makes one."""


def _flat(header: Header, thing: Tracked, box: tuple[float, float, float, float]) -> Detection2D:
    left, top, width, height = box
    message = Detection2D(header=header, id=str(thing.id), results=[_hypothesis(thing.detection)])
    # A pixel's integer coordinates name its centre, so a box begins half a pixel before its first one.
    center = message.bbox.center.position
    center.x, center.y = left + (width - 1) / 2, top + (height - 1) / 2
    message.bbox.size_x, message.bbox.size_y = float(width), float(height)
    return message


def _hypothesis(detection: Detection) -> ObjectHypothesisWithPose:
    message = ObjectHypothesisWithPose()
    message.hypothesis.class_id, message.hypothesis.score = detection.name, detection.score
    return message


def _place(pose: Any, solid: Solid) -> None:
    p, q = pose.position, pose.orientation
    p.x, p.y, p.z = solid.center
    q.x, q.y, q.z, q.w = solid.orientation
