# SPDX-License-Identifier: Apache-2.0
"""Where a camera was at each frame: out of a bag's transforms or odometry, or out of a file, without ROS."""

import math
import posixpath
from bisect import bisect_left
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from vision_banana_ros.cli.shared.bags import image_connection, nanoseconds, opened
from vision_banana_ros.cli.shared.frames import Frame
from vision_banana_ros.errors import InputError
from vision_banana_ros.files import read_bounded

WAYS = ("tf", "odom")
TF, TF_STATIC, ODOMETRY = "/tf", "/tf_static", "nav_msgs/msg/Odometry"
REACH_NS = 200_000_000
"""So far before the first and after the last transform the nearest one is taken; drivers and filters start
a little apart."""

FARTHEST_M = 1e8
"""Of a position; the largest coordinates in use, those from the middle of the earth, have 6.4e6."""

Pose = Callable[[Frame], np.ndarray]
"""The pose of a frame's camera, (4, 4) from its optical frame to the fixed frame. InputError where it is
not known."""


class Transforms:
    """A tree of frames, each with its pose in its parent over time."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}
        self._fixed: dict[str, np.ndarray] = {}
        self._moving: dict[str, list[tuple[int, np.ndarray, np.ndarray]]] = {}

    def add(
        self,
        parent: str,
        child: str,
        stamp_ns: int | None,
        position: Iterable[float],
        quaternion: Iterable[float],
    ) -> None:
        """A transform from `child` to `parent`.

        Args:
            parent: Name of the frame that the pose is in.
            child: Name of the frame whose pose it is.
            stamp_ns: When it holds; None: always.
            position: x, y, z in metres.
            quaternion: x, y, z, w; of any length but 0.
        """
        place, turn = np.array(list(position), float), np.array(list(quaternion), float)
        length = math.hypot(*turn)
        if not _is_pose(place, length):
            raise InputError(
                f"The transform from {child} to {parent} is no pose: {place.tolist()}, {turn.tolist()}."
            )
        self._parents[child.lstrip("/")] = parent.lstrip("/")
        if stamp_ns is None:
            self._fixed[child.lstrip("/")] = matrix(place, turn / length)
        else:
            self._moving.setdefault(child.lstrip("/"), []).append((stamp_ns, place, turn / length))

    def sort(self) -> None:
        """After the last `add`: transforms may have come in any order."""
        for times in self._moving.values():
            times.sort(key=lambda each: each[0])

    def pose(self, frame: str, stamp_ns: int) -> np.ndarray:
        """(4, 4) from a frame to the root of its tree at a time.

        InputError where a transform of that time is missing.
        """
        name, found = frame.lstrip("/"), np.eye(4)
        if name not in self._parents:
            raise InputError(
                f"No transform leads from '{frame}', the frame of the images; record /tf and"
                " /tf_static with them."
            )
        for _ in range(len(self._parents) + 1):
            if name not in self._parents:
                break
            found = (self._at(name, stamp_ns) if name in self._moving else self._fixed[name]) @ found
            name = self._parents[name]
        else:
            raise InputError(f"The transforms of '{frame}' lead round in a circle, at '{name}'.")
        return found

    def _at(self, name: str, stamp_ns: int) -> np.ndarray:
        times = self._moving[name]
        after = bisect_left(times, stamp_ns, key=lambda each: each[0])
        if after in (0, len(times)):
            stamp, place, turn = times[min(after, len(times) - 1)]
            if abs(stamp - stamp_ns) > REACH_NS:
                raise InputError(
                    f"The transform of '{name}' nearest to this frame is"
                    f" {abs(stamp - stamp_ns) / 1e9:.2f} s away."
                )
            return matrix(place, turn)
        (t0, p0, q0), (t1, p1, q1) = times[after - 1], times[after]
        share = (stamp_ns - t0) / (t1 - t0)
        # between neighbours as good as along the sphere
        turn = (1 - share) * q0 + share * (q1 if q0 @ q1 >= 0 else -q1)
        return matrix((1 - share) * p0 + share * p1, turn / np.linalg.norm(turn))


def matrix(position: np.ndarray, quaternion: np.ndarray) -> np.ndarray:
    """(4, 4) of a position (3,) and a unit quaternion x, y, z, w."""
    x, y, z, w = quaternion
    found = np.eye(4)
    found[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    found[:3, 3] = position
    return found


def bag_poses(path: Path, topic: str | None, way: str) -> Pose:
    """The poses of a bag's camera.

    Args:
        path: A bag.
        topic: Its image topic; None: the only one.
        way: "tf": by /tf and /tf_static. "odom": by the only Odometry, and /tf_static from its child frame to
            the camera.

    Raises:
        InputError: where the bag has none of these.
    """
    transforms = Transforms()
    with opened(path) as reader:
        images = image_connection(path, reader.connections, topic)
        wanted = [c for c in reader.connections if _is_wanted(c, way) and c.msgcount]
        for kind in ("tf2_msgs/msg/TFMessage",) if way == "tf" else (ODOMETRY,):
            if not any(c.msgtype == kind for c in wanted):
                raise InputError(
                    f"The bag '{path}' has no {kind.rpartition('/')[2]}, which --poses {way}"
                    " needs; record it too."
                )
        if way == "odom" and len(names := sorted({c.topic for c in wanted if c.msgtype == ODOMETRY})) > 1:
            raise InputError(
                f"The bag '{path}' has several topics of odometry ({', '.join(names)}); use --poses tf."
            )
        for connection, _, raw in reader.messages(wanted):
            _take(transforms, connection, reader.deserialize(raw, connection.msgtype))
        frame_id = next(
            (reader.deserialize(raw, c.msgtype).header.frame_id for c, _, raw in reader.messages([images])),
            "",
        )
    transforms.sort()

    def pose(frame: Frame) -> np.ndarray:
        assert frame.stamp_ns is not None  # a bag's frames have one
        return transforms.pose(frame_id, frame.stamp_ns)

    return pose


def file_poses(path: Path) -> Pose:
    """The poses in a file of lines "NAME x y z qx qy qz qw", as those of TUM's RGB-D benchmark.

    NAME is a picture's without its ending; the pose leads from the optical frame (x right, y down, z forward)
    to the fixed one, in metres. Lines that begin with # are left out.

    Raises:
        InputError: where a line is no pose.
    """
    poses: dict[str, tuple[float, ...]] = {}
    for number, line in enumerate(read_bounded(path, 16_000_000).decode(errors="replace").splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            pose_of = tuple(float(word) for word in words[1:])
            if len(pose_of) != 7 or not _is_pose(pose_of[:3], math.hypot(*pose_of[3:])):
                raise ValueError
        except ValueError:
            raise InputError(f"Line {number} of '{path}' is no pose: write NAME x y z qx qy qz qw.") from None
        if poses.setdefault(words[0], pose_of) != pose_of:
            raise InputError(f"Line {number} of '{path}' gives {words[0]} a second pose: leave one out.")

    def pose(frame: Frame) -> np.ndarray:
        found = poses.get(frame.name, poses.get(posixpath.basename(frame.name)))
        if found is None:
            raise InputError(f"'{path}' has no pose of {frame.name}.")
        turn = np.array(found[3:])
        return matrix(np.array(found[:3]), turn / math.hypot(*turn))

    return pose


def _is_pose(place: Iterable[float], length: float) -> bool:
    """Whether a position and the length of a quaternion are those of a pose. Not-a-number is in no range."""
    return all(abs(x) < FARTHEST_M for x in place) and 1e-6 < length < math.inf


def _is_wanted(connection: Any, way: str) -> bool:
    if way == "tf":
        return connection.topic in (TF, TF_STATIC)
    return connection.topic == TF_STATIC or connection.msgtype == ODOMETRY


def _take(transforms: Transforms, connection: Any, message: Any) -> None:
    if connection.msgtype == ODOMETRY:
        p, q = message.pose.pose.position, message.pose.pose.orientation
        parent, child = message.header.frame_id, message.child_frame_id
        transforms.add(parent, child, nanoseconds(message), (p.x, p.y, p.z), (q.x, q.y, q.z, q.w))
        return
    for each in message.transforms:
        p, q = each.transform.translation, each.transform.rotation
        stamp = None if connection.topic == TF_STATIC else nanoseconds(each)
        transforms.add(
            each.header.frame_id, each.child_frame_id, stamp, (p.x, p.y, p.z), (q.x, q.y, q.z, q.w)
        )
