# SPDX-License-Identifier: Apache-2.0
"""How much floor is left in the cloud of obstacles: writes benchmark/floor.json.

    PYTHONPATH=. python benchmark/floor.py

One view each of simulated cameras in rooms, with true depth and with the depth of the installed bundle (a
pinhole camera of known focal length, no scale check). A point is of the floor if the pixel that it falls on
is. "obstacles kept": of the points that are not of the floor and more than min_height above it, the share
that is left.
"""

import json
from pathlib import Path

import numpy as np

from vision_banana_ros.generators import default_bundle, load_generator
from vision_banana_ros.perception import Intrinsics, Perceiver, Question
from vision_banana_ros.perception.obstacles import Floor, ObstacleFilter, floor_in_depth
from vision_banana_ros.scenes import CLASSES, SimulatedCamera

SEEDS = range(1, 21)
FLOOR = CLASSES.index("floor")


def by_pose(pose: np.ndarray) -> Floor:
    """What tf2 says where base_frame lies on the floor. pose: 4x4, world from camera, z up."""
    return Floor(tuple(pose[2, :3]), float(pose[2, 3]))


def on_floor(points: np.ndarray, labels: np.ndarray, k: Intrinsics) -> np.ndarray:
    column = np.clip(np.rint(points[:, 0] / points[:, 2] * k.fx + k.cx).astype(int), 0, k.width - 1)
    row = np.clip(np.rint(points[:, 1] / points[:, 2] * k.fy + k.cy).astype(int), 0, k.height - 1)
    return labels[row, column] == FLOOR


def main() -> None:
    perceiver = Perceiver(load_generator(default_bundle()))
    clouds: dict[tuple[str, str], list[tuple[int, int, int]]] = {}
    found = {"true depth": 0, perceiver.generator.name: 0}
    for seed in SEEDS:
        view = SimulatedCamera(seed, 320, 240, 10.0).view(3.0)
        k = Intrinsics.of(view.camera)
        look = perceiver.look(view.image, [Question.depth()], k)[0]
        truth = np.where(np.isfinite(view.depth_m), view.depth_m, np.nan).astype(np.float32)
        for name, depth_m, sure in (
            ("true depth", truth, np.ones(truth.shape, np.float32)),
            (perceiver.generator.name, look.depth_m, look.confidence),
        ):
            keep = ObstacleFilter()
            pose, plane = by_pose(view.camera.pose), floor_in_depth(depth_m, k)[0]
            found[name] += plane is not None
            high = None
            for how, floor in (("none", None), ("base_frame by TF", pose), ("ground in depth", plane)):
                points = keep(depth_m, sure, k, floor)
                floors = on_floor(points, view.labels, k)
                obstacles = int((~floors & (pose.heights(points) > keep.min_height)).sum())
                high = obstacles if high is None else high
                clouds.setdefault((name, how), []).append((len(points), int(floors.sum()), obstacles))
    rows = []
    for (name, how), counts in clouds.items():
        points, floors, obstacles = np.sum(counts, axis=0)
        unfiltered = np.sum(clouds[name, "none"], axis=0)
        rows.append({
            "depth": name, "floor removed by": how, "points": int(points),
            "of the floor": round(float(floors / points), 4),
            "obstacles kept": round(float(obstacles / unfiltered[2]), 4),
        })  # fmt: skip
        print(rows[-1])
    report = {
        "command": "PYTHONPATH=. python benchmark/floor.py",
        "views": len(SEEDS),
        "ground found in": found,
        "rows": rows,
    }
    (Path(__file__).parent / "floor.json").write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
