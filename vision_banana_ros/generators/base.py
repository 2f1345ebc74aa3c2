# SPDX-License-Identifier: Apache-2.0
"""Base class of all generators: a bundle, its supported sizes, and a cache of encoded prompts."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.bundle import Bundle, Manifest

Encoded = TypeVar("Encoded")


class BundleGenerator(Generic[Encoded]):
    """A bundle with an executor. Not thread-safe: only one thread may use it.

    Args:
        bundle: The bundle.
        why: A sentence on why this executor was chosen, for the log.
        prompts_kept: Capacity of the cache of encoded prompts (least recently used).
        faults: Sentences on executors that failed or answered wrongly; may grow during operation.
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
        """Default height and width of frames and answers in pixels."""
        return self.manifest.size

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """All supported sizes (height, width) of frames; `size` is the first."""
        return (self.size,)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of the supported tasks."""
        return self.manifest.tasks

    def _check(self, image: np.ndarray, instructions: Sequence[str]) -> None:
        """Raises InputError for a frame of the wrong type or size, and if there are no prompts."""
        if image.dtype != np.uint8 or image.shape[2:] != (3,) or image.shape[:2] not in self.sizes:
            shapes = " or ".join(str((*size, 3)) for size in self.sizes)
            raise InputError(
                f"The generator takes uint8 frames of shape {shapes}, not {image.dtype} of {image.shape}."
            )
        if not instructions:
            raise InputError("There is nothing to paint: give at least one instruction.")

    def _known(self, instruction: str) -> Encoded | None:
        """The encoded prompt, if it is in the cache."""
        if instruction in self._prompts:
            self._prompts.move_to_end(instruction)
        return self._prompts.get(instruction)

    def _keep(self, instruction: str, encoded: Encoded) -> Encoded:
        """Adds an encoded prompt to the cache."""
        self._prompts[instruction] = encoded
        if len(self._prompts) > self._kept:
            self._prompts.popitem(last=False)
        return encoded
