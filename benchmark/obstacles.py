# SPDX-License-Identifier: Apache-2.0
"""False obstacles: points of a depth camera where nothing is, without the obstacle filter and with each of
its steps.

Rendered worlds (seeds below training's) seen at 640x480, with truth as the reference. A point is false where
no true surface lies within 0.1 m (or 0.3 m); recall is the part of the true surface's cells that have a point
within the same distance. Two kinds of depth: the bundle's, and truth with speckle (0.5 % of the pixels
anywhere in range, and every second pixel at a depth edge between its two sides, with the confidence of a sure
one), which shows what the filter can do where depth is right as a whole.

Beside it, the time of voxel grid and outlier removal on one core, and with --open3d that of Open3D on the
same points.

`python benchmark/obstacles.py` prints a table and writes obstacles.json next to itself. Half a minute of one
core.
"""

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"))

import argparse
import json
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numba import njit

from vision_banana_ros.evaluation.machine import machine
from vision_banana_ros.generators import default_bundle, load_generator
from vision_banana_ros.perception import Intrinsics, Perceiver, Question, points
from vision_banana_ros.perception.obstacles import ObstacleFilter, drop_outliers, voxels
from vision_banana_ros.scenes import View, make_world, render, sample_camera

HEIGHT, WIDTH = 480, 640
WITHIN_M = (0.1, 0.3)
FILTER = ObstacleFilter()
SAMPLE = 4000
"""Of a cloud, so many points are looked at and the counts scaled up: false parts are good to a percent or
two."""
STEPS = ("none", "range", "confidence", "voxels", "outliers")


@njit(cache=True, nogil=True)
def near_any(cloud, reference, within):  # type: ignore[no-untyped-def]
    """For each point whether one of `reference` lies within this distance: cells of that edge, and the 27
    around."""
    size = 1 << 20
    first = np.full(size, -1, np.int64)
    following = np.full(len(reference), -1, np.int64)

    def place(x, y, z):  # type: ignore[no-untyped-def]
        return (x * 73856093 ^ y * 19349663 ^ z * 83492791) & (size - 1)

    for i in range(len(reference)):
        c = np.floor(reference[i] / within)
        k = place(np.int64(c[0]), np.int64(c[1]), np.int64(c[2]))
        following[i], first[k] = first[k], i
    found = np.zeros(len(cloud), np.bool_)
    for i in range(len(cloud)):
        c = np.floor(cloud[i] / within)
        for around in range(27):
            x, y, z = (
                np.int64(c[0]) + around // 9 - 1,
                np.int64(c[1]) + around // 3 % 3 - 1,
                np.int64(c[2]) + around % 3 - 1,
            )
            j = first[place(x, y, z)]
            while j >= 0 and not found[i]:
                d = cloud[i] - reference[j]
                found[i] = d[0] * d[0] + d[1] * d[1] + d[2] * d[2] <= within * within
                j = following[j]
            if found[i]:
                break
    return found


def scene(seed: int) -> tuple[View, Intrinsics]:
    """A view of a world that nothing was trained on, and its camera."""
    world, rng = make_world(seed), np.random.default_rng(seed)
    view = render(world, sample_camera(world, rng, WIDTH, HEIGHT), rng)
    return view, Intrinsics.of(view.camera)


