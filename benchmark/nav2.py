# SPDX-License-Identifier: Apache-2.0
"""What Nav2's costmaps would hold, by the layers' own rules, of what the node answers: floor taken for
obstacles, false and missing obstacles by min_obstacle_height and obstacle_max_range, and people and obstacles
that the semantic layer loses.

Views of the simulated camera and of random worlds (seeds below training's), 640x480, with exact poses.
Presets: config/nav2. The cloud is made as the node makes it, in six ways: without classes; without the
pixels of floor and ground; also without what shares their voxels; this with depth corrected by the floor (the
preset for the node); with the ground that depth shows in place of TF; and the preset with the true classes,
as a limit. The correction was chosen on worlds 20 to 199; the preset's own height and range are measured on
other worlds, too, from seed 200 on.

* floor points: of the points of points_obstacles that would mark a cell, those whose pixel is floor or ground
  in truth.
* false cells: of the lethal cells, those farther than 0.3 m from all true surfaces that are not floor, ground
  or ceiling.
* found: of the cells that hold such a surface within the preset's ranges, those with a lethal cell within 0.3
  m.
* low found: the same for surfaces 0.15 to 0.3 m high where nothing within 0.3 m is higher.
* lost tiles: of the semantic layer's tiles over which the answer has a pixel of "blocked" (of a person),
  those that another, cheaper class was chosen for.

`python benchmark/nav2.py` prints a table and writes nav2.json next to itself. A few minutes of one core.
"""

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from vision_banana_ros.evaluation.costmaps import SemanticTiles, cells_of, marked
from vision_banana_ros.generators import default_bundle, load_generator
from vision_banana_ros.perception import Intrinsics, Perceiver, Question, points
from vision_banana_ros.perception.obstacles import Floor, ObstacleFilter, floor_in_depth, scale_by_floor
from vision_banana_ros.scenes import CLASSES, View, make_world, render, sample_camera
from vision_banana_ros.scenes.simulated_camera import SimulatedCamera

PRESETS = Path(__file__).resolve().parent.parent / "config" / "nav2"
HEIGHT, WIDTH = 480, 640
RESOLUTION = 0.05
NEAR_M = 0.3
FIRST_OTHER = 200
"""Seed of the first of the other worlds."""
HEIGHTS = (0.1, 0.15, 0.2, 0.3)
RANGES = (3.0, 5.0)
"""Metres, in place of the preset's obstacle_max_range; for these the height is the preset's."""
LOW = (0.15, 0.3)
"""Metres: the height of low obstacles."""
GROUND = ("floor", "ground")
NO_OBSTACLE = (*GROUND, "ceiling", "sky")


def preset(name: str) -> dict[str, Any]:
    """The camera's parameters in a preset."""
    return yaml.safe_load((PRESETS / f"{name}.yaml").read_text())["local_costmap"]["local_costmap"][
        "ros__parameters"
    ][name]["camera"]


def simulated(seed: int) -> View:
    """A view of the simulated camera."""
    return SimulatedCamera(seed, WIDTH, HEIGHT, 10.0).view(3.0 * seed)


def random(seed: int) -> View:
    """A view of a random world."""
    world, rng = make_world(seed), np.random.default_rng(seed)
    return render(world, sample_camera(world, rng, WIDTH, HEIGHT), rng)


def placed(cloud: np.ndarray, view: View) -> np.ndarray:
    """Points of the optical frame, (…, 3), in the world's."""
    pose = view.camera.pose
    return cloud @ pose[:3, :3].T + pose[:3, 3]


def clouds(view: View, depth: Any, floor: np.ndarray) -> dict[str, np.ndarray]:
    """points_obstacles of a view, in the optical frame, by the way in which floor is left out."""
    camera, pose = Intrinsics.of(view.camera), view.camera.pose
    by_tf = Floor(tuple(pose[2, :3]), float(pose[2, 3]))
    by_depth, _ = floor_in_depth(depth.depth_m, camera, floor)
    depth_m, sure, keep = depth.depth_m, depth.confidence, ObstacleFilter()
    true_floor = np.isin(view.labels, [CLASSES.index(name) for name in GROUND])

    def corrected(mask: np.ndarray) -> np.ndarray:
        return depth_m * np.float32(scale_by_floor(depth_m, camera, by_tf, mask)[0])

    return {
        "no classes": keep(depth_m, sure, camera, by_tf),
        "pixels of the floor left out": keep(depth_m, np.where(floor, np.float32(0), sure), camera, by_tf),
        "floor left out, depth as seen": keep(depth_m, sure, camera, by_tf, floor),
        "floor left out": keep(corrected(floor), sure, camera, by_tf, floor),
        "floor left out, no TF": keep(depth_m, sure, camera, by_depth, floor),
        "true floor left out": keep(corrected(true_floor), sure, camera, by_tf, true_floor),
    }


