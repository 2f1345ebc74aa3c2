# SPDX-License-Identifier: Apache-2.0
"""How long it takes to read a 640 x 480 answer, on one thread, beside hilbertmap and beside plain NumPy.

`python benchmark/decode.py` prints a table and writes decode.json next to itself.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

# Before NumPy is imported: its libraries read them once.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import hilbertmap  # noqa: E402
import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from vision_banana_ros.evaluation.machine import machine  # noqa: E402
from vision_banana_ros.tasks import depth, instances, normals, referring, semantic  # noqa: E402
from vision_banana_ros.tasks.colors import BLACK, far_apart  # noqa: E402

HEIGHT, WIDTH = 480, 640
LEGEND = {f"class {i}": color for i, color in enumerate(far_apart(19, avoid=["black"]))}
NOISE = 4 / 255

Call = Callable[[], object]
Reader = Callable[[NDArray], object]


def cases(rng: np.random.Generator) -> list[tuple[str, str, Call, Call]]:
    """Return what is read, what it is compared with, ours and theirs; once in float, once in 8 bits."""
    palette = np.array([*LEGEND.values(), BLACK], np.float32)
    color = LEGEND["class 0"]
    blobs = _blobs(rng, len(LEGEND))
    listed: list[tuple[str, str, Call, Call]] = []

    def add(name: str, other: str, painted: NDArray, ours: Reader, theirs: Reader) -> None:
        noisy = np.clip(painted + rng.normal(0, NOISE, painted.shape), 0, 1).astype(np.float32)
        bits = np.rint(255 * noisy).astype(np.uint8)
        listed.append((f"{name}, float32", other, partial(ours, noisy), partial(theirs, noisy)))
        unit = bits / np.float32(255)  # theirs read floats only; the division is not counted
        listed.append((f"{name}, uint8", other, partial(ours, bits), partial(theirs, unit)))

    depths = rng.uniform(0.2, 40, (HEIGHT, WIDTH))
    add("depth", "hilbertmap", depth.encode(depths), depth.decode, hilbertmap.rgb_to_depth)
    add("normals", "NumPy", normals.encode(_normals(rng)), normals.decode, numpy_normals)
    add(
        "semantic, 19 classes",
        "NumPy",
        semantic.encode(blobs, LEGEND),
        partial(semantic.decode, legend=LEGEND),
        partial(numpy_nearest, palette=palette),
    )
    add(
        "referring",
        "NumPy",
        referring.encode(blobs == 1, color),
        partial(referring.decode, color=color),
        partial(numpy_nearest, palette=palette[[-1, 0]]),
    )
    add("instances, 30 things", "NumPy", instances.encode(_blobs(rng, 31)), instances.decode, numpy_instances)
    return listed


def numpy_normals(rgb: NDArray[np.float32]) -> tuple[NDArray, NDArray]:
    vectors = (2 * rgb - 1) * np.array([-1, 1, 1], np.float32)
    length = np.linalg.norm(vectors, axis=2)
    confidence = np.clip(1 - np.abs(length - 1) / 0.5, 0, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(confidence[..., None] > 0, vectors / length[..., None], np.nan), confidence


def numpy_nearest(rgb: NDArray[np.float32], palette: NDArray[np.float32]) -> tuple[NDArray, NDArray]:
    distance = np.stack([np.linalg.norm(255 * rgb - color, axis=2) for color in palette])
    nearest, second = np.partition(distance, 1, axis=0)[:2]
    return distance.argmin(axis=0), 1 - nearest / second


def numpy_instances(rgb: NDArray[np.float32]) -> NDArray:
    """The paper's steps 1 to 4, the frontier of a region grown by one step at a time; merging is left out."""
    height, width, _ = rgb.shape
    padded = np.pad(255 * rgb, ((2, 2), (2, 2), (0, 0))).reshape(-1, 3)
    free = (padded**2).sum(axis=1) >= 14**2
    steps = [y * (width + 4) + x for y in range(-2, 3) for x in range(-2, 3) if y * y + x * x in (1, 2, 5)]
    labels = np.zeros(free.shape, np.uint16)
    count = 0
    for seed in np.flatnonzero(free):
        if not free[seed]:
            continue
        region = frontier = np.array([seed])
        free[seed] = False
        while frontier.size:
            around = np.unique((frontier[:, None] + steps).ravel())
            around = around[free[around]]
            frontier = around[((padded[around] - padded[seed]) ** 2).sum(axis=1) <= 14**2]
            free[frontier] = False
            region = np.append(region, frontier)
        if region.size >= 2e-4 * height * width:
            mask = np.zeros(free.shape, bool)
            mask[region] = True
            if _core(mask.reshape(height + 4, width + 4)[2:-2, 2:-2]) >= 0.1 * region.size:
                count += 1
                labels[region] = count
    return labels.reshape(height + 4, width + 4)[2:-2, 2:-2]


def _core(region: NDArray[np.bool_]) -> int:
    padded = np.pad(region, 1, constant_values=True)
    height, width = region.shape
    shifted = [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return int(np.logical_and.reduce(shifted).sum())


def _normals(rng: np.random.Generator) -> NDArray[np.float64]:
    vectors = rng.normal(size=(HEIGHT, WIDTH, 3))
    return vectors / np.linalg.norm(vectors, axis=2, keepdims=True)


def _blobs(rng: np.random.Generator, n: int) -> NDArray[np.uint8]:
    """Rectangles 1 to n - 1 that do not touch, on 0."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    for k, cell in enumerate(rng.permutation(48)[: n - 1], start=1):
        y, x = 80 * (cell // 8), 80 * (cell % 8)
        labels[y + 5 : y + rng.integers(40, 75), x + 5 : x + rng.integers(40, 75)] = k
    return labels


def median_ms(call: Call, at_least: int, seconds: float) -> float:
    """Median CPU time of a call that has been made before, over `at_least` calls and `seconds`.

    CPU time of this thread, not the clock's: what else the machine does is no part of it.
    """
    call()
    times: list[float] = []
    while len(times) < at_least or sum(times) < seconds:
        start = time.thread_time()
        call()
        times.append(time.thread_time() - start)
    return float(np.median(times)) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the decoders.")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args()
    rows = []
    print(f"{'answer 640 x 480':34}{'ours, ms':>10}{'other, ms':>11}  {'other':12}{'ratio':>7}")
    for name, other, ours, theirs in cases(np.random.default_rng(0)):
        our_ms, their_ms = median_ms(ours, 30, 0.5), median_ms(theirs, 3, 0.5)
        ratio = their_ms / our_ms
        theirs_rounded = {"other": other, "other_ms": round(their_ms, 2), "ratio": round(ratio, 1)}
        rows.append({"answer": name, "ms": round(our_ms, 3)} | theirs_rounded)
        print(f"{name:34}{our_ms:10.2f}{their_ms:11.1f}  {other:12}{ratio:7.0f}")
    report = {
        "command": "python benchmark/decode.py",
        "machine": machine("numpy", "numba", "hilbertmap", threads=1),
        "size": [HEIGHT, WIDTH],
        "decode": rows,
    }
    args.out.write_text(json.dumps(report, indent=2) + "\n")
    print(f"written to {args.out}")


if __name__ == "__main__":
    main()
