# SPDX-License-Identifier: Apache-2.0
"""Masks as COCO stores them: polygons, run lengths, compressed run lengths."""

from typing import Any

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation.benchmarks import reading

Rle = dict[str, Any]


def run_lengths(segmentation: Any, height: int, width: int, where: str) -> Rle:
    """A segmentation of any of COCO's three kinds as one of compressed run lengths.

    InputError where it is none of them.
    """
    coco = reading.needed("pycocotools.mask")
    try:
        if isinstance(segmentation, list):
            return (
                coco.merge(coco.frPyObjects(segmentation, height, width))
                if segmentation
                else empty(height, width)
            )
        if list(segmentation["size"]) != [height, width]:
            raise ValueError(f"its mask is {segmentation['size']}, its picture [{height}, {width}]")
        if isinstance(segmentation["counts"], list):
            return coco.frPyObjects(segmentation, height, width)
        return {"size": [height, width], "counts": segmentation["counts"]}
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise InputError(
            f"The mask of {where} cannot be read ({error}): the annotations are of another version."
        ) from None


def empty(height: int, width: int) -> Rle:
    """No pixel."""
    return encode(np.zeros((height, width), bool))


def encode(mask: np.ndarray) -> Rle:
    """(H, W) bool as compressed run lengths."""
    return reading.needed("pycocotools.mask").encode(np.asfortranarray(mask.astype(np.uint8)))


def decode(rle: Rle) -> np.ndarray:
    """(H, W) bool."""
    return reading.needed("pycocotools.mask").decode([rle])[..., 0] != 0
