# SPDX-License-Identifier: Apache-2.0
"""What `vision-banana run` takes for pictures of 3840x2160 pixels, and what writing beside painting saves.

The photographs of docs/photographs are enlarged and get the noise of a sensor, since smooth pictures
compress too well. They are answered twice, once with each result written before the next frame is painted,
and once as the command does it; the saving is the ratio of the two wall times.

`python benchmark/large_pictures.py` prints the figures and writes large_pictures.json next to itself.
"""

import contextlib
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np

from vision_banana_ros.cli import run
from vision_banana_ros.cli.main import main as command
from vision_banana_ros.evaluation.machine import cpu_name

ROOT = Path(__file__).resolve().parents[1]
SIZE = (3840, 2160)
NOISE = 3.0
"""Standard deviation, of 255."""
FRAMES = 3


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


def answer(folder: Path, out: Path) -> dict[str, Any]:
    """The figures of one run of the command."""
    said = _Timed()
    with contextlib.redirect_stderr(said):
        status = command(["run", str(folder), "--out", str(out), "--fov", "85"])
    wall_s, processor_s = time.perf_counter() - said.first_s, time.process_time() - said.first_processor_s
    if status:
        sys.exit(status)
    summary = json.loads((out / "summary.json").read_text())
    parts = {
        part: round(float(np.mean([frame["seconds"][part] for frame in summary["frames"]])), 2)
        for part in ("paint", "read", "write")
    }
    written = sum(file.stat().st_size for file in out.rglob("*") if file.is_file()) / FRAMES
    return {
        "bundle": summary["bundle"],
        "executor": summary["executor"],
        "seconds a frame": {
            "wall": round(wall_s / FRAMES, 2),
            "processor time": round(processor_s / FRAMES, 2),
            **parts,
        },
        "written a frame (MB)": round(written / 1e6, 1),
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "in"
        folder.mkdir()
        enlarged(folder)
        with mock.patch.object(run, "ThreadPoolExecutor", _OneAfterAnother):
            before = answer(folder, Path(name) / "one_after_another")
        now = answer(folder, Path(name) / "beside")
    walls = [figures["seconds a frame"]["wall"] for figures in (now, before)]
    report = {
        "command": "python benchmark/large_pictures.py",
        "machine": {
            "cpu": cpu_name(),
            "cores": os.cpu_count(),
            "load average at the end": [round(load, 1) for load in os.getloadavg()],
        },
        "size": list(SIZE),
        "frames": FRAMES,
        "one after another": before,
        "written beside painting": now,
        "wall time, beside over one after another": round(walls[0] / walls[1], 3),
    }
    text = json.dumps(report, indent=2)
    Path(__file__).with_suffix(".json").write_text(text + "\n")
    print(text)


class _OneAfterAnother:
    """An executor that has run a call when it returns it."""

    def __init__(self, workers: int):
        pass

    def __enter__(self) -> "_OneAfterAnother":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def submit(self, call: Callable[..., Any], *arguments: object) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(call(*arguments))
        return future


class _Timed(io.StringIO):
    """Standard error of the command; `first_s` is when the frames begin, after the bundle is loaded."""

    first_s = first_processor_s = 0.0

    def write(self, text: str) -> int:
        if not self.first_s and "questions each" in text:
            self.first_s, self.first_processor_s = time.perf_counter(), time.process_time()
        return len(text)


if __name__ == "__main__":
    main()