class Truth:
    """The true surfaces of a view that are obstacles."""

    def __init__(self, view: View):
        camera = Intrinsics.of(view.camera)
        surfaces = placed(points(view.depth_m, camera), view).reshape(-1, 3)
        solid = ~np.isin(view.labels.ravel(), [CLASSES.index(name) for name in NO_OBSTACLE])
        self.points = surfaces[solid & np.isfinite(surfaces).all(axis=1)]
        self.cells = np.unique(cells_of(self.points, RESOLUTION), axis=0)
        self.origin = view.camera.pose[:3, 3]

    def wanted(self, source: dict[str, Any]) -> np.ndarray:
        """Cells with surfaces that all of the heights compared keep, within the ranges of `source`."""
        return self._cells({**source, "min_obstacle_height": 0.3})

    def low(self, source: dict[str, Any]) -> np.ndarray:
        """Cells within the ranges of `source` around which everything is lower than `LOW` allows."""
        cells = self._cells({**source, "min_obstacle_height": LOW[0]})
        high = self.points[self.points[:, 2] > LOW[1]]
        return cells[far_from(cells, np.unique(cells_of(high, RESOLUTION), axis=0))]

    def _cells(self, source: dict[str, Any]) -> np.ndarray:
        seen = self.points[marked(self.points, self.origin, source)]
        return np.unique(cells_of(seen, RESOLUTION), axis=0)


def obstacles(
    view: View, truth: Truth, cloud: np.ndarray, source: dict[str, Any], wanted: np.ndarray, low: np.ndarray
) -> dict[str, float]:
    """The figures of the voxel layer for one view; `wanted` and `low` are the truth's for `source`."""
    camera = Intrinsics.of(view.camera)
    world = placed(cloud, view)
    marks = marked(world, truth.origin, source)
    columns = np.clip(np.rint(camera.fx * cloud[:, 0] / cloud[:, 2] + camera.cx), 0, WIDTH - 1).astype(int)
    rows = np.clip(np.rint(camera.fy * cloud[:, 1] / cloud[:, 2] + camera.cy), 0, HEIGHT - 1).astype(int)
    floor = np.isin(view.labels[rows, columns], [CLASSES.index(name) for name in GROUND])
    lethal = np.unique(cells_of(world[marks], RESOLUTION), axis=0)
    return {
        "points": float(marks.sum()),
        "floor points": float((marks & floor).sum()),
        "cells": float(len(lethal)),
        "false cells": float(far_from(lethal, truth.cells).sum()),
        "true cells": float(len(wanted)),
        "missing cells": float(far_from(wanted, lethal).sum()),
        "low cells": float(len(low)),
        "missing low cells": float(far_from(low, lethal).sum()),
    }


def far_from(cells: np.ndarray, others: np.ndarray) -> np.ndarray:
    """For each cell whether no one of the others lies within `NEAR_M`."""
    if not len(cells) or not len(others):
        return np.ones(len(cells), bool)
    low = np.minimum(cells.min(axis=0), others.min(axis=0))
    size = np.maximum(cells.max(axis=0), others.max(axis=0)) - low + 1
    free = np.ones(size, np.uint8)
    free[tuple((others - low).T)] = 0
    away = cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return away[tuple((cells - low).T)] > NEAR_M / RESOLUTION


