# SPDX-License-Identifier: Apache-2.0
"""One score a task. Each takes answers and truth frame by frame and sums up once; fractions are 0..1.

What a generator leaves unreadable is never left out of a score silently: it counts as wrong in delta1, in the shares of
angles, in IoU and in F1, and `readable` says how much it was. Only means of errors (AbsRel, RMSE, degrees) are over what
was read.

`add` returns the error of that frame alone, by which the worst frames are found: from 0 up, infinity where nothing was
read, NaN where there is no truth.
"""

from dataclasses import dataclass, field

import numpy as np

from vision_banana_ros.evaluation.confidence import ConfidenceScore
from vision_banana_ros.evaluation.depth_alignment import median_scale

DEPTH_BANDS_M = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 100.0)
ANGLES_DEG = (11.25, 22.5, 30.0)
EMPTY_SHARE = 5e-4  # a mask of less than this share of the picture is no find
IOU_THRESHOLDS = np.arange(0.5, 1.0, 0.05)


@dataclass
class DepthScore:
    """delta1 (share within a factor of 1.25), AbsRel and RMSE where the truth is finite and at most `far_m`.

    Beside them the same figures of two other maps: the answer times one factor a frame, the ratio of the medians of truth and
    answer ("aligned": how well the shape is known, whatever the scale), and the frame's true median everywhere ("constant": what
    one gets who looks at no picture). "scale" is the median of those factors: above 1, answers are too near.
    """

    far_m: float = 100.0
    _bands: np.ndarray = field(default_factory=lambda: np.zeros((len(DEPTH_BANDS_M) - 1, 5)))
    _aligned: np.ndarray = field(default_factory=lambda: np.zeros(5))
    _constant: np.ndarray = field(default_factory=lambda: np.zeros(5))
    _scales: list[float] = field(default_factory=list)
    _confidence: ConfidenceScore = field(default_factory=ConfidenceScore)

    def add(self, depth_m: np.ndarray, truth_m: np.ndarray, confidence: np.ndarray | None = None) -> float:
        """Adds a frame: (H, W) metres, truth 0 or not finite where unknown. Returns its AbsRel, NaN if nothing is known."""
        known = (truth_m > 0) & (truth_m <= self.far_m)
        truth, answer = truth_m[known].astype(np.float64), depth_m[known].astype(np.float64)
        parts = _depth_parts(answer, truth)
        band = np.clip(np.searchsorted(DEPTH_BANDS_M, truth, side="right") - 1, 0, len(self._bands) - 1)
        for column, part in enumerate(parts):
            self._bands[:, column] += np.bincount(band, part, len(self._bands))
        scale = median_scale(answer, truth)
        if np.isfinite(scale):
            self._scales.append(scale)
        self._aligned += _depth_parts(answer * scale, truth).sum(1)
        if len(truth):
            self._constant += _depth_parts(np.full_like(truth, np.median(truth)), truth).sum(1)
        read, relative = parts[1] > 0, parts[3]
        if confidence is not None:
            self._confidence.add(confidence[known][read], relative[read])
        return _mean(relative[read], len(truth))

    def result(self) -> dict[str, object]:
        """The metrics over all pixels that were added."""
        bands = {
            f"{low:g}-{high:g} m": _depth_figures(row)
            for low, high, row in zip(DEPTH_BANDS_M[:-1], DEPTH_BANDS_M[1:], self._bands, strict=True)
            if row[0]
        }
        beside = {
            f"{key}_{name}": value
            for name, sums in (("aligned", self._aligned), ("constant", self._constant))
            for key, value in _depth_figures(sums).items()
            if key != "readable"
        }
        confidence = self._confidence.result()
        return {
            **_depth_figures(self._bands.sum(0)),
            "absrel_surest_half": confidence["error_of_most_confident"]["0.5"],
            **beside,
            "scale": float(np.median(self._scales)) if self._scales else float("nan"),
            "bands": bands,
            "confidence": confidence,
        }


