# SPDX-License-Identifier: Apache-2.0
"""The node as a process of its own, with a generator that keeps nothing of what it paints, so that its memory
can be watched.

python test/soak/soak_node.py --ros-args -p autostart:=true
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "test" / "support")]

from node_support import TestGenerator  # noqa: E402

from vision_banana_ros.node.main import main  # noqa: E402


class Forgetful(TestGenerator):
    """The tests' generator; its notes of what it was asked would be a leak here."""

    def paint(self, image: np.ndarray, instructions: Sequence[str]) -> np.ndarray:
        painted = super().paint(image, instructions)
        self.painted.clear()
        self.answered.clear()
        return painted

    def prepare(self, instruction: str) -> None:
        super().prepare(instruction)
        self.prepared.clear()


def load(bundle: str, executor: str) -> Any:
    return Forgetful()


if __name__ == "__main__":
    sys.exit(main(generator_loader=load))
