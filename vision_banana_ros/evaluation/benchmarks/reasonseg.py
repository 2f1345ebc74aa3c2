# SPDX-License-Identifier: Apache-2.0
"""ReasonSeg: one query that needs thought about each photograph."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation.benchmarks import reading
from vision_banana_ros.evaluation.benchmarks.benchmark import Benchmark, Entry, Frame
from vision_banana_ros.evaluation.benchmarks.protocols import Expression, ReferringProtocol


def opener(split: str) -> Any:
    """What opens a split."""

    def open_folder(root: Path) -> list[Entry]:
        root = reading.rooted(root, f"{split}/*.json", f"'{split}' of ReasonSeg")
        stems = {file.with_suffix("") for end in ("json", "jpg") for file in (root / split).glob(f"*.{end}")}
        return [_entry(stem) for stem in sorted(stems)]

    return open_folder


def _entry(stem: Path) -> Entry:
    image, truth = stem.with_name(stem.name + ".jpg"), stem.with_name(stem.name + ".json")
    known = reading.attempt(lambda: _annotation(truth)[0])

    def load() -> Frame:
        query, shapes = _annotation(truth)
        shown = reading.picture(image)
        mask, ignored = painted(shapes, shown.shape[:2], truth)
        return Frame(shown, (Expression(query, mask, ignored),))

    return Entry(stem.name, (image, truth), load, (known,) if isinstance(known, str) else ())


def _annotation(file: Path) -> tuple[str, list[dict[str, Any]]]:
    """The first query and the polygons."""
    try:
        found = json.loads(reading.text(file))
        query, shapes = found["text"][0], found["shapes"]
        if not isinstance(query, str) or not isinstance(shapes, list):
            raise TypeError("text is no list of queries, or shapes no list")
        return query.strip(), shapes
    except (ValueError, KeyError, IndexError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"'{file}' is no annotation of ReasonSeg ({error}): it is of another version; get the named one."
        ) from None


def painted(shapes: list[dict[str, Any]], size: tuple[int, int], file: Path) -> tuple[np.ndarray, np.ndarray]:
    """The mask and what is not scored, both (H, W) bool.

    Polygons and their outlines are painted, the largest first.
    """
    layers = []
    for shape in shapes:
        label, points = str(shape.get("label", "")).lower(), shape.get("points")
        if label == "flag":  # an old kind that means nothing
            continue
        try:
            corners = np.array(points, np.float64).reshape(-1, 2).astype(np.int32)
        except (ValueError, TypeError):
            raise InputError(
                f"'{file}' has a polygon that is none: it is of another version; get the named one."
            ) from None
        layer = np.zeros(size, np.uint8)
        cv2.polylines(layer, [corners], True, 1, 1)
        cv2.fillPoly(layer, [corners], 1)
        layers.append((layer != 0, "ignore" in label))
    mask, ignored = np.zeros(size, bool), np.zeros(size, bool)
    for layer, is_ignored in sorted(layers, key=lambda each: -int(each[0].sum())):
        mask[layer], ignored[layer] = not is_ignored, is_ignored
    if not mask.any():
        raise InputError(
            f"'{file}' marks nothing in a picture of {size[1]}x{size[0]}: take both from one download."
        )
    return mask, ignored


def _benchmark(split: str, frames: int) -> Benchmark:
    return Benchmark(
        f"reasonseg-{split}",
        f"ReasonSeg {split}",
        ReferringProtocol(queries=True),
        frames,
        opener(split),
        "https://github.com/dvlab-research/LISA (ReasonSeg)",
        "Apache-2.0 (annotations); photographs of OpenImages and ScanNet",
        "0.3 GB" if split == "val" else "1 GB",
        f"{split}/1234_abcd.jpg\n{split}/1234_abcd.json",
        (
            "Protocol: LISA's public evaluation: the first query of each picture, ignored regions left out;"
            " gIoU the mean of IoUs."
            " The paper rewrites queries with a language model: --language-model does so.",
        ),
    )


BENCHMARKS = (_benchmark("val", 200), _benchmark("test", 779))