def _depth_parts(answer: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(5, N), to be summed up: is known, was read, is within 1.25, relative error, squared error; no error where nothing was read."""
    read = np.isfinite(answer) & (answer > 0)
    found = np.where(read, answer, truth)
    error = found - truth
    close = read & (np.maximum(found / truth, truth / found) < 1.25)
    return np.stack([np.ones_like(truth), read, close, np.abs(error) / truth, error**2])


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

    _histogram: np.ndarray = field(default_factory=lambda: np.zeros(1801))  # tenths of a degree, for the median
    _under: np.ndarray = field(default_factory=lambda: np.zeros(len(ANGLES_DEG)))
    _sum_deg: float = 0.0
    _known: int = 0
    _confidence: ConfidenceScore = field(default_factory=ConfidenceScore)

    def add(self, normals: np.ndarray, truth: np.ndarray, confidence: np.ndarray | None = None) -> float:
        """Adds a frame: (H, W, 3) unit vectors, NaN where unknown. Returns the frame's mean angle in degrees."""
        known = np.isfinite(truth[..., 2])
        answer, true = normals[known], truth[known]
        read = np.isfinite(answer[:, 2])
        cosine = np.einsum("ij,ij->i", answer[read].astype(np.float64), true[read])
        degrees = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
        self._known += len(true)
        self._sum_deg += degrees.sum()
        self._under += [np.count_nonzero(degrees < limit) for limit in ANGLES_DEG]
        self._histogram += np.bincount((degrees * 10).astype(np.int64), minlength=1801)
        if confidence is not None:
            self._confidence.add(confidence[known][read], degrees)
        return _mean(degrees, len(true))

    def result(self) -> dict[str, object]:
        """The metrics over all pixels that were added."""
        read = self._histogram.sum()
        middle = np.searchsorted(np.cumsum(self._histogram), read / 2)
        return {
            "mean_deg": _ratio(self._sum_deg, read),
            "median_deg": float(middle / 10 + 0.05) if read else float("nan"),
            **{
                f"under_{limit:g}".replace(".", "_"): _ratio(n, self._known) for limit, n in zip(ANGLES_DEG, self._under, strict=True)
            },
            "readable": _ratio(read, self._known),
            "confidence": self._confidence.result(),
        }


@dataclass
class SemanticScore:
    """Intersection over union a class over the whole split; the mean is over classes that occur in the truth."""

    classes: tuple[str, ...]
    _confusion: np.ndarray = field(init=False)
    _confidence: ConfidenceScore = field(default_factory=ConfidenceScore)

    def __post_init__(self) -> None:
        self._confusion = np.zeros((len(self.classes), len(self.classes) + 1), np.int64)

    def add(self, labels: np.ndarray, truth: np.ndarray, confidence: np.ndarray | None = None) -> float:
        """Adds a frame: (H, W) class ids, 255 unlabelled. Returns the fraction of wrong pixels."""
        n = len(self.classes)
        known = truth < n
        answer = np.where(labels[known] < n, labels[known], n).astype(np.int64)
        pairs = truth[known].astype(np.int64) * (n + 1) + answer
        self._confusion += np.bincount(pairs, minlength=n * (n + 1)).reshape(n, n + 1)
        wrong = labels[known] != truth[known]
        if confidence is not None:
            read = confidence[known] > 0
            self._confidence.add(confidence[known][read], wrong[read].astype(np.float64))
        return _ratio(wrong.sum(), wrong.size)

    def result(self) -> dict[str, object]:
        """The metrics over all pixels that were added."""
        right = np.diag(self._confusion)
        truth, answered = self._confusion.sum(1), self._confusion[:, :-1].sum(0)
        union = truth + answered - right
        each = {name: _ratio(right[i], union[i]) for i, name in enumerate(self.classes) if truth[i]}
        return {
            "miou": float(np.mean(list(each.values()))) if each else float("nan"),
            "pixel_accuracy": _ratio(right.sum(), truth.sum()),
            "classes": each,
            "confidence": self._confidence.result(),
        }


@dataclass
class ReferringScore:
    """cIoU and gIoU of expressions with a target, and the false positive rate of expressions without one.

    cIoU: sum of all intersections over sum of all unions; gIoU: mean IoU per expression (gRefCOCO).
    """

    _intersection: int = 0
    _union: int = 0
    _each: list[float] = field(default_factory=list)
    _negatives: list[bool] = field(default_factory=list)

    def add(self, mask: np.ndarray, truth: np.ndarray) -> float:
        """Adds the answer to one expression: (H, W) masks. Returns its error: 1 - IoU, or 1 for a false positive."""
        if not truth.any():
            self._negatives.append(bool(mask.mean() > EMPTY_SHARE))
            return float(self._negatives[-1])
        intersection, union = int((mask & truth).sum()), int((mask | truth).sum())
        self._intersection += intersection
        self._union += union
        self._each.append(intersection / union)
        return 1 - intersection / union

    def result(self) -> dict[str, float]:
        """The metrics over all expressions that were added."""
        return {
            "ciou": _ratio(self._intersection, self._union),
            "giou": float(np.mean(self._each)) if self._each else float("nan"),
            "false_positive": float(np.mean(self._negatives)) if self._negatives else float("nan"),
            "expressions": len(self._each) + len(self._negatives),
            "negatives": len(self._negatives),
        }


@dataclass
class InstancesScore:
    """The metrics of SA-Co for instance segmentation.

    pmF1: F1 of matched instances on pictures that contain the class, pooled over the split and averaged over IoU thresholds
    0.5 to 0.95. IL_MCC: Matthews correlation of the presence of the class. cgF1: their product.
    """

    least_share: float = EMPTY_SHARE
    _matches: np.ndarray = field(default_factory=lambda: np.zeros(len(IOU_THRESHOLDS)))
    _found: int = 0
    _true: int = 0
    _presence: np.ndarray = field(default_factory=lambda: np.zeros((2, 2)))  # truth, answer

    def add(self, labels: np.ndarray, truth: np.ndarray) -> float:
        """Adds a picture: (H, W) instance ids, 0 background. Returns its error: 1 - F1, or 1 for a false positive."""
        overlap, found, true = _overlaps(labels, truth, self.least_share * truth.size)
        self._presence[int(true > 0), int(found > 0)] += 1
        if not true:
            return float(found > 0)
        self._found += found
        self._true += true
        matches = np.array([_matches(overlap, threshold) for threshold in IOU_THRESHOLDS])
        self._matches += matches
        return 1 - float(np.mean(2 * matches / (found + true)))

    def result(self) -> dict[str, float]:
        """The metrics over all pictures that were added."""
        f1 = float(np.mean(2 * self._matches / max(self._found + self._true, 1)))
        (tn, fp), (fn, tp) = self._presence
        scale = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
        mcc = float((tp * tn - fp * fn) / scale) if scale else 0.0
        return {"pmf1": f1, "il_mcc": mcc, "cgf1": f1 * max(mcc, 0.0), "pictures": int(self._presence.sum())}


def _overlaps(labels: np.ndarray, truth: np.ndarray, least: float) -> tuple[np.ndarray, int, int]:
    """IoU of each true instance with each answered one, and how many there are of both; smaller ones are left out."""
    codes, pixels = np.unique(truth.astype(np.int64) << 16 | labels, return_counts=True)
    table = np.zeros((int(truth.max()) + 1, int(labels.max()) + 1), np.int64)
    table[codes >> 16, codes & 0xFFFF] = pixels
    true, found = table.sum(1), table.sum(0)
    union = true[:, None] + found - table
    rows, columns = (np.flatnonzero(sizes[1:] >= max(least, 1)) + 1 for sizes in (true, found))
    return (table / np.maximum(union, 1))[np.ix_(rows, columns)], len(columns), len(rows)


def _matches(overlap: np.ndarray, threshold: float) -> int:
    """The number of true instances that are matched by a predicted one.

    Masks of one picture do not overlap, so the match is unique above an IoU of 0.5; at 0.5 one prediction may cover two
    halves, and counts once.
    """
    if not overlap.size:
        return 0
    good = overlap.max(1) > threshold - 1e-9
    return len(np.unique(overlap.argmax(1)[good]))


def _mean(errors: np.ndarray, known: int) -> float:
    if not len(errors):
        return float("inf") if known else float("nan")
    return float(errors.mean())


def _ratio(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else float("nan")
