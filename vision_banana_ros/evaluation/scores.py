# SPDX-License-Identifier: Apache-2.0
"""The metrics of each task, accumulated frame by frame; fractions are in 0..1.

Invalid pixels of an answer are never ignored: they count as errors in delta1, in the fractions of angles, in
IoU and in F1, and `readable` is the fraction of valid pixels. Only means of errors (AbsRel, RMSE, degrees)
are computed over the valid pixels.

`add` returns the error of the frame, which is used to find the worst frames: non-negative, infinite without
valid pixels, NaN without ground truth.

The contribution of a frame consists of sums only, so that frames that were measured separately
(`evaluation.benchmarks`) can be combined later: see `depth_sums`, `normals_sums`, `confusion`, `overlap`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from vision_banana_ros.evaluation.confidence import ConfidenceScore
from vision_banana_ros.evaluation.depth_alignment import median_scale

DELTA = 1.25
DEPTH_SUMS = 10  # numbers that a frame adds to the score of depth
DEPTH_BANDS_M = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 100.0)
ANGLES_DEG = (11.25, 22.5, 30.0)
EMPTY_SHARE = 5e-4  # a mask of less than this share of the picture is no find
IOU_THRESHOLDS = np.arange(0.5, 1.0, 0.05)


class Score(Protocol):
    """What the scores of all tasks have."""

    def add(self, values: Any, truth: Any, confidence: Any = None) -> float:
        """Adds a frame: the answer's `Task.field`, the truth, and the answer's confidence.

        Returns the error of this frame.
        """

    def result(self) -> dict[str, Any]:
        """The metrics over all frames that were added."""


def new_score(task: str, classes: Sequence[str], far_m: float) -> Score:
    """The score of a task.

    Args:
        task: Its name, one of `SCORED`.
        classes: Names of the classes of semantic segmentation, in the order of their ids.
        far_m: Depth beyond it is not scored.
    """
    return _NEW[task](tuple(classes), far_m)


@dataclass
class DepthScore:
    """delta1 (fraction within a factor of 1.25), AbsRel and RMSE where the truth is at most `far_m`.

    The same metrics are computed for two other maps: "aligned" is the answer scaled by the ratio of the
    medians of truth and answer, one factor per frame, which measures the shape independently of the scale;
    "constant" is the true median of the frame at every pixel, a baseline that ignores the image. "scale" is
    the median of the factors; answers are too near if it is above 1.
    """

    far_m: float = 100.0
    _bands: np.ndarray = field(default_factory=lambda: np.zeros((len(DEPTH_BANDS_M) - 1, DEPTH_SUMS)))
    _aligned: np.ndarray = field(default_factory=lambda: np.zeros(DEPTH_SUMS))
    _constant: np.ndarray = field(default_factory=lambda: np.zeros(DEPTH_SUMS))
    _scales: list[float] = field(default_factory=list)
    _confidence: ConfidenceScore = field(default_factory=ConfidenceScore)

    def add(self, depth_m: np.ndarray, truth_m: np.ndarray, confidence: np.ndarray | None = None) -> float:
        """Adds a frame: (H, W) metres, truth 0 or not finite where unknown.

        Returns its AbsRel, NaN if nothing is known.
        """
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
        read, relative = parts[1] > 0, parts[5]
        if confidence is not None:
            self._confidence.add(confidence[known][read], relative[read])
        return _mean(relative[read], len(truth))

    def result(self) -> dict[str, object]:
        """The metrics over all pixels that were added."""
        bands = {
            f"{low:g}-{high:g} m": depth_figures(row)
            for low, high, row in zip(DEPTH_BANDS_M[:-1], DEPTH_BANDS_M[1:], self._bands, strict=True)
            if row[0]
        }
        beside = {
            f"{key}_{name}": value
            for name, sums in (("aligned", self._aligned), ("constant", self._constant))
            for key, value in depth_figures(sums).items()
            if key != "readable"
        }
        confidence = self._confidence.result()
        return {
            **depth_figures(self._bands.sum(0)),
            "absrel_surest_half": confidence["error_of_most_confident"]["0.5"],
            **beside,
            "scale": float(np.median(self._scales)) if self._scales else float("nan"),
            "bands": bands,
            "confidence": confidence,
        }


def depth_sums(depth_m: np.ndarray, truth_m: np.ndarray) -> np.ndarray:
    """The contribution of a frame to the depth metrics.

    Returns:
        (DEPTH_SUMS,) sums over the pixels where the truth is finite and above 0.
    """
    known = np.isfinite(truth_m) & (truth_m > 0)
    return _depth_parts(depth_m[known].astype(np.float64), truth_m[known].astype(np.float64)).sum(1)


def _depth_parts(answer: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The contribution of each pixel, (DEPTH_SUMS, N).

    Rows: known, valid, within a factor of 1.25, of 1.25², of 1.25³, relative error, squared error, error of
    log10, natural logarithm of the ratio, its square. The errors of invalid pixels are 0.
    """
    read = np.isfinite(answer) & (answer > 0)
    found = np.where(read, answer, truth)
    error = found - truth
    log = np.log(found / truth)
    close = [read & (np.abs(log) < power * np.log(DELTA)) for power in (1, 2, 3)]
    return np.stack(
        [
            np.ones_like(truth),
            read,
            *close,
            np.abs(error) / truth,
            error**2,
            np.abs(log) / np.log(10),
            log,
            log**2,
        ]
    )