def speckled(depth_m: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Truth as a poor sensor would give it: stray pixels, and edges that hang in the air between their two
    sides."""
    out = depth_m.copy()
    stray = rng.random(out.shape) < 0.005
    out[stray] = rng.uniform(FILTER.min_range, FILTER.max_range, int(stray.sum()))
    low, high = cv2.erode(depth_m, np.ones((3, 3))), cv2.dilate(np.minimum(depth_m, 100), np.ones((3, 3)))
    edge = (high / 1.1 > low) & (rng.random(out.shape) < 0.5)
    part = rng.random(int(edge.sum()))
    out[edge] = low[edge] + (high[edge] - low[edge]) * part
    return out.astype(np.float32)


def clouds(depth_m: np.ndarray, confidence: np.ndarray, camera: Intrinsics) -> dict[str, np.ndarray]:
    """The cloud after each step, (N, 3)."""
    cloud = points(depth_m, camera).reshape(-1, 3)
    distance = np.linalg.norm(cloud, axis=1)
    near = (distance >= FILTER.min_range) & (distance <= FILTER.max_range)
    sure = near & (confidence.ravel() >= FILTER.min_confidence)
    grid = voxels(cloud[sure], FILTER.voxel)
    return {
        "none": cloud[np.isfinite(distance)],
        "range": cloud[near],
        "confidence": cloud[sure],
        "voxels": grid,
        "outliers": FILTER(depth_m, confidence, camera),
    }


def measure(
    depth_m: np.ndarray, confidence: np.ndarray, view: View, camera: Intrinsics
) -> dict[str, dict[str, float]]:
    """For each step: points, false points, cells of the filter's grid that they are in, false cells, and
    recall."""
    everything = points(view.depth_m, camera).reshape(-1, 3)
    everything = everything[np.isfinite(everything).all(axis=1)]
    wanted = sample(voxels(everything[np.linalg.norm(everything, axis=1) <= FILTER.max_range], FILTER.voxel))
    truths = {within: voxels(everything, within / 4) for within in WITHIN_M}
    result = {}
    for step, cloud in clouds(depth_m, confidence, camera).items():
        cells = voxels(cloud, FILTER.voxel)
        figures = {"points": float(len(cloud)), "cells": float(len(cells))}
        for within, truth in truths.items():
            figures[f"false points, {within} m"] = len(cloud) * part(~near_any(sample(cloud), truth, within))
            figures[f"false cells, {within} m"] = len(cells) * part(~near_any(sample(cells), truth, within))
            figures[f"recall, {within} m"] = part(near_any(wanted, voxels(cloud, within / 4), within))
        result[step] = figures
    return result


def sample(cloud: np.ndarray) -> np.ndarray:
    """At most `SAMPLE` of the points, the same every time."""
    return (
        cloud
        if len(cloud) <= SAMPLE
        else cloud[np.random.default_rng(0).choice(len(cloud), SAMPLE, replace=False)]
    )


def part(these: np.ndarray) -> float:
    return float(these.mean()) if len(these) else 0.0


def timing(cloud: np.ndarray, with_open3d: bool) -> dict[str, float]:
    """Milliseconds of one core for voxel grid and outliers."""

    def ours() -> int:
        return len(drop_outliers(voxels(cloud, FILTER.voxel), FILTER.voxel, FILTER.neighbours, FILTER.spread))

    result = {"ours_ms": median_ms(ours), "points": len(cloud), "left": ours()}
    if with_open3d:
        import open3d

        def theirs() -> int:
            found = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(cloud.astype(np.float64)))
            grid = found.voxel_down_sample(FILTER.voxel)
            # Its neighbours count the point itself.
            return len(grid.remove_statistical_outlier(FILTER.neighbours + 1, FILTER.spread)[0].points)

        result |= {"open3d_ms": median_ms(theirs), "open3d_left": theirs()}
    return result


def median_ms(call: Any) -> float:
    spent = []
    for _ in range(6):
        start = time.process_time()
        call()
        spent.append(time.process_time() - start)
    return round(1e3 * statistics.median(spent[1:]), 1)


def mean(rows: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    return {
        step: {key: round(float(np.nanmean([row[step][key] for row in rows])), 4) for key in rows[0][step]}
        for step in STEPS
    }


def table(title: str, figures: dict[str, dict[str, float]]) -> None:
    keys = [
        "points",
        "false points, 0.1 m",
        "false cells, 0.1 m",
        "recall, 0.1 m",
        "false cells, 0.3 m",
        "recall, 0.3 m",
    ]
    print(f"\n{title}, a frame\n{'after step':12}" + "".join(f"{key:>22}" for key in keys))
    for step, row in figures.items():
        print(
            f"{step:12}"
            + "".join(f"{row[key]:22.3f}" if "recall" in key else f"{row[key]:22.0f}" for key in keys)
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--views", type=int, default=24)
    parser.add_argument("--bundle", type=Path, default=None)
    parser.add_argument("--open3d", action="store_true", help="also time Open3D, which must be installed")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args()
    cv2.setNumThreads(1)
    generator = load_generator(args.bundle or default_bundle())
    perceiver, rng = Perceiver(generator), np.random.default_rng(0)
    rows, times = defaultdict(list), []
    for seed in range(args.views):
        view, camera = scene(seed)
        (answer,) = perceiver.look(view.image, [Question.depth()], camera)
        rows[generator.name].append(measure(answer.depth_m, answer.confidence, view, camera))
        noisy = speckled(view.depth_m, rng)
        rows["truth with speckle"].append(measure(noisy, np.ones_like(noisy), view, camera))
        if seed < 8:
            times.append(timing(clouds(view.depth_m, np.ones_like(noisy), camera)["range"], args.open3d))
    result = {
        "command": "python benchmark/" + " ".join([Path(__file__).name, *sys.argv[1:]]),
        "machine": machine("numpy", "numba", cores_used=1),
        "bundle": {
            "name": generator.name,
            "answer.onnx": generator.manifest.files.get("answer.onnx", "")[:12],
        },
        "views": args.views,
        "size": [HEIGHT, WIDTH],
        "filter": FILTER.__dict__,
        "mean_a_frame": {name: mean(found) for name, found in rows.items()},
        "voxels_and_outliers_ms": {
            "median": {key: statistics.median(t[key] for t in times) for key in times[0]},
            "by_view": times,
        },
    }
    for name, figures in result["mean_a_frame"].items():
        table(name, figures)
    print("\nvoxels and outliers, median of 8 views:", result["voxels_and_outliers_ms"]["median"])
    args.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
