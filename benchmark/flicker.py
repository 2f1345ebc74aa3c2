# SPDX-License-Identifier: Apache-2.0
"""Flicker: how much the depth of still things trembles while a camera moves slowly, without and with the
steady filter.

Points on the surfaces of rendered worlds are fixed in the first frame. In every frame of the moving camera
each one that is still seen is looked up, and its depth is divided by the true one. Flicker is the standard
deviation of that over time; what changes from one frame to the next, apart from slow drift, is given beside
it. The error of the mean over time says whether the filter pays with a bias. The medians over all points
count.

"standing" is the same camera without its motion, so that only the sensor's noise changes. `truth with noise`
has 2 % of noise, independent in each frame: what the filter can do at best.

`python benchmark/flicker.py` prints a table and writes flicker.json next to itself. A minute of one core.
"""

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"))

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from vision_banana_ros.evaluation.machine import machine
from vision_banana_ros.generators import default_bundle, load_generator
from vision_banana_ros.perception import Intrinsics, Perceiver, Question, points
from vision_banana_ros.perception.temporal_filter import GATE, SteadyDepth
from vision_banana_ros.scenes import KINDS, SimulatedCamera, View

HEIGHT, WIDTH = 240, 320
RATE_HZ = {"moving": 10.0, "standing": 1e6}
"""Frames a second of the world's time. In 40 microseconds nothing moves, but each frame has noise of its
own."""
POINTS = 2000
VISIBLE = 0.02
"""A point is seen where the true depth of its pixel is its own within this part."""


def anchors(view: View, rng: np.random.Generator) -> np.ndarray:
    """(N, 3) points of the world, metres, seen in a view and within 10 m."""
    c = view.camera
    xyz = points(view.depth_m, Intrinsics.of(c)).reshape(-1, 3)
    xyz = xyz[xyz[:, 2] < 10]
    xyz = xyz[rng.choice(len(xyz), min(POINTS, len(xyz)), replace=False)]
    return xyz @ c.pose[:3, :3].T + c.pose[:3, 3]


def look_up(depth_m: np.ndarray, view: View, where: np.ndarray) -> np.ndarray:
    """(N,) the answered over the true depth of each point; NaN where it is not seen or not readable."""
    c = view.camera
    x, y, z = ((where - c.pose[:3, 3]) @ c.pose[:3, :3]).T
    with np.errstate(divide="ignore", invalid="ignore"):
        column, row = np.rint(c.fx * x / z + c.cx), np.rint(c.fy * y / z + c.cy)
    inside = (z > 0.05) & (column >= 0) & (column < WIDTH) & (row >= 0) & (row < HEIGHT)
    i, j = np.where(inside, row, 0).astype(int), np.where(inside, column, 0).astype(int)
    true = view.depth_m[i, j]
    seen = inside & (np.abs(true - z) <= VISIBLE * z) & np.isfinite(depth_m[i, j])
    with np.errstate(invalid="ignore"):
        return np.where(seen, depth_m[i, j] / true, np.nan)


def run(kind: str, seed: int, frames: int, perceiver: Perceiver, rate_hz: float) -> dict[str, np.ndarray]:
    """(frames, N) ratios for each way of getting depth."""
    camera, rng = SimulatedCamera(seed, WIDTH, HEIGHT, rate_hz, kind), np.random.default_rng(seed)
    where = anchors(camera.view(0.0), rng)
    filters = {"bundle": SteadyDepth(), "truth with noise": SteadyDepth()}
    ratios: dict[str, list[np.ndarray]] = {}
    for k in range(frames):
        view = camera.view(k / rate_hz)
        (answer,) = perceiver.look(view.image, [Question.depth()], Intrinsics.of(view.camera))
        noisy = (view.depth_m * (1 + rng.normal(0, 0.02, view.depth_m.shape))).astype(np.float32)
        for name, depth_m, confidence in (
            ("bundle", answer.depth_m, answer.confidence),
            ("truth with noise", noisy, np.ones_like(noisy)),
        ):
            ratios.setdefault(name, []).append(look_up(depth_m, view, where))
            ratios.setdefault(f"{name}, steady", []).append(
                look_up(filters[name](depth_m, confidence), view, where)
            )
    return {name: np.stack(rows) for name, rows in ratios.items()}


def figures(ratios: np.ndarray) -> np.ndarray:
    """(3, N) for the points seen in half of the frames: deviation over time, from frame to frame, and
    error of the mean."""
    kept = ratios[:, np.isfinite(ratios).mean(axis=0) >= 0.5]
    mean = np.nanmean(kept, axis=0)
    # Of independent noise, differences have twice the variance.
    steps = np.sqrt(np.nanmean(np.diff(kept, axis=0) ** 2, axis=0) / 2)
    return np.stack([np.nanstd(kept, axis=0) / mean, steps / mean, np.abs(mean - 1)])


def summary(values: np.ndarray) -> dict[str, float]:
    names = ("deviation over time", "deviation from frame to frame", "error of the mean")
    medians = {
        f"{name}, median": round(float(np.median(row)), 5) for name, row in zip(names, values, strict=True)
    }
    return {
        "points": values.shape[1],
        **medians,
        "deviation over time, p90": round(float(np.percentile(values[0], 90)), 5),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--worlds", type=int, default=2, help="of each kind")
    parser.add_argument("--bundle", type=Path, default=None)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args()
    cv2.setNumThreads(1)
    generator = load_generator(args.bundle or default_bundle())
    perceiver = Perceiver(generator)
    found: dict[str, list[np.ndarray]] = {}
    for kind in KINDS:
        for seed in range(args.worlds):
            for way, rate_hz in RATE_HZ.items():
                for name, ratios in run(kind, seed, args.frames, perceiver, rate_hz).items():
                    found.setdefault(f"{way}: {name}", []).append(figures(ratios))
    result = {
        "command": "python benchmark/flicker.py",
        "machine": machine("numpy", "numba", cores_used=1),
        "bundle": {
            "name": generator.name,
            "answer.onnx": generator.manifest.files.get("answer.onnx", "")[:12],
        },
        "size": [HEIGHT, WIDTH],
        "rate_hz": RATE_HZ["moving"],
        "frames": args.frames,
        "worlds": len(KINDS) * args.worlds,
        "filter": {"memory": SteadyDepth().memory, "gate": GATE},
        "part_of_depth": {name: summary(np.concatenate(rows, axis=1)) for name, rows in found.items()},
    }
    for name, row in result["part_of_depth"].items():
        print(f"{name:36}" + "".join(f"{key}: {value:<10}" for key, value in row.items()))
    args.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
