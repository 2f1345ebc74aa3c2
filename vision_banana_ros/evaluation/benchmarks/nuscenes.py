# SPDX-License-Identifier: Apache-2.0
"""nuScenes: the front camera at the key frames of the validation scenes, lidar points as depth."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation.benchmarks import reading
from vision_banana_ros.evaluation.benchmarks.benchmark import Benchmark, Entry, Frame
from vision_banana_ros.evaluation.benchmarks.protocols import DepthProtocol
from vision_banana_ros.perception import Intrinsics

TABLES, SCENES = "v1.0-trainval", "val_scenes.txt"
SIZE = (900, 1600)
NEAR_M, FAR_M = 1.0, 80.0
CAMERA, LIDAR = "CAM_FRONT", "LIDAR_TOP"


def open_folder(root: Path) -> list[Entry]:
    """The frames below a folder. InputError where it is not this data set."""
    root = reading.rooted(root, f"{TABLES}/sample.json", f"{TABLES} and samples of nuScenes")
    if not (root / SCENES).is_file():
        raise InputError(
            f"'{root / SCENES}' is missing: write the names of the validation scenes there, a line each, as"
            " the devkit lists them"
            " (nuscenes.utils.splits.val)."
        )
    wanted = set(reading.once(reading.lines(root / SCENES), f"'{root / SCENES}'"))
    scenes, samples = _table(root, "scene", "name"), _table(root, "sample", "scene_token", "timestamp")
    if unknown := wanted - {scene["name"] for scene in scenes.values()}:
        raise InputError(
            f"'{root / SCENES}' names scenes that {TABLES} does not have, such as"
            f" {min(unknown)}: take both from v1.0."
        )
    data = _key_frames(root)
    found = []
    for token, sample in sorted(samples.items(), key=lambda item: item[1]["timestamp"]):
        scene = scenes.get(sample["scene_token"], {"name": ""})["name"]
        if scene in wanted:
            found.append(_entry(root, scene, data.get((token, CAMERA)), data.get((token, LIDAR)), token))
    return reading.some(found, root, "key frames of these scenes")


def _table(root: Path, name: str, *have: str) -> dict[str, dict[str, Any]]:
    file = root / TABLES / f"{name}.json"
    return reading.by_id(reading.rows(file), file, "token", have)


def _key_frames(root: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Rows of sample_data that are key frames of the two sensors, by sample and sensor."""
    sensors = {token: row["channel"] for token, row in _table(root, "sensor", "channel").items()}
    mounted = {token: sensors.get(row["sensor_token"], "") for token, row in _calibrated(root).items()}
    rows = _table(
        root,
        "sample_data",
        "sample_token",
        "filename",
        "calibrated_sensor_token",
        "ego_pose_token",
        "is_key_frame",
    )
    keys = [row for row in rows.values() if row["is_key_frame"]]
    return {(row["sample_token"], mounted.get(row["calibrated_sensor_token"], "")): row for row in keys}


@lru_cache(maxsize=2)
def _calibrated(root: Path) -> dict[str, dict[str, Any]]:
    return _table(root, "calibrated_sensor", "sensor_token", "translation", "rotation", "camera_intrinsic")


@lru_cache(maxsize=2)
def _poses(root: Path) -> dict[str, dict[str, Any]]:
    return _table(root, "ego_pose", "translation", "rotation")


def _entry(
    root: Path, scene: str, camera: Mapping[str, Any] | None, lidar: Mapping[str, Any] | None, token: str
) -> Entry:
    if camera is None or lidar is None:
        raise InputError(
            f"Sample {token} of '{root / TABLES}' has no {CAMERA} or no {LIDAR}: the tables"
            " are not those of v1.0."
        )
    image, points = root / camera["filename"], root / lidar["filename"]

    def load() -> Frame:
        picture = reading.picture(image, SIZE)
        data = reading.content(points)
        if len(data) % 20:
            raise InputError(f"'{points}' is no sweep of five floats a point: copy it again.")
        mount = _calibrated(root)[camera["calibrated_sensor_token"]]
        k = np.array(mount["camera_intrinsic"], np.float64)
        if k.shape != (3, 3):
            raise InputError(
                f"'{root / TABLES}' has no intrinsics of {CAMERA}: the tables are not those of v1.0."
            )
        poses = _poses(root)
        if missing := {camera["ego_pose_token"], lidar["ego_pose_token"]} - poses.keys():
            raise InputError(
                f"'{root / TABLES / 'ego_pose.json'}' lacks {min(missing)}, which sample_data.json names:"
                " take both from one download."
            )
        # lidar -> car at the lidar's moment -> world -> car at the camera's moment -> camera
        world = _pose(poses[lidar["ego_pose_token"]]) @ _pose(
            _calibrated(root)[lidar["calibrated_sensor_token"]]
        )
        into = np.linalg.inv(_pose(poses[camera["ego_pose_token"]]) @ _pose(mount)) @ world
        xyz = np.frombuffer(data, "<f4").reshape(-1, 5)[:, :3].astype(np.float64)
        depth_m = projected(xyz @ into[:3, :3].T + into[:3, 3], k, SIZE)
        lens = Intrinsics(SIZE[1], SIZE[0], float(k[0, 0]), float(k[1, 1]), float(k[0, 2]), float(k[1, 2]))
        return Frame(picture, reading.scored(depth_m, NEAR_M, FAR_M, picture, points), lens)

    return Entry(f"{scene}/{image.stem}", (image, points), load)


def _pose(row: Mapping[str, Any]) -> np.ndarray:
    """(4, 4) of a translation and a quaternion w, x, y, z."""
    w, x, y, z = np.array(row["rotation"], np.float64) / np.linalg.norm(row["rotation"])
    made = np.eye(4)
    made[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    made[:3, 3] = row["translation"]
    return made


def projected(points: np.ndarray, k: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Depth (H, W) in metres of points (N, 3) in the camera frame: the nearest per pixel, or NaN."""
    ahead = points[points[:, 2] > NEAR_M]
    uv = ahead @ k.T
    columns, rows = (np.rint(uv[:, i] / uv[:, 2]).astype(np.int64) for i in (0, 1))
    inside = (columns >= 0) & (columns < size[1]) & (rows >= 0) & (rows < size[0])
    depth = np.full(size, np.inf)
    np.minimum.at(depth, (rows[inside], columns[inside]), ahead[inside, 2])
    return np.where(np.isfinite(depth), depth, np.nan).astype(np.float32)


BENCHMARKS = (
    Benchmark(
        "nuscenes-depth", "nuScenes", DepthProtocol(), 6019, open_folder,
        "https://www.nuscenes.org/nuscenes (v1.0 trainval)",
        "CC BY-NC-SA 4.0", "the key frames: 60 GB",
        f"{SCENES}\n{TABLES}/sample.json\n{TABLES}/sample_data.json\n{TABLES}/scene.json\n{TABLES}/sensor.json\n"
        f"{TABLES}/calibrated_sensor.json\n{TABLES}/ego_pose.json\nsamples/{CAMERA}/....jpg\nsamples/{LIDAR}/....pcd.bin",
        ("Protocol: the front camera at all key frames of the validation scenes, one lidar sweep moved to"
            " the camera's moment, 1 to"
         " 80 m, figures a picture. UniDepth takes a tenth of the frames of all six cameras; the paper does"
         " not state its own.",),
        SIZE,
    ),
)  # fmt: skip
