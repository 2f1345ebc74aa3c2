# SPDX-License-Identifier: Apache-2.0
"""How fast furnished views are drawn, and how far OpenGL agrees with Embree. Writes furnished.json beside
this file.

Needs the models: `vision-banana scenes fetch`. Rates are of processes as training has them, one thread each;
process time tells what a core of one's own would do, wall time what this machine did beside its other work.
"""

import json
import resource
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation.machine import machine
from vision_banana_ros.scenes import render, sample_camera
from vision_banana_ros.scenes.furnished import KINDS, default_folder, library_at, make_furnished_world

PROCESSES = 2
SIZE = (160, 120)
WORLDS = 5
VIEWS = (8, 16)


def draw(first: int, views: int, worlds: int = WORLDS) -> dict[str, float]:
    """Process seconds for the worlds, for their first view (with Embree's build), and for the others."""
    cv2.setNumThreads(1)
    spent = {"world": 0.0, "build": 0.0, "camera": 0.0, "view": 0.0}
    triangles = 0
    for seed in range(first, first + worlds):
        rng = np.random.default_rng(seed)
        t = [time.process_time()]
        world = make_furnished_world(seed)
        t.append(time.process_time())
        world.caster.scenes  # type: ignore[union-attr]  # noqa: B018
        t.append(time.process_time())
        spent["world"] += t[1] - t[0]
        spent["build"] += t[2] - t[1]
        triangles += len(world.caster.soup.corners)  # type: ignore[union-attr]
        for _ in range(views):
            t = [time.process_time()]
            camera = sample_camera(world, rng, *SIZE)
            t.append(time.process_time())
            render(world, camera, rng)
            spent["camera"] += t[1] - t[0]
            spent["view"] += time.process_time() - t[1]
    return {
        **spent,
        "triangles": triangles / worlds,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def agreement(seed: int, kind: str) -> dict[str, float] | None:
    """Shares of pixels on which OpenGL and Embree agree; None where there is no OpenGL."""
    world = make_furnished_world(seed, kind=kind)
    camera = sample_camera(world, np.random.default_rng(seed), 320, 240)
    a = render(world, camera, 0, effects=False)
    try:
        b = render(world, camera, 0, effects=False, device="cuda")
    except InputError:
        return None
    both = np.isfinite(a.depth_m) & np.isfinite(b.depth_m)
    near = both.copy()
    near[both] = abs(a.depth_m[both] - b.depth_m[both]) < 1e-3 * a.depth_m[both]
    angle = np.degrees(np.arccos(np.clip((a.normals * b.normals).sum(-1)[near], -1, 1)))
    return {
        "depth_within_0.1_percent": float(near.sum() / both.sum()),
        "normals_within_1_degree": float((angle < 1).mean()),
        "labels": float((a.labels == b.labels).mean()),
        "instances": float((a.instances == b.instances).mean()),
    }


def main() -> None:
    """Measure and write."""
    library = library_at(default_folder())
    rates = {}
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        list(pool.map(draw, (0, 0), (1, 1), (1, 1)))  # compiles, or loads what is compiled
        for views in VIEWS:
            start = time.perf_counter()
            done = list(pool.map(draw, (100 * views, 100 * views + WORLDS), [views] * PROCESSES))
            wall = time.perf_counter() - start
            count = WORLDS * views
            core = statistics.mean(sum(d[k] for k in ("world", "build", "camera", "view")) for d in done)
            rates[str(views)] = {
                "views_per_s_two_cores_process_time": round(PROCESSES * count / core, 1),
                "views_per_s_this_machine_wall": round(PROCESSES * count / wall, 1),
                "world_ms": round(1e3 * statistics.mean(d["world"] for d in done) / WORLDS, 1),
                "embree_build_ms": round(1e3 * statistics.mean(d["build"] for d in done) / WORLDS, 1),
                "camera_ms": round(1e3 * statistics.mean(d["camera"] for d in done) / count, 1),
                "view_ms": round(1e3 * statistics.mean(d["view"] for d in done) / count, 1),
                "triangles_a_world": round(statistics.mean(d["triangles"] for d in done)),
                "memory_mb": round(max(d["memory_mb"] for d in done)),
            }
    found = [agreement(seed, kind) for seed, kind in enumerate(KINDS)]
    same = [f for f in found if f]
    result = {
        "command": "python benchmark/furnished.py",
        "machine": machine("numpy", "numba", "embreex"),
        "models": len(library.items),
        "held_out": sum(item.held_out for item in library.items),
        "training_views": {"size": [SIZE[1], SIZE[0]], "processes": PROCESSES, "by_views_a_world": rates},
        "opengl_agrees_with_embree": {k: round(min(f[k] for f in same), 5) for k in same[0]}
        if same
        else None,
    }
    print(json.dumps(result, indent=2))
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