def semantics(
    view: View, answers: dict[str, Any], source: dict[str, Any], names: dict[int, str]
) -> dict[str, float]:
    """Tiles of the semantic layer that have a pixel of a class, and those of them that went to a cheaper
    one."""
    cloud = placed(points(answers["depth"].depth_m, Intrinsics.of(view.camera)), view)
    labels = answers["semantic"].labels
    confidence = np.rint(255 * answers["semantic"].confidence).astype(np.uint8)
    origin = view.camera.pose[:3, 3]
    chosen = SemanticTiles(source, RESOLUTION).add(cloud, origin, labels, confidence, names, 0.0)
    cost = {
        name: source[kind]["max_cost"] for kind in source["class_types"] for name in source[kind]["classes"]
    }
    figures = {}
    for kind in ("blocked", "alive"):
        distance = np.linalg.norm(cloud - origin, axis=2)
        ids = [i for i, name in names.items() if name in source[kind]["classes"]]
        seen = (
            np.isin(labels, ids)
            & (distance > source["min_obstacle_distance"])
            & (distance < source["max_obstacle_distance"])
        )
        tiles = {(int(x), int(y)) for x, y in cells_of(cloud[seen], RESOLUTION)}
        lost = [tile for tile in tiles if cost.get(names.get(chosen[tile], ""), 0) < source[kind]["max_cost"]]
        figures |= {f"{kind} tiles": float(len(tiles)), f"lost {kind} tiles": float(len(lost))}
    return figures


def summed(rows: list[dict[str, float]]) -> dict[str, float]:
    return {key: sum(row[key] for row in rows) for key in rows[0]}


def ratio(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole else None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--views", type=int, default=20, help="of each kind; default: %(default)s")
    parser.add_argument("--others", type=int, default=50, help="of other worlds; default: %(default)s")
    parser.add_argument("--bundle", type=Path, default=None)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args()
    generator = load_generator(args.bundle or default_bundle())
    perceiver = Perceiver(generator)
    legend = generator.manifest.legend
    names = dict(enumerate(legend))
    voxel, semantic = preset("voxel_layer"), preset("semantic_layer")
    result: dict[str, Any] = {
        "command": "python benchmark/" + " ".join([Path(__file__).name, *sys.argv[1:]]),
        "bundle": {
            "name": generator.name,
            "answer.onnx": generator.manifest.files.get("answer.onnx", "")[:12],
        },
        "views": args.views,
        "views of other worlds": args.others,
        "resolution_m": RESOLUTION,
        "near_m": NEAR_M,
    }
    sets = {
        f"{kind}{others}": (view_of, seeds)
        for others, seeds in (
            ("", range(args.views)),
            (", other worlds", range(FIRST_OTHER, FIRST_OTHER + args.others)),
        )
        for kind, view_of in (("simulated camera", simulated), ("random worlds", random))
    }
    for kind, (view_of, seeds) in sets.items():
        rows: dict[str, list[dict[str, float]]] = defaultdict(list)
        for view in map(view_of, seeds):
            depth, labels = perceiver.look(
                view.image, [Question.depth(), Question.semantic(legend)], Intrinsics.of(view.camera)
            )
            floor = np.isin(labels.labels, [i for i, name in names.items() if name in GROUND])
            answers, truth = {"depth": depth, "semantic": labels}, Truth(view)
            chosen = {f"from {voxel['min_obstacle_height']} m": voxel}
            settings = (
                chosen
                if seeds.start
                else {
                    **{f"from {h} m": {**voxel, "min_obstacle_height": h} for h in HEIGHTS},
                    **{f"up to {r} m away": {**voxel, "obstacle_max_range": r} for r in RANGES},
                }
            )
            made = clouds(view, depth, floor)
            for name, source in settings.items():
                wanted, low = truth.wanted(source), truth.low(source)
                for way, cloud in made.items():
                    rows[f"{name}, {way}"].append(obstacles(view, truth, cloud, source, wanted, low))
            for by_cost in () if seeds.start else (False, True):
                source = {**semantic, "use_cost_selection": by_cost}
                rows[f"use_cost_selection: {str(by_cost).lower()}"].append(
                    semantics(view, answers, source, names)
                )
        result[kind] = {}
        print(f"\n{kind}")
        for name, found in rows.items():
            total = summed(found)
            if "points" in total:
                figures = {
                    "floor points": ratio(total["floor points"], total["points"]),
                    "false cells": ratio(total["false cells"], total["cells"]),
                    "found": ratio(total["true cells"] - total["missing cells"], total["true cells"]),
                    "low found": ratio(total["low cells"] - total["missing low cells"], total["low cells"]),
                }
            else:
                figures = {
                    f"lost {k} tiles": ratio(total[f"lost {k} tiles"], total[f"{k} tiles"])
                    for k in ("blocked", "alive")
                }
            result[kind][name] = {**figures, "counts": total}
            print(f"  {name:48}" + "  ".join(f"{key} {value}" for key, value in figures.items()))
    args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
