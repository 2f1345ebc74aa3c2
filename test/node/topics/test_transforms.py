# SPDX-License-Identifier: Apache-2.0
"""Where frames are, by tf2; and the floor and the range sensors that follow from it.

The wheels of ROS have no tf2, so a buffer with its interface stands in: `lookup_transform(target, source,
time)`, which raises `TransformException`, a service on the node and, since Jazzy, a handle at its clock.
"""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from rclpy.time import Time
from sensor_msgs.msg import LaserScan

from vision_banana_ros.errors import InputError
from vision_banana_ros.node.topics import transforms
from vision_banana_ros.node.topics.range_sensor import Ranges
from vision_banana_ros.node.topics.transforms import NotOptical, Transforms

SECOND = 1_000_000_000


class Buffer:
    """Knows one transform, of one moment or, with 0, of all."""

    def __init__(self, node=None):
        if node is not None:
            self.srv = node.create_service("tf2_frames")
            self.jump_handle = SimpleNamespace(unregister=lambda: node.jumps.remove(self))
            node.jumps.append(self)
        self.at_ns = 0
        self.cleared = 0
        self.transform = TransformStamped()
        # base_link from an optical frame that looks level along x, 1.2 m above the floor
        q, t = self.transform.transform.rotation, self.transform.transform.translation
        q.x, q.y, q.z, q.w = -0.5, 0.5, -0.5, 0.5
        t.x, t.z = 0.3, 1.2

    def clear(self):
        self.cleared += 1

    def lookup_transform(self, target, source, time):
        if (target, source) != ("base_link", "camera"):
            raise tf2.TransformException(
                f'"{source}" passed to lookupTransform argument source_frame does not exist'
            )
        asked = time.nanoseconds
        if self.at_ns and asked and asked != self.at_ns:
            raise tf2.TransformException("Lookup would require extrapolation into the future")
        self.transform.header.stamp = Time(nanoseconds=self.at_ns).to_msg()
        return self.transform


tf2 = SimpleNamespace(
    TransformException=type("TransformException", (Exception,), {}),
    Buffer=Buffer,
    TransformListener=lambda buffer, node, spin_thread: SimpleNamespace(unregister=lambda: None),
)


@pytest.fixture
def node():
    """What tf2 uses of a node."""
    node = SimpleNamespace(services=[], jumps=[])
    node.create_service = lambda name: node.services.append(name) or name
    node.destroy_service = node.services.remove
    return node


@pytest.fixture
def known(monkeypatch, node):
    monkeypatch.setattr(transforms, "tf2_ros", tf2)
    found = Transforms(node)
    found.listen(True)
    return found


def test_a_point_ahead_of_the_camera_is_ahead_of_the_robot(known):
    matrix = known.matrix("base_link", "camera", 5 * SECOND)
    assert matrix @ [0.5, 0.2, 2.0, 1] == pytest.approx([2.3, -0.5, 1.0, 1])
    floor = known.floor("base_link", "camera", 5 * SECOND)
    assert floor.heights(np.array([[0, 1.2, 3], [0, 0, 3]])) == pytest.approx([0, 1.2])


@pytest.mark.parametrize(
    ("pitch", "optical"), [(0, True), (-90, True), (30, True), (60, False), (90, False)], ids=str
)
def test_a_camera_that_looks_straight_up_is_rather_one_whose_frame_id_is_not_optical(known, pitch, optical):
    """pitch: of the view, degrees above the horizon. A frame_id of x forward and z up is as one of 90."""
    q, half = known.buffer.transform.transform.rotation, math.radians(pitch) / 2
    # turned about the optical frame's own x, after the level camera's rotation
    s, c = math.sin(half) / 2, math.cos(half) / 2
    q.x, q.y, q.z, q.w = -c + s, c - s, -c - s, c + s
    if optical:
        assert known.floor("base_link", "camera", 0).up[2] == pytest.approx(math.sin(math.radians(pitch)))
    else:
        with pytest.raises(NotOptical, match="camera looks straight up"):
            known.floor("base_link", "camera", 0)


def test_the_newest_transform_is_taken_unless_it_is_of_another_time(known):
    known.buffer.at_ns = 10 * SECOND
    known.matrix("base_link", "camera", int(10.2 * SECOND))
    with pytest.raises(InputError, match="2.0 s away from the frame"):
        known.matrix("base_link", "camera", 12 * SECOND)


def test_a_frame_from_before_the_clock_began_takes_what_holds_at_all_times(known):
    assert known.matrix("base_link", "camera", -5 * SECOND)[2, 3] == 1.2
    known.buffer.at_ns = 10 * SECOND
    with pytest.raises(InputError, match="15.0 s away from the frame"):
        known.matrix("base_link", "camera", -5 * SECOND)


def test_nothing_of_tf2_stays_on_the_node_when_it_is_not_listened_to(monkeypatch, node):
    """A base_frame that is set and unset while the node runs: its services must not become more."""
    monkeypatch.setattr(transforms, "tf2_ros", tf2)
    found = Transforms(node)
    for wanted in (True, True, False, True):
        found.listen(wanted)
    assert len(node.services) == len(node.jumps) == 1
    found.listen(False)
    assert not node.services and not node.jumps and found.buffer is None


def test_time_that_begins_anew_empties_the_buffer(known):
    known.forget()
    assert known.buffer.cleared == 1
    known.listen(False)
    known.forget()


@pytest.mark.parametrize("changes", [{"z": math.nan}, {"z": 1e308}, {"x": math.inf}])
def test_a_transform_that_is_no_place_is_refused(known, changes):
    for name, value in changes.items():
        setattr(known.buffer.transform.transform.translation, name, value)
    with pytest.raises(InputError, match="no place or turn"):
        known.matrix("base_link", "camera", SECOND)


def test_a_rotation_of_no_length_is_refused(known):
    q = known.buffer.transform.transform.rotation
    q.x = q.y = q.z = q.w = 0.0
    with pytest.raises(InputError, match="no place or turn"):
        known.matrix("base_link", "camera", SECOND)


def test_what_is_missing_is_said(known, monkeypatch):
    with pytest.raises(InputError, match="no transform from elsewhere to base_link: .*does not exist"):
        known.matrix("base_link", "elsewhere", 0)
    with pytest.raises(InputError, match="no frame_id"):
        known.matrix("base_link", "", 0)
    known.listen(False)
    with pytest.raises(InputError, match="not listened to"):
        known.matrix("base_link", "camera", 0)
    monkeypatch.setattr(transforms, "tf2_ros", None)
    known.listen(True)
    with pytest.raises(InputError, match="not installed"):
        known.matrix("base_link", "camera", 0)


def test_a_range_sensor_is_where_tf2_says_and_else_where_the_parameter_says(known):
    node = SimpleNamespace(resolve_topic_name=lambda name: name)
    ranges = Ranges(node, "", known)
    ranges.camera_frame = "base_link"  # the buffer's target
    scan = LaserScan(angle_min=0.0, angle_increment=0.1, range_min=0.1, range_max=10.0, ranges=[2.0])
    scan.header.frame_id = "camera"
    ranges.on_message(scan)
    # 2 m along the sensor's x, which is the robot's right
    assert ranges.points(0, (0.0,) * 6) == pytest.approx(np.array([[0.3, -2.0, 1.2]]))
    assert ranges.placed_by.startswith("tf2")
    scan.header.frame_id = "laser"
    assert ranges.points(0, (0.1, 0, 0, 0, 0, 0)) == pytest.approx(np.array([[0, 0, 2.1]]))
    assert ranges.placed_by.startswith("range_pose, because tf2 has no transform")
