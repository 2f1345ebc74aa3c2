# SPDX-License-Identifier: Apache-2.0
"""One score a task. Each takes answers and truth frame by frame and sums up once; fractions are 0..1.

What a generator leaves unreadable is never left out of a score silently: it counts as wrong in delta1, in the shares of
angles, in IoU and in F1, and `readable` says how much it was. Only means of errors (AbsRel, RMSE, degrees) are over what
was read.
"""

from dataclasses import dataclass, field

import numpy as np

DEPTH_BANDS_M = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 100.0)
UNLABELLED = 255
EMPTY_SHARE = 5e-4  # a mask of less than this share of the picture is no find
IOU_THRESHOLDS = np.arange(0.5, 1.0, 0.05)


@dataclass
class DepthScore:
    """delta1 (share within a factor of 1.25), AbsRel and RMSE where the truth is finite and at most `far_m`."""

    far_m: float = 100.0
    _sums: np.ndarray = field(default_factory=lambda: np.zeros((len(DEPTH_BANDS_M) - 1, 5)))

    def add(self, depth_m: np.ndarray, truth_m: np.ndarray) -> None:
        known = (truth_m > 0) & (truth_m <= self.far_m)
        truth, answer = truth_m[known].astype(np.float64), depth_m[known].astype(np.float64)
        read = np.isfinite(answer) & (answer > 0)
        ratio = np.ones_like(truth)
        ratio[read] = np.maximum(answer[read] / truth[read], truth[read] / answer[read])
        error = np.where(read, answer, truth) - truth
        parts = (np.ones_like(truth), read, read & (ratio < 1.25), np.abs(error) / truth, error**2)
        band = np.clip(np.searchsorted(DEPTH_BANDS_M, truth, side="right") - 1, 0, len(self._sums) - 1)
        for column, part in enumerate(parts):
            self._sums[:, column] += np.bincount(band, part, len(self._sums))

    def result(self) -> dict[str, object]:
        bands = {
            f"{low:g}-{high:g} m": _depth_figures(row)
            for low, high, row in zip(DEPTH_BANDS_M[:-1], DEPTH_BANDS_M[1:], self._sums, strict=True)
            if row[0]
        }
        return {**_depth_figures(self._sums.sum(0)), "bands": bands}


def _depth_figures(sums: np.ndarray) -> dict[str, float]:
    total, read, close, relative, squared = sums
    return {
        "delta1": _ratio(close, total),
        "absrel": _ratio(relative, read),
        "rmse_m": float(np.sqrt(_ratio(squared, read))),
        "readable": _ratio(read, total),
    }


@dataclass
class NormalsScore:
    """Angles between answer and truth, in degrees, where there is a surface."""

    _histogram: np.ndarray = field(default_factory=lambda: np.zeros(1800))  # tenths of a degree
    _sum_deg: float = 0.0
    _unread: int = 0

    def add(self, normals: np.ndarray, truth: np.ndarray) -> None:
        known = np.isfinite(truth).all(2) & (np.linalg.norm(np.nan_to_num(truth), axis=2) > 0.5)
        answer, true = normals[known].astype(np.float64), truth[known].astype(np.float64)
        read = np.isfinite(answer).all(1)
        degrees = np.degrees(np.arccos(np.clip((answer[read] * true[read]).sum(1), -1, 1)))
        self._sum_deg += degrees.sum()
        self._unread += int((~read).sum())
        self._histogram += np.bincount(np.minimum((degrees * 10).astype(int), 1799), minlength=1800)

    def result(self) -> dict[str, float]:
        read = self._histogram.sum()
        middle = np.searchsorted(np.cumsum(self._histogram), read / 2)
        return {
            "mean_deg": _ratio(self._sum_deg, read),
            "median_deg": float(middle / 10 + 0.05) if read else float("nan"),
            "under_11_25": _ratio(self._histogram[:112].sum() + self._histogram[112] / 2, read + self._unread),
            "readable": _ratio(read, read + self._unread),
        }


