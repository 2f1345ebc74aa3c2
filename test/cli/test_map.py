# SPDX-License-Identifier: Apache-2.0
"""`vision-banana map`: poses out of bags and files, and a mesh of a rendered trajectory whose truth is
known."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from bag_support import STORE, header, raw_image, write_bag
from oracle import Oracle, Truth
from rosbags.rosbag2 import StoragePlugin

from vision_banana_ros.cli.main import main
from vision_banana_ros.cli.shared.frames import Frame
from vision_banana_ros.cli.shared.poses import Transforms, bag_poses, file_poses, matrix
from vision_banana_ros.errors import InputError
from vision_banana_ros.perception import Intrinsics, Question, points
from vision_banana_ros.scenes import CLASSES, SimulatedCamera

IMAGE = np.zeros((2, 2, 3), np.uint8)
LEGEND = {name: ((37 * i) % 256, (91 * i) % 256, (151 * i) % 256) for i, name in enumerate(CLASSES)}
HALF = np.sqrt(0.5)
SECOND = 7_000_000_000


def at(ns):
    return Frame(str(SECOND + ns), IMAGE, stamp_ns=SECOND + ns)


def transform(parent, child, ns, position, quaternion=(0.0, 0, 0, 1)):
    types = STORE.types
    head = types["std_msgs/msg/Header"](types["builtin_interfaces/msg/Time"](7, ns), parent)
    moved = types["geometry_msgs/msg/Transform"](
        types["geometry_msgs/msg/Vector3"](*map(float, position)),
        types["geometry_msgs/msg/Quaternion"](*map(float, quaternion)),
    )
    return types["tf2_msgs/msg/TFMessage"]([types["geometry_msgs/msg/TransformStamped"](head, child, moved)])


def odometry(ns, position, child="base"):
    types = STORE.types
    pose = types["geometry_msgs/msg/Pose"](
        types["geometry_msgs/msg/Point"](*map(float, position)),
        types["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0),
    )
    twist = types["geometry_msgs/msg/Twist"](
        *(types["geometry_msgs/msg/Vector3"](0.0, 0.0, 0.0) for _ in range(2))
    )
    covariances = [
        types[f"geometry_msgs/msg/{kind}WithCovariance"](v, np.zeros(36))
        for kind, v in (("Pose", pose), ("Twist", twist))
    ]
    head = header(7, ns)
    head.frame_id = "odom"
    return types["nav_msgs/msg/Odometry"](head, child, *covariances)


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    """A robot that drives 1 m along x within 1 s, turning left by 90 degrees, with its camera 0.5 m above
    it."""
    path = tmp_path_factory.mktemp("bags") / "drive"
    moving = [
        transform("odom", "base", 0, (0, 0, 0)),
        transform("odom", "base", 900_000_000, (1, 0, 0), (0, 0, HALF, HALF)),
    ]
    fixed = [transform("base", "camera", 0, (0, 0, 0.5))]
    driven = [odometry(0, (2, 0, 0)), odometry(900_000_000, (3, 0, 0))]
    topics = {"/image": [raw_image(0, "rgb8")], "/tf": moving, "/tf_static": fixed, "/odom": driven}
    return write_bag(path, StoragePlugin.MCAP, topics)


def test_tf_and_odometry_give_the_pose_of_each_frame(bag):
    by_tf, by_odometry = bag_poses(bag, None, "tf"), bag_poses(bag, "/image", "odom")
    np.testing.assert_allclose(by_tf(at(0))[:3, 3], (0, 0, 0.5))
    half_way = by_tf(at(450_000_000))
    np.testing.assert_allclose(half_way[:3, 3], (0.5, 0, 0.5))
    np.testing.assert_allclose(half_way[:3, 0], (HALF, HALF, 0), atol=1e-9)  # turned by 45 degrees
    np.testing.assert_allclose(by_tf(at(990_000_000))[:3, 0], (0, 1, 0), atol=1e-9)
    np.testing.assert_allclose(by_odometry(at(450_000_000))[:3, 3], (2.5, 0, 0.5))


def test_a_frame_without_a_transform_of_its_time_is_a_sentence(bag):
    with pytest.raises(InputError, match="'base' nearest to this frame is"):
        bag_poses(bag, None, "tf")(at(-5_000_000_000))


@pytest.mark.parametrize("way", ["tf", "odom"])
def test_a_bag_without_poses_is_a_sentence(tmp_path, way):
    path = write_bag(tmp_path / "bag", StoragePlugin.MCAP, {"/image": [raw_image(0, "rgb8")]})
    with pytest.raises(InputError, match="record it too"):
        bag_poses(path, None, way)


def test_trees_that_cannot_be_are_sentences():
    tree = Transforms()
    tree.add("a", "b", None, (0, 0, 0), (0, 0, 0, 1))
    with pytest.raises(InputError, match="No transform leads from 'camera'"):
        tree.pose("camera", 0)
    tree.add("b", "a", None, (0, 0, 0), (0, 0, 0, 1))
    with pytest.raises(InputError, match="circle"):
        tree.pose("b", 0)
    for position, quaternion in (
        ((0, 0, np.nan), (0, 0, 0, 1)),
        ((0, 0, 0), (0, 0, 0, 0)),
        ((0, 0, 0), (np.inf, 0, 0, 1)),
        ((1e300, 0, 0), (0, 0, 0, 1)),
    ):
        with pytest.raises(InputError, match="no pose"):
            tree.add("a", "c", None, position, quaternion)


def drive(path, moving=(), fixed=(), driven=()):
    topics = {"/image": [raw_image(0, "rgb8")], "/tf": moving, "/tf_static": fixed, "/odom": driven}
    return write_bag(path, StoragePlugin.MCAP, {topic: list(each) for topic, each in topics.items() if each})


MOUNTED = (transform("base", "camera", 0, (0, 0, 0.5)),)


def test_a_tree_that_is_cut_does_not_put_all_frames_on_one_place(tmp_path):
    wheels = [transform("base", "wheel", ns, (0, 0, 0)) for ns in (0, 900_000_000)]
    with pytest.raises(InputError, match="end at 'base', which nothing in /tf moves"):
        bag_poses(drive(tmp_path / "tf", wheels, MOUNTED), None, "tf")
    for child in ("", "base_footprint"):
        driven = [odometry(ns, (ns / 1e9, 0, 0), child) for ns in (0, 900_000_000)]
        with pytest.raises(InputError, match=f"the odometry of '{child}' moves"):
            bag_poses(drive(tmp_path / f"odom{child}", (), MOUNTED, driven), None, "odom")


def test_two_parents_of_the_camera_are_a_sentence_and_those_of_others_are_not(tmp_path):
    moving = [transform("odom", "base", ns, (0, 0, 0)) for ns in (0, 900_000_000)]
    cup = [transform(parent, "cup", 0, (0, 0, 0)) for parent in ("table", "hand")]
    bag_poses(drive(tmp_path / "cup", [*moving, *cup], MOUNTED), None, "tf")
    twice = [*moving, transform("map", "base", 450_000_000, (7, 0, 0))]
    with pytest.raises(InputError, match="'base' has two parents, 'odom' and 'map'"):
        bag_poses(drive(tmp_path / "two", twice, MOUNTED), None, "tf")


def test_no_pose_is_made_up_where_transforms_are_missing_while_it_moved():
    tree = Transforms()
    for second, x in ((0, 0), (1, 1), (11, 1), (21, 4)):
        tree.add("odom", "camera", second * 1_000_000_000, (x, 0, 0), (0, 0, 0, 1))
    tree.sort()
    np.testing.assert_allclose(tree.pose("camera", 500_000_000)[0, 3], 0.5)
    np.testing.assert_allclose(tree.pose("camera", 6_000_000_000)[0, 3], 1)  # it stood still
    np.testing.assert_allclose(tree.pose("camera", 11_100_000_000)[0, 3], 1.03)
    with pytest.raises(InputError, match="for 10.0 s, in which it moved"):
        tree.pose("camera", 16_000_000_000)


def test_poses_that_jump_are_told_and_fast_ones_are_not(tmp_path):
    told: list[str] = []
    steps = [(k * 100_000_000, (0.1 * k + (5 if k > 4 else 0), 0, 0)) for k in range(9)]
    jumping = [transform("odom", "base", *step) for step in steps]
    bag_poses(drive(tmp_path / "jumps", jumping, MOUNTED), None, "tf", told.append)
    assert told[0] == "Poses of 'camera' in 'odom'."
    assert "'base' jumps by 5.1 m within 0.10 s" in told[1]
    told.clear()
    fast = [transform("odom", "base", k * 100_000_000, (3.0 * k, 0, 0)) for k in range(9)]
    bag_poses(drive(tmp_path / "fast", fast, MOUNTED), None, "tf", told.append)
    assert len(told) == 1


def test_a_file_of_poses_is_read_and_its_mistakes_are_sentences(tmp_path):
    path = tmp_path / "poses.txt"
    path.write_text("# name x y z qx qy qz qw\n\nframe_1 1 2 3 0 0 0 2\n")
    pose = file_poses(path)
    np.testing.assert_allclose(
        pose(Frame("frame_1", IMAGE)), matrix(np.array([1.0, 2, 3]), np.array([0.0, 0, 0, 1]))
    )
    with pytest.raises(InputError, match="no pose of frame_2"):
        pose(Frame("frame_2", IMAGE))
    for line in (
        "a 1 2 3",
        "a 1 2 3 0 0 0 0",
        "a 1 2 nan 0 0 0 1",
        "a 1 2 1e300 0 0 0 1",
        "a 1 2 3 0 0 0 x",
        "a 1 2 3 0 0 0 1 9",
    ):
        path.write_text(line)
        with pytest.raises(InputError, match="Line 1"):
            file_poses(path)
    path.write_text("a 1 2 3 0 0 0 1\na 1 2 4 0 0 0 1\n")
    with pytest.raises(InputError, match="Line 2.*second pose"):
        file_poses(path)


def quaternion(rotation):
    """Of a rotation matrix that turns by less than 180 degrees."""
    w = np.sqrt(max(1 + np.trace(rotation), 1e-9)) / 2
    r = rotation
    return np.array([r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], 4 * w * w]) / (4 * w)


def test_a_folder_with_poses_becomes_a_mesh_on_the_true_surfaces(tmp_path, monkeypatch, capsys):
    pytest.importorskip("open3d", reason="Open3D is an extra", exc_type=ImportError)
    camera = SimulatedCamera(4, 128, 96, 10.0)
    views = {f"view_{k}": camera.view(2.0 * k) for k in range(4)}
    lines = []
    for name, view in views.items():
        cv2.imwrite(str(tmp_path / f"{name}.png"), view.image[..., ::-1])
        pose = view.camera.pose
        assert np.allclose(matrix(pose[:3, 3], quaternion(pose[:3, :3])), pose, atol=1e-6)
        lines.append(" ".join([name, *map(str, [*pose[:3, 3], *quaternion(pose[:3, :3])])]))
    (tmp_path / "poses.txt").write_text("\n".join(lines[:3]))  # one frame has no pose

    def truth(image):
        view = min(views.values(), key=lambda v: np.abs(v.image.astype(int) - image).mean())
        return Truth(depth_m=view.depth_m, labels=view.labels)

    oracle = Oracle((96, 128), truth, [Question.semantic(LEGEND)])
    monkeypatch.setattr("vision_banana_ros.cli.map.load_generator", lambda bundle, executor="auto": oracle)
    fov = np.degrees(2 * np.arctan(64 / views["view_0"].camera.fx))
    given = [
        "map",
        str(tmp_path),
        "--poses",
        str(tmp_path / "poses.txt"),
        "--out",
        str(tmp_path / "out"),
        "--fov",
        str(fov),
    ]
    assert main([*given, "--voxel", "0.06"]) == 1
    said = capsys.readouterr()
    assert "no pose of view_3" in said.err and "3 frames used, 1 not" in said.out and "floor" in said.out
    vertices = read_vertices(tmp_path / "out" / "mesh.ply")
    classes = read_vertices(tmp_path / "out" / "classes.ply")
    seen = [
        points(v.depth_m, Intrinsics.of(v.camera)).reshape(-1, 3) @ v.camera.pose[:3, :3].T
        + v.camera.pose[:3, 3]
        for v in views.values()
    ]
    seen = np.concatenate(seen)[np.isfinite(np.concatenate(seen)).all(1)]
    some = np.random.default_rng(0).choice(len(vertices), 200)
    away = [np.sqrt(((seen - place) ** 2).sum(1).min()) for place in vertices["xyz"][some]]
    assert np.median(away) < 0.06 and (classes["xyz"] == vertices["xyz"]).all()
    assert {tuple(c) for c in classes["rgb"]} <= {*LEGEND.values(), (128, 128, 128)}
    assert [c["name"] for c in json.loads((tmp_path / "out" / "legend.json").read_text())["classes"]] == list(
        LEGEND
    )
    assert main(given) == 2 and "holds results already" in capsys.readouterr().err


def read_vertices(path: Path) -> np.ndarray:
    head, _, body = path.read_bytes().partition(b"end_header\n")
    count = int(head.split(b"element vertex ")[1].split()[0])
    return np.frombuffer(body[: 15 * count], np.dtype([("xyz", "<f4", 3), ("rgb", "u1", 3)]))
