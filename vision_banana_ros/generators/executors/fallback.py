# SPDX-License-Identifier: Apache-2.0
"""An executor that another one takes over from when it is lost while it serves."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.errors import ExecutorLost


class FallbackExecutor:
    """Runs on `first` until that raises ExecutorLost, then on what `load_next` makes.

    The frame in hand is answered by it.

    told: gets one sentence when that happens. Where `load_next` cannot make one either, ExecutorLost says
    both reasons.
    """

    def __init__(self, first: Any, load_next: Callable[[], Any], told: Callable[[str], object]) -> None:
        self._executor = first
        self._load_next: Callable[[], Any] | None = load_next
        self._told = told

    @property
    def name(self) -> str:
        """The name of the executor in use."""
        return str(self._executor.name)

    @property
    def any_size(self) -> bool:
        """Whether the executor in use supports all canvases."""
        return bool(self._executor.any_size)

    @property
    def decodes(self) -> tuple[str, ...]:
        """The tasks that the present executor decodes on its device."""
        return tuple(getattr(self._executor, "decodes", ()))

    def encode_image(self, image: np.ndarray) -> list[Any]:
        """Encodes a frame, (H, W, 3) uint8 RGB, to features."""
        # The frame goes along: another executor cannot read the features of this one.
        return [image, self._executor, self._retry(lambda executor: executor.encode_image(image))]

    def encode_text(self, pieces: np.ndarray, colors: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Encodes tokenised prompts.

        (N, T, 12) int64, (N, T, 4) colours and (N, T) mask to (N, T, C) float32.
        """
        return self._retry(lambda executor: executor.encode_text(pieces, colors, mask))

    def answer(self, features: list[Any], text: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Paints N answers, (N, H, W, 3) float32 in [0, 1], from features and encoded prompts."""
        return self._retry(lambda executor: executor.answer(_features(executor, features), text, mask))

    def read(
        self,
        features: list[Any],
        text: np.ndarray,
        mask: np.ndarray,
        asked: Sequence[tuple[str, Mapping[str, np.ndarray]]],
    ) -> list[list[np.ndarray]]:
        """As `EngineExecutor.read`; pictures where the present executor cannot decode."""

        def read(executor: Any) -> list[list[np.ndarray]]:
            own = _features(executor, features)
            if getattr(executor, "decodes", ()):
                return executor.read(own, text, mask, asked)
            return [[picture] for picture in executor.answer(own, text, mask)]

        return self._retry(read)

    def _retry(self, job: Callable[[Any], Any]) -> Any:
        try:
            return job(self._executor)
        except ExecutorLost as lost:
            if self._load_next is None:
                raise
            try:
                self._executor = self._load_next()
            except InputError as error:
                raise ExecutorLost(f"{lost} Nor can another executor take over: {error}") from error
            self._load_next = None
            self._told(f"{lost} From now on the executor {self.name} answers.")
            return job(self._executor)


def _features(executor: Any, features: list[Any]) -> Any:
    """What `encode_image` made, or makes now where another executor has taken over since."""
    image, maker, own = features
    return own if executor is maker else executor.encode_image(image)
