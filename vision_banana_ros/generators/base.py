# SPDX-License-Identifier: Apache-2.0
"""What every generator is, whatever runs it: a bundle that takes frames of some sizes, and instructions encoded once."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.bundle import Bundle, Manifest

Encoded = TypeVar("Encoded")


class BundleGenerator(Generic[Encoded]):
    """A bundle with something that runs it. Not thread-safe: one worker owns it.

    why: a sentence on the choice of what runs it. faults: sentences on executors that answered wrongly or were lost; it may grow
    while the generator serves. prompts_kept: encoded instructions kept in memory; the least recently used
    one goes first.
    """

    def __init__(self, bundle: Bundle, why: str, prompts_kept: int, faults: list[str] | None = None) -> None:
        self.why = why
        self.faults = [] if faults is None else faults
        self._bundle = bundle
        self._kept = prompts_kept
        self._prompts: OrderedDict[str, Encoded] = OrderedDict()

    @property
    def name(self) -> str:
        """The name of the bundle."""
        return self.manifest.name

    @property
    def bundle(self) -> Bundle:
        """The open bundle."""
        return self._bundle

    @property
    def manifest(self) -> Manifest:
        """The manifest of the bundle."""
        return self._bundle.manifest

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the frames it takes and the pictures it paints."""
        return self.manifest.size

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """All sizes (height, width) of frames that it takes; `size` is the first."""
        return (self.size,)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of the supported tasks."""
        return self.manifest.tasks

    def _check(self, image: np.ndarray, instructions: Sequence[str]) -> None:
        """InputError for what cannot be painted from."""
        if image.dtype != np.uint8 or image.shape[2:] != (3,) or image.shape[:2] not in self.sizes:
            shapes = " or ".join(str((*size, 3)) for size in self.sizes)
            raise InputError(f"The generator takes uint8 frames of shape {shapes}, not {image.dtype} of {image.shape}.")
        if not instructions:
            raise InputError("There is nothing to paint: give at least one instruction.")

    def _known(self, instruction: str) -> Encoded | None:
        """The instruction as it was encoded, if it still is kept."""
        if instruction in self._prompts:
            self._prompts.move_to_end(instruction)
        return self._prompts.get(instruction)

    def _keep(self, instruction: str, encoded: Encoded) -> Encoded:
        self._prompts[instruction] = encoded
        if len(self._prompts) > self._kept:
            self._prompts.popitem(last=False)
        return encoded