@dataclass
class SemanticScore:
    """Intersection over union a class over the whole split; the mean is over classes that occur in the truth."""

    classes: tuple[str, ...]
    _confusion: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self._confusion = np.zeros((len(self.classes), len(self.classes) + 1), np.int64)

    def add(self, labels: np.ndarray, truth: np.ndarray) -> None:
        n = len(self.classes)
        known = truth < n
        answer = np.where(labels[known] < n, labels[known], n).astype(np.int64)
        pairs = truth[known].astype(np.int64) * (n + 1) + answer
        self._confusion += np.bincount(pairs, minlength=n * (n + 1)).reshape(n, n + 1)

    def result(self) -> dict[str, object]:
        right = np.diag(self._confusion)
        truth, answered = self._confusion.sum(1), self._confusion[:, :-1].sum(0)
        union = truth + answered - right
        each = {name: _ratio(right[i], union[i]) for i, name in enumerate(self.classes) if truth[i]}
        return {
            "miou": float(np.mean(list(each.values()))) if each else float("nan"),
            "pixel_accuracy": _ratio(right.sum(), truth.sum()),
            "classes": each,
        }


@dataclass
class ReferringScore:
    """cIoU (all intersections over all unions) and gIoU (mean IoU) of expressions that fit something; on those that fit
    nothing, the share that was answered with a mask all the same."""

    _intersection: int = 0
    _union: int = 0
    _each: list[float] = field(default_factory=list)
    _negatives: list[bool] = field(default_factory=list)

    def add(self, mask: np.ndarray, truth: np.ndarray) -> None:
        if not truth.any():
            self._negatives.append(bool(mask.mean() > EMPTY_SHARE))
            return
        intersection, union = int((mask & truth).sum()), int((mask | truth).sum())
        self._intersection += intersection
        self._union += union
        self._each.append(intersection / union)

    def result(self) -> dict[str, float]:
        return {
            "ciou": _ratio(self._intersection, self._union),
            "giou": float(np.mean(self._each)) if self._each else float("nan"),
            "false_positive": float(np.mean(self._negatives)) if self._negatives else float("nan"),
            "expressions": len(self._each) + len(self._negatives),
        }


@dataclass
class InstancesScore:
    """SA-Co's figures: pmF1, the F1 of matched instances on pictures that have the class, pooled over the split and
    averaged over IoU thresholds .5 to .95; IL_MCC, the correlation of "is there one?"; cgF1, their product."""

    least_share: float = EMPTY_SHARE
    _matches: np.ndarray = field(default_factory=lambda: np.zeros(len(IOU_THRESHOLDS)))
    _found: int = 0
    _true: int = 0
    _presence: np.ndarray = field(default_factory=lambda: np.zeros((2, 2)))  # truth, answer

    def add(self, labels: np.ndarray, truth: np.ndarray) -> None:
        least = self.least_share * truth.size
        answers = _sizes(labels, least)
        things = _sizes(truth, least)
        self._presence[int(bool(things)), int(bool(answers))] += 1
        if not things:
            return
        self._found += len(answers)
        self._true += len(things)
        best = [
            max((_iou(labels == a, truth == t) for a in answers), default=0.0) for t in things
        ]  # above 0.5 a match is the only one that there can be
        self._matches += (np.array(best)[:, None] > IOU_THRESHOLDS - 1e-9).sum(0)

    def result(self) -> dict[str, float]:
        f1 = float(np.mean(2 * self._matches / max(self._found + self._true, 1)))
        (tn, fp), (fn, tp) = self._presence
        scale = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
        mcc = float((tp * tn - fp * fn) / scale) if scale else 0.0
        return {"pmf1": f1, "il_mcc": mcc, "cgf1": f1 * max(mcc, 0.0), "pictures": int(self._presence.sum())}


def _sizes(labels: np.ndarray, least: float) -> list[int]:
    values, counts = np.unique(labels[labels > 0], return_counts=True)
    return [int(v) for v, n in zip(values, counts, strict=True) if n >= least]


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 0.0


def _ratio(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else float("nan")
