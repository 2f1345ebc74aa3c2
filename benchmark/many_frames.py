# SPDX-License-Identifier: Apache-2.0
"""Whether a benchmark of 10,000 frames runs in flat memory.

Ten rendered rooms are written in the layout of own real frames and linked until there are 10,000 frames; a
painter that knows their depth answers, so that only loading, scoring and keeping results are measured.
`python benchmark/many_frames.py` writes many_frames.json.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "test" / "support"))

import benchmark_sets as sets  # noqa: E402

from vision_banana_ros.evaluation.benchmarks import BENCHMARKS  # noqa: E402
from vision_banana_ros.evaluation.benchmarks.protocols import Options  # noqa: E402
from vision_banana_ros.evaluation.benchmarks.run import Plan, run  # noqa: E402
from vision_banana_ros.evaluation.machine import machine  # noqa: E402
from vision_banana_ros.perception import Perceiver  # noqa: E402

FRAMES, ROOMS, SIZE, EVERY = 10_000, 10, (48, 64), 1_000
KINDS = (".png", "_depth.npz")


def resident_mb() -> float:
    """Memory of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmRSS"))


def write(folder: Path) -> None:
    """The frames, of which each room has every tenth."""
    rooms, many = folder / "rooms", folder / "frames"
    many.mkdir()
    sets.write_real(rooms, sets.rooms(ROOMS, SIZE))
    for number in range(FRAMES):
        for kind in KINDS:
            os.link(rooms / f"room{number % ROOMS}{kind}", many / f"frame{number:05d}{kind}")


def main() -> None:
    """Measure and write the figures."""
    memory: dict[int, float] = {}

    def tell(said: str) -> None:
        done = int(said.split(": ")[1].split(" of ")[0])
        if done % EVERY == 0:
            memory[done] = round(resident_mb(), 1)
            print(said, memory[done], "MB", flush=True)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder)
        benchmark, perceiver = BENCHMARKS["real-depth"], Perceiver(sets.Painter(sets.rooms(ROOMS, SIZE)))
        entries = benchmark.open(folder / "frames")
        report = run(benchmark, entries, perceiver, "truth", folder / "r.json", Plan(), Options(), {}, tell)
        kept = (folder / "r.frames.jsonl").stat().st_size
    figures = {
        "command": "python benchmark/many_frames.py",
        "machine": machine(),
        "frames": report["frames"],
        "delta1": report["depth"]["delta1"],
        "seconds": round(report["seconds"], 1),
        "results on disk, MB": round(kept / 1e6, 2),
        "resident memory after so many frames, MB": memory,
    }
    (HERE / "many_frames.json").write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