def depth_figures(sums: np.ndarray) -> dict[str, float]:
    """The depth metrics from the sum of `depth_sums` over one or more frames, weighted by pixels.

    SILog is 100 times the standard deviation of log(answer / truth), as in KITTI's benchmark and Marigold.
    """
    total, read, *close, relative, squared, log10, log, log_squared = sums
    variance = _ratio(log_squared, read) - _ratio(log, read) ** 2
    return {
        **{f"delta{power}": _ratio(part, total) for power, part in enumerate(close, 1)},
        "absrel": _ratio(relative, read),
        "rmse_m": float(np.sqrt(_ratio(squared, read))),
        "log10": _ratio(log10, read),
        "silog": 100 * float(np.sqrt(np.maximum(variance, 0))),
        "readable": _ratio(read, total),
    }


@dataclass
class NormalsScore:
    """Angles between predicted and true normals in degrees, where there is a surface."""

    _sums: "NormalsSums" = field(default_factory=lambda: NormalsSums.none())
    _confidence: ConfidenceScore = field(default_factory=ConfidenceScore)

    def add(self, normals: np.ndarray, truth: np.ndarray, confidence: np.ndarray | None = None) -> float:
        """Adds a frame: (H, W, 3) unit vectors, NaN where unknown.

        Returns the frame's mean angle in degrees.
        """
        known, read, degrees = _angles(normals, truth)
        self._sums += NormalsSums.of(int(known.sum()), degrees)
        if confidence is not None:
            self._confidence.add(confidence[known][read], degrees)
        return _mean(degrees, int(known.sum()))

    def result(self) -> dict[str, object]:
        """The metrics over all pixels that were added."""
        return {**self._sums.figures(), "confidence": self._confidence.result()}


@dataclass(frozen=True)
class NormalsSums:
    """The contribution of frames to the metrics of normals.

    Attributes:
        known: Pixels with a surface.
        degrees: Sum of the angles of the valid pixels.
        under: (3,) number of pixels below each of `ANGLES_DEG`.
        tenths: (1801,) histogram of the angles in tenths of a degree, for the median.
    """

    known: int
    degrees: float
    under: np.ndarray
    tenths: np.ndarray

    @classmethod
    def none(cls) -> "NormalsSums":
        """The sums of no frames."""
        return cls(0, 0.0, np.zeros(len(ANGLES_DEG), np.int64), np.zeros(1801, np.int64))

    @classmethod
    def of(cls, known: int, degrees: np.ndarray) -> "NormalsSums":
        """The sums of `known` pixels with a surface; `degrees` are the errors of the valid ones."""
        under = np.array([np.count_nonzero(degrees < limit) for limit in ANGLES_DEG])
        return cls(
            known, float(degrees.sum()), under, np.bincount((degrees * 10).astype(np.int64), minlength=1801)
        )

    def __add__(self, other: "NormalsSums") -> "NormalsSums":
        return NormalsSums(
            self.known + other.known,
            self.degrees + other.degrees,
            self.under + other.under,
            self.tenths + other.tenths,
        )

    def figures(self) -> dict[str, float]:
        """Mean and median of valid pixels (the median to 0.05 degrees), and fractions of all known ones."""
        read = self.tenths.sum()
        middle = np.searchsorted(np.cumsum(self.tenths), read / 2)
        shares = {
            f"under_{limit:g}".replace(".", "_"): _ratio(n, self.known)
            for limit, n in zip(ANGLES_DEG, self.under, strict=True)
        }
        return {
            "mean_deg": _ratio(self.degrees, read),
            "median_deg": float(middle / 10 + 0.05) if read else float("nan"),
            **shares,
            "readable": _ratio(read, self.known),
        }


