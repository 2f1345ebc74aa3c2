# SPDX-License-Identifier: Apache-2.0
"""How fast rendered scenes are made: training views of 120 x 160, the simulated camera at 640 x 480, the
first compile.

`python benchmark/render.py` prints a table and writes render.json next to itself. About a minute.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

# Before NumPy is imported: its libraries read them once.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import cv2  # noqa: E402
import numpy as np  # noqa: E402

from vision_banana_ros.evaluation.machine import machine  # noqa: E402
from vision_banana_ros.scenes import KINDS, SimulatedCamera, make_world, render, sample_camera  # noqa: E402

VIEWS_A_WORLD = 4
PROCESSES = 2
SECONDS = 6.0
FIRST = """
import time
import numpy as np
from vision_banana_ros.scenes import make_world, render, sample_camera
start = time.perf_counter()
world = make_world(0)
render(world, sample_camera(world, np.random.default_rng(0), 160, 120), 0)
print(time.perf_counter() - start)
"""


def views(kind: str | None, first_seed: int, seconds: float) -> tuple[float, float]:
    """Training views a second in this process, and milliseconds of one core for each.

    They are worlds, cameras, pictures with all effects, and their truth.
    """
    cv2.setNumThreads(1)
    count, seed = 0, first_seed
    rng = np.random.default_rng(first_seed)
    start, own = time.perf_counter(), time.process_time()
    while time.perf_counter() - start < seconds:
        world = make_world(seed, kind)
        for _ in range(VIEWS_A_WORLD):
            render(world, sample_camera(world, rng, 160, 120), rng)
        count, seed = count + VIEWS_A_WORLD, seed + 1
    return count / (time.perf_counter() - start), 1e3 * (time.process_time() - own) / count


def training(pool: ProcessPoolExecutor, kind: str | None) -> dict[str, float]:
    """Views a second of all processes together, and what one costs."""
    started = [pool.submit(views, kind, 1000 * (k + 1), SECONDS) for k in range(PROCESSES)]
    rates, costs = zip(*(task.result() for task in started), strict=True)
    return {"views_per_second": round(sum(rates), 1), "core_ms_a_view": round(statistics.mean(costs), 2)}


def camera(seed: int) -> dict[str, float]:
    """Milliseconds for a view of the simulated camera: on the clock, and of one core's time."""
    simulated = SimulatedCamera(seed, 640, 480, 10.0)
    wall, core = [], []
    for k in range(8):
        start, own = time.perf_counter(), time.thread_time()
        simulated.view(0.7 * k)
        wall.append(time.perf_counter() - start)
        core.append(time.thread_time() - own)
    return {
        "seed": seed,
        "ms": round(1e3 * statistics.median(wall), 1),
        "core_ms": round(1e3 * statistics.median(core), 1),
    }


def first_view() -> float:
    """Seconds that a newcomer's first view takes, most of them to compile; nothing cached."""
    with tempfile.TemporaryDirectory() as cache:
        fresh = os.environ | {"NUMBA_CACHE_DIR": cache}
        done = subprocess.run(
            [sys.executable, "-c", FIRST], env=fresh, check=True, capture_output=True, text=True
        )
    return round(float(done.stdout), 1)


def main() -> None:
    """Measure and write."""
    cv2.setNumThreads(1)
    views(None, 0, 0.1)  # compiles, or loads what is compiled
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        list(pool.map(views, [None] * PROCESSES, [0] * PROCESSES, [0.1] * PROCESSES))
        rates = {kind or "as drawn": training(pool, kind) for kind in (None, *KINDS)}
    cameras = [camera(seed) for seed in range(8)]
    result = {
        "command": "python benchmark/render.py",
        "machine": machine("numpy", "numba"),
        "first_view_s": first_view(),
        "training_views": {
            "size": [120, 160],
            "processes": PROCESSES,
            "views_a_world": VIEWS_A_WORLD,
            "by_kind": rates,
        },
        "simulated_camera": {
            "size": [480, 640],
            "median_ms": statistics.median(c["ms"] for c in cameras),
            "median_core_ms": statistics.median(c["core_ms"] for c in cameras),
            "by_seed": cameras,
        },
    }
    print(json.dumps(result, indent=2))
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
