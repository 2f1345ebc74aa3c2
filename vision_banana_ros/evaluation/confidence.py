# SPDX-License-Identifier: Apache-2.0
"""Sparsification metrics: how well the confidence ranks the errors of pixels (Ilg et al. 2018).

The sparsification curve is the mean error of the remaining pixels when the least confident ones are removed
first; the oracle removes the largest errors first. Both are divided by the mean error of all pixels, so that
a random order gives 1. AUSC is the area under the curve, AUSE the area between it and that of the oracle.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

CONFIDENCE_STEPS = 1000
ERROR_STEPS = 1200  # even in the logarithm of the error, so neighbours differ by 2.3 %
ERROR_RANGE = (1e-6, 1e6)
BINS = 10
KEPT = (0.9, 0.75, 0.5, 0.25)


@dataclass
class ConfidenceScore:
    """Pools the pixels of a whole split, as a threshold on confidence would see them."""

    # pixels, sum of errors
    _by_confidence: np.ndarray = field(default_factory=lambda: np.zeros((2, CONFIDENCE_STEPS)))
    _by_error: np.ndarray = field(default_factory=lambda: np.zeros((2, ERROR_STEPS)))

    def add(self, confidence: np.ndarray, error: np.ndarray) -> None:
        """Confidence (0..1) and error (from 0) of pixels that could be read, both (N,)."""
        low, high = np.log(ERROR_RANGE)
        place = (np.log(np.maximum(error, ERROR_RANGE[0])) - low) * (ERROR_STEPS / (high - low))
        _pool(self._by_error, place, error)
        _pool(self._by_confidence, confidence * np.float64(CONFIDENCE_STEPS), error)

    def result(self) -> dict[str, Any]:
        """The metrics over all pixels that were added.

        Returns:
            AUSC, that of the oracle and AUSE; `gain`, the improvement over a random order relative to that of
            the oracle (0 random, 1 oracle); the mean error of the most confident fractions; pixels and mean
            error by confidence.
        """
        surest, rest = self._by_confidence[:, ::-1]
        area, best = _area(surest, rest), _area(*self._by_error)
        pixels, errors = self._by_confidence.reshape(2, BINS, -1).sum(2)
        total = max(pixels.sum(), 1)
        return {
            "ausc": area,
            "ausc_oracle": best,
            "ause": area - best,
            "gain": (1 - area) / (1 - best) if best < 1 else float("nan"),
            "error_of_most_confident": {f"{share:g}": _kept(surest, rest, share) for share in (1.0, *KEPT)},
            "bins": {
                f"{k / BINS:g}-{(k + 1) / BINS:g}": {
                    "share": float(pixels[k] / total),
                    "error": float(errors[k] / pixels[k]),
                }
                for k in range(BINS)
                if pixels[k]
            },
        }


def _pool(table: np.ndarray, place: np.ndarray, error: np.ndarray) -> None:
    steps = table.shape[1]
    index = np.clip(place, 0, steps - 1).astype(np.int64)
    table[0] += np.bincount(index, minlength=steps)
    table[1] += np.bincount(index, error, steps)


def _curve(pixels: np.ndarray, errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The fraction of pixels kept and the fraction of the total error that they have.

    The curve goes from none to all pixels. It is linear within a step of confidence, which is the expectation
    of a random order of its pixels.
    """
    there = pixels > 0
    pixels, errors = pixels[there], errors[there]
    kept, summed = np.cumsum(pixels), np.cumsum(errors)
    zero = np.zeros(1)
    return np.concatenate([zero, kept / kept[-1]]), np.concatenate([zero, summed / summed[-1]])


def _area(pixels: np.ndarray, errors: np.ndarray) -> float:
    """The integral of (errors kept / share kept) over the share kept, exactly.

    On each stretch errors = a + b share.
    """
    if not errors.sum() > 0:
        return float("nan")
    share, summed = _curve(pixels, errors)
    slope = np.diff(summed) / np.diff(share)
    offset = summed[:-1] - slope * share[:-1]
    return float((slope * np.diff(share)).sum() + (offset[1:] * np.log(share[2:] / share[1:-1])).sum())


def _kept(pixels: np.ndarray, errors: np.ndarray, share: float) -> float:
    """Mean error of the first `share` of the pixels."""
    if not errors.sum() > 0:
        return 0.0 if pixels.sum() else float("nan")
    return float(np.interp(share, *_curve(pixels, errors)) / share * errors.sum() / pixels.sum())
