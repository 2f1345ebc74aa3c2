# SPDX-License-Identifier: Apache-2.0
"""Nav2's contracts, over DDS. `SemanticLayer` reads as ros-navigation/semantic_segmentation_layer
documents that it reads, and its voxel counterpart as Nav2's observation buffers do; what they get out of the
node's messages must be the truth."""

import copy
import struct
from array import array
from dataclasses import dataclass, field

import node_support
import numpy as np
import pytest
import yaml
from lifecycle_msgs.msg import Transition
from node_support import LEGEND, ROOT, Camera, camera_info, new_client, running_node, stamp_of
from oracle import Truth
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from vision_msgs.msg import LabelInfo

from vision_banana_ros.generators import default_bundle, load_generator
from vision_banana_ros.node.parameters import PARAMETERS
from vision_banana_ros.node.topics.messages import TYPES
from vision_banana_ros.scenes import CLASSES

NAV2 = ROOT / "config" / "nav2"
SEMANTIC = yaml.safe_load((NAV2 / "semantic_layer.yaml").read_text())["local_costmap"]["local_costmap"][
    "ros__parameters"
]
VOXEL = yaml.safe_load((NAV2 / "voxel_layer.yaml").read_text())["local_costmap"]["local_costmap"][
    "ros__parameters"
]
SIZE = (101, 77)  # height, width: odd, so that a padded row or a swapped size cannot go unnoticed
NEAR_M, FAR_M = 2.0, 3.0
SLOP_NS = 100_000_000
SOURCE = SEMANTIC["semantic_layer"]["camera"]
MASK, CONFIDENCE, CLOUD = (
    SOURCE[f"{name}_topic"].lstrip("/") for name in ("segmentation", "confidence", "pointcloud")
)
LABELS = SOURCE["labels_topic"].lstrip("/")
LATCHED_ALL = QoSProfile(
    history=HistoryPolicy.KEEP_ALL,
    depth=5,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


@dataclass
class SemanticLayer:
    """The layer's own rules, one by one, for clouds that are in its frame already.

    observations: (class name, confidence, x, y, z) of each pixel that it would bring to a tile. dropped: why
    frames were not read.
    """

    costs: dict[str, int]
    exact: bool = True
    names: dict[int, str] | None = None
    observations: list = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)

    def on_labels(self, message):
        self.names = {
            entry.class_id: entry.class_name for entry in message.class_map if entry.class_name in self.costs
        }

    def on_frame(self, mask, confidence, cloud):
        stamps = [stamp_of(m) for m in (mask, confidence, cloud)]
        if max(stamps) - min(stamps) > (0 if self.exact else SLOP_NS):
            self.dropped.append("never synchronised")
        elif mask.width * mask.height != cloud.width * cloud.height:
            self.dropped.append("Pointcloud and segmentation sizes are different")
        elif len(mask.data) < mask.width * mask.height:
            self.dropped.append("segmentation arrays have wrong sizes")
        elif not self.names:
            self.dropped.append("Class map is empty because a labelinfo message has not been received")
        else:
            self._walk(mask, confidence, cloud)

    def _walk(self, mask, confidence, cloud):
        """Mask and cloud in lockstep. `step` and `row_step` are never looked at: point n is at n *
        point_step."""
        offsets = {f.name: f.offset for f in cloud.fields}
        data = memoryview(cloud.data)
        most, least = SOURCE["max_obstacle_distance"] ** 2, SOURCE["min_obstacle_distance"] ** 2
        for v in range(mask.height):
            for u in range(mask.width):
                pixel = v * mask.width + u
                x, y, z = (
                    struct.unpack_from("<f", data, pixel * cloud.point_step + offsets[axis])[0]
                    for axis in "xyz"
                )
                if not np.isfinite(z) or not least < x * x + y * y + z * z < most:
                    continue
                class_id = mask.data[pixel]
                if class_id in self.names:
                    self.observations.append((self.names[class_id], confidence.data[pixel], x, y, z))