def normals_sums(normals: np.ndarray, truth: np.ndarray) -> NormalsSums:
    """The contribution of a frame to the metrics of normals; both (H, W, 3) unit vectors, NaN for none."""
    known, _, degrees = _angles(normals, truth)
    return NormalsSums.of(int(known.sum()), degrees)


def _angles(normals: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels with a surface, (H, W); which of those are valid; the angular errors of these in degrees."""
    known = np.isfinite(truth[..., 2])
    answer, true = normals[known], truth[known]
    read = np.isfinite(answer[:, 2])
    cosine = np.einsum("ij,ij->i", answer[read].astype(np.float64), true[read])
    return known, read, np.degrees(np.arccos(np.clip(cosine, -1, 1)))


@dataclass
class SemanticScore:
    """Intersection over union of each class over the whole split.

    The mean is taken over the classes that occur in the ground truth.
    """

    classes: tuple[str, ...]
    _confusion: np.ndarray = field(init=False)
    _confidence: ConfidenceScore = field(default_factory=ConfidenceScore)

    def __post_init__(self) -> None:
        self._confusion = np.zeros((len(self.classes), len(self.classes) + 1), np.int64)

    def add(self, labels: np.ndarray, truth: np.ndarray, confidence: np.ndarray | None = None) -> float:
        """Adds a frame: (H, W) class ids, 255 unlabelled. Returns the fraction of wrong pixels."""
        n = len(self.classes)
        self._confusion += confusion(labels, truth, n)
        known = truth < n
        wrong = labels[known] != truth[known]
        if confidence is not None:
            read = confidence[known] > 0
            self._confidence.add(confidence[known][read], wrong[read].astype(np.float64))
        return _ratio(wrong.sum(), wrong.size)

    def result(self) -> dict[str, object]:
        """The metrics over all pixels that were added."""
        return {**semantic_figures(self._confusion, self.classes), "confidence": self._confidence.result()}


def confusion(labels: np.ndarray, truth: np.ndarray, classes: int) -> np.ndarray:
    """Confusion matrix: pixels by true and predicted class, (classes, classes + 1).

    The last column counts predictions that are no class. Pixels whose true label is `classes` or more are
    ignored.
    """
    known = truth < classes
    answer = np.where(labels[known] < classes, labels[known], classes).astype(np.int64)
    pairs = truth[known].astype(np.int64) * (classes + 1) + answer
    return np.bincount(pairs, minlength=classes * (classes + 1)).reshape(classes, classes + 1)


def semantic_figures(pixels: np.ndarray, classes: tuple[str, ...]) -> dict[str, object]:
    """The metrics from the sum of `confusion` over one or more frames."""
    right = np.diag(pixels)
    truth, answered = pixels.sum(1), pixels[:, :-1].sum(0)
    union = truth + answered - right
    each = {name: _ratio(right[i], union[i]) for i, name in enumerate(classes) if truth[i]}
    return {
        "miou": float(np.mean(list(each.values()))) if each else float("nan"),
        "pixel_accuracy": _ratio(right.sum(), truth.sum()),
        "classes": each,
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

    def add(self, mask: np.ndarray, truth: np.ndarray, confidence: np.ndarray | None = None) -> float:
        """Adds the answer to one expression: (H, W) masks. Confidence of pixels is not used.

        Returns its error: 1 - IoU, or 1 for a false positive.
        """
        return self.add_overlap(*overlap(mask, truth))

    def add_overlap(self, intersection: int, union: int, true: int, size: int) -> float:
        """Adds one expression by its `overlap`."""
        if not true:
            self._negatives.append(union / size > EMPTY_SHARE)
            return float(self._negatives[-1])
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


def overlap(mask: np.ndarray, truth: np.ndarray) -> tuple[int, int, int, int]:
    """Numbers of pixels in the intersection, in the union, in the truth, and in the image."""
    return int((mask & truth).sum()), int((mask | truth).sum()), int(truth.sum()), truth.size


@dataclass
class InstancesScore:
    """The metrics of SA-Co for instance segmentation.

    pmF1: F1 of matched instances on pictures that contain the class, pooled over the split and averaged over
    IoU thresholds 0.5 to 0.95. IL_MCC: Matthews correlation of the presence of the class. cgF1: their
    product.
    """

    least_share: float = EMPTY_SHARE
    _matches: np.ndarray = field(default_factory=lambda: np.zeros(len(IOU_THRESHOLDS)))
    _found: int = 0
    _true: int = 0
    _presence: np.ndarray = field(default_factory=lambda: np.zeros((2, 2)))  # truth, answer

    def add(self, labels: np.ndarray, truth: np.ndarray, confidence: np.ndarray | None = None) -> float:
        """Adds a picture: (H, W) instance ids, 0 background. Confidence of pixels is not used.

        Returns its error: 1 - F1, or 1 for a false positive.
        """
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
        return {
            **concept_figures(self._matches, self._found, self._true, self._presence),
            "pictures": int(self._presence.sum()),
        }


def concept_figures(matches: np.ndarray, found: float, true: float, presence: np.ndarray) -> dict[str, float]:
    """pmF1, IL_MCC and cgF1.

    Args:
        matches: (T,) matched instances by IoU threshold, over the pictures that have the class.
        found: Instances answered, over the same pictures.
        true: Instances that are there, over the same pictures.
        presence: (2, 2) pictures by whether there is one in truth, and in the answer.
    """
    f1 = float(np.mean(2 * matches / max(found + true, 1)))
    (tn, fp), (fn, tp) = presence
    scale = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    mcc = float((tp * tn - fp * fn) / scale) if scale else 0.0
    return {"pmf1": f1, "il_mcc": mcc, "cgf1": f1 * mcc}


def _overlaps(labels: np.ndarray, truth: np.ndarray, least: float) -> tuple[np.ndarray, int, int]:
    """IoU of each true with each predicted instance, and the numbers of predicted and true instances.

    Instances of fewer than `least` pixels are ignored.
    """
    codes, pixels = np.unique(truth.astype(np.int64) << 16 | labels, return_counts=True)
    table = np.zeros((int(truth.max()) + 1, int(labels.max()) + 1), np.int64)
    table[codes >> 16, codes & 0xFFFF] = pixels
    true, found = table.sum(1), table.sum(0)
    union = true[:, None] + found - table
    rows, columns = (np.flatnonzero(sizes[1:] >= max(least, 1)) + 1 for sizes in (true, found))
    return (table / np.maximum(union, 1))[np.ix_(rows, columns)], len(columns), len(rows)


def _matches(overlap: np.ndarray, threshold: float) -> int:
    """The number of true instances that are matched by a predicted one.

    Masks of one picture do not overlap, so the match is unique above an IoU of 0.5; at 0.5 one prediction may
    cover two halves, and counts once.
    """
    if not overlap.size:
        return 0
    good = overlap.max(1) > threshold - 1e-9
    return len(np.unique(overlap.argmax(1)[good]))


_NEW: dict[str, Callable[[tuple[str, ...], float], Score]] = {
    "depth": lambda classes, far_m: DepthScore(far_m),
    "normals": lambda classes, far_m: NormalsScore(),
    "semantic": lambda classes, far_m: SemanticScore(classes),
    "referring": lambda classes, far_m: ReferringScore(),
    "instances": lambda classes, far_m: InstancesScore(),
}
SCORED = tuple(_NEW)
"""The tasks that have a score."""


def _mean(errors: np.ndarray, known: int) -> float:
    if not len(errors):
        return float("inf") if known else float("nan")
    return float(errors.mean())


def _ratio(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else float("nan")
