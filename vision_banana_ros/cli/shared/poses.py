# SPDX-License-Identifier: Apache-2.0
"""Where a camera was at each frame: out of a bag's transforms or odometry, or out of a file, without ROS."""

import math
import posixpath
from bisect import bisect_left
from collections.abc import Callable, Iterable
from itertools import pairwise
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

LONGEST_GAP_NS = 2_000_000_000
"""Between transforms that are farther apart nobody knows the way that was taken, if they differ."""
STILL_M, STILL_TURN = 0.05, 0.05
"""Two transforms differ by more than these, a turn by half the angle in radians."""
JUMP_M, JUMP_M_S, JUMP_TIMES = 0.5, 2.0, 10.0
"""A step that is longer, faster, and so many times as fast as the steps beside it is no movement."""

FARTHEST_M = 1e8
"""Of a position; the largest coordinates in use, those from the middle of the earth, have 6.4e6."""

Pose = Callable[[Frame], np.ndarray]
"""The pose of a frame's camera, (4, 4) from its optical frame to the fixed frame. InputError where it is
not known."""


class Transforms:
    """A tree of frames, each with its pose in its parent over time."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}
        self._second: dict[str, str] = {}
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
        if self._parents.setdefault(child.lstrip("/"), parent.lstrip("/")) != parent.lstrip("/"):
            self._second[child.lstrip("/")] = parent.lstrip("/")
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
        found = np.eye(4)
        for name in self._way(frame)[:-1]:
            found = (self._at(name, stamp_ns) if name in self._moving else self._fixed[name]) @ found
        return found

    def root(self, frame: str) -> str:
        """The frame that `pose` leads to. InputError where it leads nowhere."""
        return self._way(frame)[-1]

    def moves(self, frame: str) -> bool:
        """Whether a transform with stamps is on the way from a frame to its root."""
        return any(name in self._moving for name in self._way(frame))

    def jumps(self, frame: str) -> list[str]:
        """Of the transforms on the way from a frame to its root those that jump, as sentences."""
        told = []
        for name in self._way(frame):
            times = self._moving.get(name, [])
            step_m = (
                np.linalg.norm(np.diff([place for _, place, _ in times], axis=0), axis=-1)
                if times[1:]
                else ()
            )
            took_s = [max(after[0] - before[0], 1) / 1e9 for before, after in pairwise(times)]
            speed = np.array([0.0, *(m / s for m, s in zip(step_m, took_s, strict=True)), 0.0])
            beside = np.maximum(speed[:-2], speed[2:])
            far = np.flatnonzero(
                (np.asarray(step_m) > JUMP_M) & (speed[1:-1] > np.maximum(JUMP_M_S, JUMP_TIMES * beside))
            )
            if far.size:
                first, times_told = far[0], f" {far.size} times, first" if far.size > 1 else ""
                told.append(
                    f"The transform of '{name}' jumps{times_told} by {step_m[first]:.1f} m within"
                    f" {took_s[first]:.2f} s at {times[first + 1][0] / 1e9:.3f}: what was seen before and"
                    " after does not fit together. Cut the bag there, or record poses that are corrected."
                )
        return told

    def _way(self, frame: str) -> list[str]:
        """The frame, its parent and so on to the root."""
        way = [frame.lstrip("/")]
        if way[0] not in self._parents:
            raise InputError(
                f"No transform leads from '{frame}', the frame of the images; record /tf and"
                " /tf_static with them."
            )
        while (name := way[-1]) in self._parents:
            if name in self._second:
                raise InputError(
                    f"'{name}' has two parents, '{self._parents[name]}' and '{self._second[name]}', and a"
                    " frame has one: stop one of the two publishers, and record again."
                )
            if self._parents[name] in way:
                raise InputError(f"The transforms of '{frame}' lead round in a circle, at '{name}'.")
            way.append(self._parents[name])
        return way

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
        turned = np.linalg.norm(q1 - math.copysign(1, q0 @ q1) * q0)
        moved = np.linalg.norm(p1 - p0) > STILL_M or turned > STILL_TURN
        if moved and t1 - t0 > LONGEST_GAP_NS and min(t1 - stamp_ns, stamp_ns - t0) > REACH_NS:
            raise InputError(
                f"Around this frame no transform of '{name}' was recorded for {(t1 - t0) / 1e9:.1f} s, in"
                " which it moved."
            )
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


def bag_poses(
    path: Path, topic: str | None, way: str, tell: Callable[[str], object] = lambda sentence: None
) -> Pose:
    """The poses of a bag's camera.

    Args:
        path: A bag.
        topic: Its image topic; None: the only one.
        way: "tf": by /tf and /tf_static. "odom": by the only Odometry, and /tf_static from its child frame to
            the camera.
        tell: takes a sentence about which frame the poses lead to, and about jumps.

    Raises:
        InputError: where the bag has none of these, or they do not lead from the camera.
    """
    transforms, odometers = Transforms(), list[str]()
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
            message = reader.deserialize(raw, connection.msgtype)
            _take(transforms, connection, message)
            if connection.msgtype == ODOMETRY:
                odometers.append(message.child_frame_id)
        frame_id = next(
            (reader.deserialize(raw, c.msgtype).header.frame_id for c, _, raw in reader.messages([images])),
            "",
        )
    transforms.sort()
    root = transforms.root(frame_id)
    if not transforms.moves(frame_id):
        source = f"the odometry of '{odometers[0]}'" if odometers else TF
        raise InputError(
            f"The transforms of '{frame_id}', the frame of the images, end at '{root}', which nothing in"
            f" {source} moves: all frames would lie on one place. Record what leads on from '{root}'."
        )
    tell(f"Poses of '{frame_id}' in '{root}'.")
    for sentence in transforms.jumps(frame_id):
        tell(sentence)

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