def truth(image):
    """Left floor at 2 m, right wall at 3 m; a band of sky at the top, an unreadable one below it;
    unlabelled at the bottom."""
    height, width = image.shape[:2]
    right = np.broadcast_to(np.arange(width) >= width // 2, (height, width))
    depth = np.where(right, FAR_M, NEAR_M)
    depth[: height // 6], depth[height // 6 : height // 3] = np.inf, np.nan
    labels = right.astype(np.uint8)
    labels[5 * height // 6 :] = 255
    return Truth(depth_m=depth, labels=labels)


@pytest.fixture(scope="module")
def seen():
    """What a client of Nav2's QoS receives of three frames, and the order in which it came."""
    with pytest.MonkeyPatch.context() as patch, running_node() as (node, context):
        patch.setattr(node_support, "truth", truth)
        with new_client(context) as client:
            order = []
            kinds = {
                **{
                    topic: TYPES[topic]
                    for topic in (MASK, CONFIDENCE, CLOUD, "points_obstacles")
                    if topic in TYPES
                }
            }
            for topic, kind in kinds.items():
                client.create_subscription(
                    kind, topic, lambda m, t=topic: order.append((t, m)), qos_profile_sensor_data
                )
            client.create_subscription(LabelInfo, LABELS, lambda m: order.append((LABELS, m)), LATCHED_ALL)
            assert client.transition(Transition.TRANSITION_CONFIGURE)
            assert client.transition(Transition.TRANSITION_ACTIVATE)
            camera = Camera(client)
            camera.connect()
            shown: list[int] = []
            kept: list[int] = []

            def complete():
                kept[:] = [
                    s
                    for s in shown
                    if {t for t, m in order if t != LABELS and stamp_of(m) == s} == set(kinds)
                ]
                if len(kept) == len(shown) or client.get_clock().now().nanoseconds > shown[-1] + 500_000_000:
                    camera.infos.publish(camera_info(SIZE))
                    shown.append(camera.show(100, size=SIZE))
                return len(kept) >= 5

            client.spin_until(complete, "five frames with all that Nav2 subscribes to")
            yield order, kept


def frames(seen):
    order, stamps = seen
    by_stamp = {stamp: {t: m for t, m in order if t != LABELS and stamp_of(m) == stamp} for stamp in stamps}
    return [(f[MASK], f[CONFIDENCE], f[CLOUD]) for f in by_stamp.values()]


def labels(seen):
    return next(m for t, m in seen[0] if t == LABELS)


@pytest.fixture
def layer(seen):
    layer = SemanticLayer(dict.fromkeys(LEGEND, 100))
    layer.on_labels(labels(seen))
    return layer


# What the node publishes


def test_the_labels_come_before_the_first_mask(seen):
    topics = [topic for topic, _ in seen[0]]
    assert topics.index(LABELS) < topics.index(MASK)
    assert [(e.class_id, e.class_name) for e in labels(seen).class_map] == list(enumerate(LEGEND))


def test_mask_confidence_and_cloud_have_one_size_one_stamp_one_frame_and_no_padding(seen):
    for mask, confidence, cloud in frames(seen):
        assert mask.encoding == confidence.encoding == "mono8"
        for image in (mask, confidence):
            assert (image.height, image.width, image.step) == (*SIZE, SIZE[1]) and len(image.data) == SIZE[
                0
            ] * SIZE[1]
        assert (cloud.height, cloud.width) == SIZE and not cloud.is_bigendian and not cloud.is_dense
        assert (
            cloud.row_step == cloud.point_step * cloud.width
            and len(cloud.data) == cloud.row_step * cloud.height
        )
        assert {f.name: f.datatype for f in cloud.fields if f.name in "xyz"} == dict.fromkeys("xyz", 7)
        assert mask.header == confidence.header == cloud.header


def test_a_pixel_without_depth_is_nan_in_its_place(seen):
    for _, _, cloud in frames(seen):
        xyz = np.frombuffer(cloud.data, np.float32).reshape(*SIZE, cloud.point_step // 4)[..., :3]
        third = SIZE[0] // 3
        assert np.isnan(xyz[: third - 1]).all() and np.isfinite(xyz[third + 1 :]).all()


def test_the_layer_reads_every_pixel_as_what_it_is_and_where_it_is(seen, layer):
    for mask, confidence, cloud in frames(seen):
        layer.on_frame(mask, confidence, cloud)
        assert layer.dropped == []
        read, layer.observations = layer.observations, []
        # a third without depth, a sixth without a label
        assert len(read) == pytest.approx(SIZE[0] * SIZE[1] / 2, rel=0.08)
        info = camera_info(SIZE)
        for name, sure, x, _y, z in read:
            left = x / z * info.k[0] + info.k[2] < (SIZE[1] - 1) / 2
            assert abs((x / z * info.k[0] + info.k[2]) - SIZE[1] / 2) < 2 or name == (
                "floor" if left else "wall"
            )
            assert z == pytest.approx(NEAR_M if name == "floor" else FAR_M, rel=1e-3) and sure > 250
        assert {name for name, *_ in read} == {"floor", "wall"}


def test_unlabelled_is_255_and_never_a_class(seen):
    for mask, _, _ in frames(seen):
        pixels = np.frombuffer(mask.data, np.uint8).reshape(SIZE)
        assert (pixels[5 * SIZE[0] // 6 + 2 :] == 255).all() and set(np.unique(pixels)) == {0, 1, 255}


def test_the_obstacle_cloud_is_what_an_observation_buffer_takes(seen):
    if "points_obstacles" not in TYPES:
        pytest.skip("this node has no points_obstacles")
    clouds = [m for t, m in seen[0] if t == "points_obstacles"]
    assert {stamp_of(m) for m in clouds} & {stamp_of(f[2]) for f in frames(seen)}
    for cloud in clouds:
        assert (
            cloud.row_step == cloud.point_step * cloud.width
            and len(cloud.data) == cloud.row_step * cloud.height
        )
        offsets = {f.name: f.offset for f in cloud.fields}
        flat = np.frombuffer(cloud.data, np.uint8).reshape(-1, cloud.point_step)
        z = np.ascontiguousarray(flat[:, offsets["z"] : offsets["z"] + 4]).view(np.float32).ravel()
        assert (
            len(z)
            and np.isfinite(z).all()
            and ((abs(z - NEAR_M) < 0.01) | (abs(z - FAR_M) < 0.01)).mean() > 0.95
        )


# The reader finds what would break the contract: each of these must fail with it


def test_a_frame_before_the_labels_is_dropped(seen):
    layer = SemanticLayer(dict.fromkeys(LEGEND, 100))
    layer.on_frame(*frames(seen)[0])
    assert (
        layer.dropped == ["Class map is empty because a labelinfo message has not been received"]
        and not layer.observations
    )


def test_other_sizes_and_stamps_and_short_masks_are_dropped(seen, layer):
    mask, confidence, cloud = (copy.deepcopy(m) for m in frames(seen)[0])
    cloud.width -= 1
    layer.on_frame(mask, confidence, cloud)
    cloud.width += 1
    short = copy.deepcopy(mask)
    short.data = mask.data[:-1]
    layer.on_frame(short, confidence, cloud)
    cloud.header.stamp.nanosec ^= 1
    layer.on_frame(mask, confidence, cloud)
    assert [reason.split()[0] for reason in layer.dropped] == [
        "Pointcloud",
        "segmentation",
        "never",
    ] and not layer.observations


def test_padded_rows_are_misread(seen, layer):
    mask, confidence, cloud = (copy.deepcopy(m) for m in frames(seen)[0])
    layer.on_frame(mask, confidence, cloud)
    right, layer.observations = layer.observations, []
    rows = np.frombuffer(mask.data, np.uint8).reshape(SIZE)
    mask.data, mask.step = array("B", np.pad(rows, ((0, 0), (0, 3))).tobytes()), SIZE[1] + 3
    layer.on_frame(mask, confidence, cloud)
    assert layer.observations != right


# The presets


def test_a_cloud_is_kept_for_a_second_at_the_highest_age_that_the_node_publishes():
    """An observation buffer throws away what is older than observation_persistence, by the image's stamp."""
    node = yaml.safe_load((ROOT / "config" / "vision_banana.yaml").read_text())["/**"]["ros__parameters"]
    assert VOXEL["voxel_layer"]["camera"]["observation_persistence"] >= node["max_age"] + 1.0


def test_the_preset_tells_the_node_what_is_no_obstacle_to_either_layer():
    node = yaml.safe_load((NAV2 / "voxel_layer.yaml").read_text())["vision_banana"]["ros__parameters"]
    assert node == {"obstacles": {"ignored_classes": SOURCE["free"]["classes"]}}
    assert "obstacles.ignored_classes" in PARAMETERS


def test_the_presets_name_the_nodes_own_topics():
    assert {MASK, CONFIDENCE, CLOUD} <= set(TYPES)
    assert VOXEL["voxel_layer"]["camera"]["topic"] == "/points_obstacles"


def test_the_camera_only_marks_and_the_lidar_reaches_what_it_marked():
    layer = VOXEL["voxel_layer"]
    camera, lidar = layer["camera"], layer["lidar"]
    assert layer["observation_sources"].split() == ["camera", "lidar"]
    assert camera["marking"] and not camera["clearing"] and lidar["clearing"]
    assert lidar["raytrace_max_range"] > camera["obstacle_max_range"]
    assert layer["origin_z"] + layer["z_voxels"] * layer["z_resolution"] >= camera["max_obstacle_height"]
    assert camera["min_obstacle_height"] > 0, "or the ground becomes an obstacle"
    assert layer["z_voxels"] <= 16


def test_every_class_of_the_bundle_is_thought_of_once():
    listed = [name for kind in SOURCE["class_types"] for name in SOURCE[kind]["classes"]]
    assert len(listed) == len(set(listed))
    assert set(CLASSES) - set(listed) == {"ceiling", "sky"}, "these two have no place on the ground"
    assert set(listed) <= set(load_generator(default_bundle()).manifest.legend)


def test_the_presets_have_only_documented_parameters():
    layer = {
        *(
            [
                "plugin",
                "enabled",
                "footprint_clearing_enabled",
                "min_obstacle_height",
                "max_obstacle_height",
                "z_voxels",
                "origin_z",
            ]
        ),
        *(
            [
                "z_resolution",
                "unknown_threshold",
                "mark_threshold",
                "combination_method",
                "publish_voxel_map",
                "observation_sources",
            ]
        ),
        *("camera", "lidar"),
    }
    source = {
        *(
            [
                "topic",
                "sensor_frame",
                "observation_persistence",
                "expected_update_rate",
                "data_type",
                "min_obstacle_height",
            ]
        ),
        *(
            [
                "max_obstacle_height",
                "inf_is_valid",
                "marking",
                "clearing",
                "obstacle_max_range",
                "obstacle_min_range",
            ]
        ),
        *("raytrace_max_range", "raytrace_min_range"),
    }
    assert set(VOXEL["voxel_layer"]) <= layer
    assert set(VOXEL["voxel_layer"]["camera"]) | set(VOXEL["voxel_layer"]["lidar"]) <= source
    assert set(SEMANTIC["semantic_layer"]) == {
        *(
            "plugin",
            "enabled",
            "combination_method",
            "use_approximate_time_sync",
            "observation_sources",
            "camera",
        )
    }
    kinds = set(SOURCE["class_types"])
    assert set(SOURCE) - kinds == {
        *(
            "segmentation_topic",
            "confidence_topic",
            "labels_topic",
            "pointcloud_topic",
            "max_obstacle_distance",
        ),
        *("min_obstacle_distance", "tile_map_decay_time", "use_cost_selection", "class_types"),
    }
    for kind in kinds:
        assert set(SOURCE[kind]) == {
            "classes",
            "base_cost",
            "max_cost",
            "mark_confidence",
            "samples_to_max_cost",
            "dominant_priority",
        }
        assert 0 <= SOURCE[kind]["base_cost"] <= SOURCE[kind]["max_cost"] <= 254
