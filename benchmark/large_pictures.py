# SPDX-License-Identifier: Apache-2.0
"""What `vision-banana run` takes for pictures of 3840x2160 pixels, and what writing beside painting saves.

The photographs of docs/photographs are enlarged and get the noise of a sensor, since smooth pictures
compress too well. The saving is a ratio within one run: the wall time of all frames over the sum of their
parts (painting, reading, writing), which is what they would take one after another.

`python benchmark/large_pictures.py` prints the figures and writes large_pictures.json next to itself.
"""

import contextlib
import io
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from vision_banana_ros.cli.bench import cpu_name
from vision_banana_ros.cli.main import main as command

ROOT = Path(__file__).resolve().parents[1]
SIZE = (3840, 2160)
NOISE = 3.0
"""Standard deviation, of 255."""
FRAMES = 6


def enlarged(folder: Path) -> None:
    """Writes the pictures."""
    rng = np.random.default_rng(0)
    photographs = sorted((ROOT / "docs" / "photographs").glob("*.jpg"))
    for k in range(FRAMES):
        image = cv2.resize(
            cv2.imread(str(photographs[k % len(photographs)])), SIZE, interpolation=cv2.INTER_LANCZOS4
        )
        noisy = image + rng.normal(0, NOISE, image.shape).astype(np.float32)
        cv2.imwrite(str(folder / f"{k}.jpg"), noisy.clip(0, 255).astype(np.uint8))


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, out = Path(name) / "in", Path(name) / "out"
        folder.mkdir()
        enlarged(folder)
        said = _Timed()
        with contextlib.redirect_stderr(said):
            status = command(["run", str(folder), "--out", str(out), "--fov", "85"])
        ended, processor_s = time.perf_counter(), time.process_time() - said.first_processor_s
        if status:
            sys.exit(status)
        summary = json.loads((out / "summary.json").read_text())
        sizes = sum(file.stat().st_size for file in out.rglob("*") if file.is_file()) / FRAMES
    parts = {part: [f["seconds"][part] for f in summary["frames"]] for part in ("paint", "read", "write")}
    wall_s = ended - said.first_s
    one_after_another_s = sum(map(sum, parts.values()))
    report = {
        "command": "python benchmark/large_pictures.py",
        "machine": {
            "cpu": cpu_name(),
            "cores": os.cpu_count(),
            "load average at the end": [round(load, 1) for load in os.getloadavg()],
        },
        "bundle": summary["bundle"],
        "executor": summary["executor"],
        "size": list(SIZE),
        "frames": FRAMES,
        "seconds a frame": {
            **{part: round(float(np.mean(seconds)), 2) for part, seconds in parts.items()},
            "wall": round(wall_s / FRAMES, 2),
            "processor time": round(processor_s / FRAMES, 2),
        },
        "wall over the parts one after another": round(wall_s / one_after_another_s, 3),
        "written a frame (MB)": round(sizes / 1e6, 1),
    }
    text = json.dumps(report, indent=2)
    Path(__file__).with_suffix(".json").write_text(text + "\n")
    print(text)


class _Timed(io.StringIO):
    """Standard error of the command; `first_s` is when the frames begin, after the bundle is loaded."""

    first_s = first_processor_s = 0.0

    def write(self, text: str) -> int:
        if not self.first_s and "questions each" in text:
            self.first_s, self.first_processor_s = time.perf_counter(), time.process_time()
        return len(text)


if __name__ == "__main__":
    main()
