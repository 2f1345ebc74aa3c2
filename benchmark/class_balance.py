# SPDX-License-Identifier: Apache-2.0
"""How often training sees each class: the share of views in which it covers at least half a percent of the
pixels.

    python benchmark/class_balance.py [WORLDS]        writes class_balance.json

Furnished worlds of the training split, looked at as training does, of edition 1 (what 0.1 was trained on) and
of today.
"""

import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from vision_banana_ros.scenes import CLASSES, render, sample_camera
from vision_banana_ros.scenes.furnished import make_furnished_world

FIRST_SEED = 1_000_000
VIEWS = 4
LEAST = 0.005
SIZE = (96, 72)
DEPTHS_M = (0.5, 1, 2, 4, 8, 16, 32)


def measure(edition: int, worlds: int) -> dict[str, object]:
    seen: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    fields, heights, depths, unlabelled = [], [], np.zeros(len(DEPTHS_M) + 1), 0.0
    for seed in range(FIRST_SEED, FIRST_SEED + worlds):
        world = make_furnished_world(seed, edition=edition)
        kinds[world.kind] += 1
        rng = np.random.default_rng(seed)
        for _ in range(VIEWS):
            camera = sample_camera(world, rng, *SIZE, edition)
            view = render(world, camera, rng, effects=False)
            shares = np.bincount(view.labels.ravel(), minlength=256) / view.labels.size
            seen.update(name for k, name in enumerate(CLASSES) if shares[k] >= LEAST)
            unlabelled += shares[255]
            depth_m = view.depth_m[np.isfinite(view.depth_m)]
            depths += np.bincount(np.digitize(depth_m, DEPTHS_M), minlength=len(depths)) / view.depth_m.size
            fields.append(float(np.degrees(2 * np.arctan(0.5 * camera.width / camera.fx))))
            heights.append(float(camera.pose[2, 3]))
    views = worlds * VIEWS
    edges = (0, *DEPTHS_M, "inf")
    return {
        "views_with_class": {name: round(seen[name] / views, 3) for name in CLASSES},
        "pixels_of_no_class": round(unlabelled / views, 3),
        "pixels_by_depth_m": {
            f"{a}-{b}": round(float(share / views), 3)
            for a, b, share in zip(edges, edges[1:], depths, strict=False)
        },
        "field_of_view_degrees": [round(float(v), 1) for v in np.percentile(fields, (1, 10, 50, 90, 99))],
        "camera_height_m": [round(float(v), 2) for v in np.percentile(heights, (1, 10, 50, 90, 99))],
        "worlds_by_kind": dict(kinds.most_common()),
    }


def main() -> None:
    worlds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    found = {
        "command": f"python benchmark/class_balance.py {worlds}",
        "worlds": worlds,
        "views": worlds * VIEWS,
        "least_share_of_pixels": LEAST,
        "edition_1": measure(1, worlds),
        "edition_2": measure(2, worlds),
    }
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
