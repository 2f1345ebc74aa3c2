# SPDX-License-Identifier: Apache-2.0
"""An imported editor without its networks: the bundle, the profile and the kept prompts are the real ones; a
painter that knows the answer stands in for the denoiser, and its text encoder writes an instruction's letters
instead of embedding it.

Run as a program it is `vision-banana prompts encode` with that text encoder: python
test/support/stand_in_editor.py --device cpu BUNDLE -- INSTRUCTION...
"""

import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from oracle import Truth

from vision_banana_ros.generators.backbones.generator import BackboneGenerator
from vision_banana_ros.generators.backbones.prompt_cache import cache_of
from vision_banana_ros.generators.bundle import FORMAT, Bundle, open_bundle
from vision_banana_ros.tasks.profiles import Profile, profile

SIZE = (48, 64)
LEGEND = {"floor": (128, 64, 128), "wall": (0, 0, 255)}
DEPTH_RANGE_M = (0.1, 50.0)
LETTERS = 512  # of the longest instruction
EDITOR = {
    "family": "flux2_klein",
    "pipeline": "of a stand-in",
    "graphs": False,
    "precision": "",
    "start": "frame",
    "schedule": [[1.0, 0.0, 1.0]],
    "latents": [1, 1],
    "prompt": {"text": [LETTERS]},
    "words": {},
    "encoder": {"digest": "stand-in", "files": {}},
}
"""What an imported editor's manifest says of it."""
FAILS, SLOW = "a thing that fails", "a thing that takes long"


def make_bundle(path: Path, codec: str) -> Bundle:
    """A bundle of this codec profile whose prompts nobody has encoded yet."""
    path.mkdir(parents=True)
    manifest = {
        "format": FORMAT,
        "name": path.name,
        "description": "A stand-in.",
        "licence": "Apache-2.0",
        "tasks": list(profile(codec).tasks),
        "codec": codec,
        "size": SIZE,
        "steps": 1,
        "depth_range_m": DEPTH_RANGE_M,
        "legend": LEGEND,
        "text_length": LETTERS,
        "text_buckets": 0,
        "files": {},
        "made": {},
        "backbone": {
            **EDITOR,
            "family": "marigold" if codec.startswith("marigold") else EDITOR["family"],
        },
    }
    (path / "manifest.json").write_text(json.dumps(manifest))
    return open_bundle(path)


def embed(instruction: str) -> dict[str, np.ndarray]:
    """Its letters, as a text encoder's numbers."""
    letters = np.zeros(LETTERS, np.float32)
    letters[: len(instruction)] = [ord(letter) for letter in instruction]
    return {"text": letters}


def encode(bundle: Bundle, instructions: Sequence[str]) -> None:
    for instruction in instructions:
        cache_of(bundle).add(instruction, embed(instruction))


class Painter:
    """Paints what is true of a frame in the colours of a profile: depth, and whatever of `Truth.masks` is
    looked for."""

    name = "stand-in"

    def __init__(self, chosen: Profile, truth: Callable[[np.ndarray], Truth]):
        self.profile, self.truth = chosen, truth

    def paint(self, image: np.ndarray, prompts: Sequence[dict[str, np.ndarray]], *_: Any) -> np.ndarray:
        truth = self.truth(image)
        instructions = [
            "".join(chr(int(letter)) for letter in prompt["text"] if letter) for prompt in prompts
        ]
        return np.stack([self._paint(instruction, truth) for instruction in instructions]).astype(np.float32)

    def _paint(self, instruction: str, truth: Truth) -> np.ndarray:
        if "depth" in self.profile.tasks and instruction == self.profile.instruction("depth"):
            # a scale and a shift that nobody knows
            return 0.7 * self.profile.encode("depth", truth.depth_m) + 0.2
        looked_for = re.fullmatch(r"Segment (.*) in this image: paint it (#\w{6}) .*", instruction)
        if looked_for and looked_for[1] in truth.masks:
            return self.profile.encode("referring", truth.masks[looked_for[1]], color=looked_for[2])
        return np.zeros((*SIZE, 3), np.float32)


def loader(truth: Callable[[np.ndarray], Truth]) -> Callable[[str, str], BackboneGenerator]:
    """For a node: opens the bundle that the parameter names, with a painter who knows this truth."""

    def load(path: str, executor: str) -> BackboneGenerator:
        bundle = open_bundle(path)
        return BackboneGenerator(bundle, Painter(profile(bundle.manifest.codec), truth), "As asked.")

    return load


def main(argv: Sequence[str]) -> int:
    """Writes what was asked into the bundle's folder."""
    start = argv.index("--")
    bundle, instructions = open_bundle(argv[start - 1]), argv[start + 1 :]
    if any(FAILS in instruction for instruction in instructions):
        print(
            "Loading checkpoint shards: 100%\nvision-banana: The text encoder has no memory left.",
            file=sys.stderr,
        )
        return 2
    if any(SLOW in instruction for instruction in instructions):
        time.sleep(60)
    encode(bundle, instructions)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
