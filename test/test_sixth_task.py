# SPDX-License-Identifier: Apache-2.0
"""A task that the package does not have, made in one file of the tests, is asked by `vision-banana run`
and by the node."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from patience import COMPILED_S

SUPPORT = Path(__file__).parent / "support"


def ask(*argv: str) -> str:
    """In a process of its own: a task is registered once, before anything else is imported."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(SUPPORT.parents[1]), os.environ.get("PYTHONPATH", "")]),
    }
    command = [sys.executable, str(SUPPORT / "sixth_task.py"), *argv]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=COMPILED_S)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_run_writes_the_answer_of_a_sixth_task(tmp_path):
    grey = np.kron(np.random.default_rng(0).integers(20, 200, (6, 8)), np.ones((10, 10))).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "grey.png"), np.repeat(grey[..., None], 3, 2))
    ask("run", str(tmp_path / "grey.png"), str(tmp_path / "out"))
    (values,) = (tmp_path / "out").rglob("brightness.npy")
    np.testing.assert_allclose(np.load(values), grey / 255, atol=1e-3)
    sure = cv2.imread(str(values.with_name("brightness_confidence.png")), cv2.IMREAD_UNCHANGED)
    assert (sure == 255).all()
    sheet = cv2.imread(str(values.with_name("sheet.png")))
    # the image and the answer, as its code has it
    assert np.isin(sheet, np.unique(grey)).all(axis=2).sum() > 2 * 60 * 80 * 0.9


def test_the_node_publishes_the_answer_of_a_sixth_task():
    pytest.importorskip("rclpy")
    encoding, value = ask("node").split()[-2:]
    assert encoding == "32FC1" and float(value) == pytest.approx(0.2, abs=1e-3)
