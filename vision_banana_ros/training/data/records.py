# SPDX-License-Identifier: Apache-2.0
"""A rendered view as stored on disk: image, ground truth, referring expressions, captions and an edit."""

import re
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vision_banana_ros.scenes import View, caption, expressions
from vision_banana_ros.training.data.sources import Shot

EXPRESSIONS = 12  # per view, including some that match nothing
CAPTIONS = 2
MIN_VISIBLE_FRACTION = 0.8  # of a mask that a crop must contain to keep its expression
JPEG = 97  # quality of stored images
NEAREST_M, FARTHEST_M = 0.02, 1000.0  # range of stored depth
_STEPS = 65_000  # logarithmic steps of stored depth, 0.02 % each
_NAN, _SKY = 65_535, 65_534
_SIDES = {"left": "right", "right": "left", "leftmost": "rightmost", "rightmost": "leftmost"}
_SIDE = re.compile(r"\b(left|right|leftmost|rightmost)\b")


@dataclass(frozen=True, slots=True, eq=False)
class Referred:
    """A referring expression and its mask, (H, W) bool; empty if it matches nothing."""

    text: str
    mask: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """A view without its world.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        depth_m: (H, W) float32 metres along the optical axis, inf for sky, NaN unknown.
        normals: (H, W, 3) float32 unit vectors, +x right, +y up, +z to the viewer; NaN unknown.
        labels: (H, W) uint8 classes, 255 unlabelled.
        instances: (H, W) instance numbers, 0 for background.
        focal_px: Focal length in pixels.
        referred: Referring expressions with masks.
        captions: Captions of the image.
        edit: Edit instruction, image before and image after; None if there is no edit.
    """

    image: np.ndarray
    depth_m: np.ndarray
    normals: np.ndarray
    labels: np.ndarray
    instances: np.ndarray
    focal_px: float
    referred: tuple[Referred, ...]
    captions: tuple[str, ...]
    edit: tuple[str, np.ndarray, np.ndarray] | None = None

    def flipped(self) -> "Record":
        """The view mirrored horizontally, with left and right exchanged in its texts."""

        def flip(image: np.ndarray) -> np.ndarray:
            return np.ascontiguousarray(image[:, ::-1])

        normals = flip(self.normals)
        normals[..., 0] *= -1
        edit = self.edit and (_swap(self.edit[0]), flip(self.edit[1]), flip(self.edit[2]))
        return replace(
            self,
            image=flip(self.image),
            depth_m=flip(self.depth_m),
            normals=normals,
            labels=flip(self.labels),
            instances=flip(self.instances),
            referred=tuple(Referred(_swap(said.text), flip(said.mask)) for said in self.referred),
            captions=tuple(map(_swap, self.captions)),
            edit=edit or None,
        )

    def cropped(self, top: int, left: int, size: tuple[int, int]) -> "Record":
        """A crop of the view, without captions and edit, which describe the whole view.

        Expressions are kept if at least MIN_VISIBLE_FRACTION of the mask is visible; otherwise they could
        refer to another object in the crop.

        Args:
            top: First row.
            left: First column.
            size: Height and width of the crop in pixels.
        """
        rows, columns = slice(top, top + size[0]), slice(left, left + size[1])
        kept = []
        for said in self.referred:
            mask = said.mask[rows, columns]
            if mask.sum() >= MIN_VISIBLE_FRACTION * said.mask.sum():
                kept.append(Referred(said.text, mask))
        return replace(
            self,
            image=self.image[rows, columns],
            depth_m=self.depth_m[rows, columns],
            normals=self.normals[rows, columns],
            labels=self.labels[rows, columns],
            instances=self.instances[rows, columns],
            referred=tuple(kept),
            captions=(),
            edit=None,
        )

    def resized(self, size: tuple[int, int]) -> "Record":
        """The view at another resolution; images by area averaging, truth by nearest neighbour.

        Args:
            size: Height and width in pixels.
        """
        height, width = size
        if self.image.shape[:2] == size:
            return self
        scale = np.sqrt(height / self.image.shape[0] * width / self.image.shape[1])
        smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR

        def area(image: np.ndarray) -> np.ndarray:
            return cv2.resize(image, (width, height), interpolation=smooth)

        def nearest(image: np.ndarray) -> np.ndarray:
            flat = image.astype(np.uint8) if image.dtype == bool else image
            small = cv2.resize(flat, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
            return small.astype(image.dtype)

        edit = self.edit and (self.edit[0], area(self.edit[1]), area(self.edit[2]))
        return replace(
            self,
            image=area(self.image),
            depth_m=nearest(self.depth_m),
            normals=nearest(self.normals),
            labels=nearest(self.labels),
            instances=nearest(self.instances),
            focal_px=float(self.focal_px * scale),
            referred=tuple(Referred(said.text, nearest(said.mask)) for said in self.referred),
            edit=edit or None,
        )


def record_of(shot: Shot, rng: np.random.Generator) -> Record:
    """Makes a record of a view, with randomly drawn expressions, captions and an edit."""
    view: View = shot.view
    edit = shot.source.draw_edit(view, rng)
    pictures = None
    if edit is not None:
        before, after = (
            view.image if world is view.world else shot.again(world) for world in (edit.before, edit.after)
        )
        pictures = edit.text, before, after
    return Record(
        view.image,
        view.depth_m,
        view.normals,
        view.labels,
        view.instances,
        float(np.sqrt(view.camera.fx * view.camera.fy)),
        tuple(Referred(said.text, said.mask) for said in expressions(view, rng, EXPRESSIONS)),
        tuple(caption(view, rng) for _ in range(CAPTIONS)),
        pictures,
    )


def write_record(record: Record, path: Path) -> None:
    """Writes a record atomically, about 120 KiB at 240x320."""
    size = record.labels.shape
    arrays: dict[str, Any] = {
        "size": np.array(size, np.int32),
        "image": _encode_image(record.image),
        "depth": _compress(_steps(record.depth_m)),
        "normals": _compress(np.rint(np.nan_to_num(record.normals) * 127).astype(np.int8)),
        "labels": _compress(record.labels),
        "instances": _compress(record.instances.astype(np.uint16)),
        "focal_px": np.float64(record.focal_px),
        "said": np.array([said.text for said in record.referred], dtype=np.str_),
        "masks": _compress(np.packbits(np.array([said.mask for said in record.referred], bool))),
        "captions": np.array(record.captions, dtype=np.str_),
    }
    if record.edit:
        arrays |= {
            "edit": np.str_(record.edit[0]),
            "before": _encode_image(record.edit[1]),
            "after": _encode_image(record.edit[2]),
        }
    new = path.with_suffix(".new")
    with new.open("wb") as file:
        np.savez(file, **arrays)
    new.replace(path)


def read_record(path: Path, pictures: bool = True) -> Record:
    """Reads a record.

    Args:
        path: The file.
        pictures: Whether to read the images of its edit.
    """
    with np.load(path, allow_pickle=False) as file:
        size = tuple(int(n) for n in file["size"])
        normals = _decompress(file["normals"], np.int8, (*size, 3)).astype(np.float32)
        length = np.linalg.norm(normals, axis=2, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            normals = normals / length  # NaN for stored zeros
        said = [str(text) for text in file["said"]]
        bits = np.unpackbits(_decompress(file["masks"], np.uint8, (-1,)), count=len(said) * size[0] * size[1])
        masks = bits.reshape(len(said), *size).astype(bool)
        edit = None
        if pictures and "edit" in file:
            edit = str(file["edit"]), _decode_image(file["before"]), _decode_image(file["after"])
        return Record(
            _decode_image(file["image"]),
            _metres(_decompress(file["depth"], np.uint16, size)),
            normals,
            _decompress(file["labels"], np.uint8, size),
            _decompress(file["instances"], np.uint16, size),
            float(file["focal_px"]),
            tuple(Referred(text, mask) for text, mask in zip(said, masks, strict=True)),
            tuple(str(text) for text in file["captions"]),
            edit,
        )


def _swap(text: str) -> str:
    """Exchanges left and right in a text."""
    return _SIDE.sub(lambda found: _SIDES[found[0]], text)


def _steps(depth_m: np.ndarray) -> np.ndarray:
    """Quantises depth in metres to logarithmic steps, uint16."""
    with np.errstate(invalid="ignore"):
        share = np.log(np.clip(depth_m, NEAREST_M, FARTHEST_M) / NEAREST_M) / np.log(FARTHEST_M / NEAREST_M)
    steps = np.nan_to_num(share * _STEPS).round().astype(np.uint16)
    steps[np.isinf(depth_m)] = _SKY
    steps[np.isnan(depth_m)] = _NAN
    return steps


def _metres(steps: np.ndarray) -> np.ndarray:
    """Inverse of `_steps`."""
    depth_m = (NEAREST_M * np.exp(steps.astype(np.float32) / _STEPS * np.log(FARTHEST_M / NEAREST_M))).astype(
        np.float32
    )
    depth_m[steps == _SKY] = np.inf
    depth_m[steps == _NAN] = np.nan
    return depth_m


def _compress(values: np.ndarray) -> np.ndarray:
    return np.frombuffer(zlib.compress(np.ascontiguousarray(values).tobytes(), 1), np.uint8)


def _decompress(data: np.ndarray, dtype: Any, shape: tuple[int, ...]) -> np.ndarray:
    return np.frombuffer(zlib.decompress(data.tobytes()), dtype).reshape(shape)


def _encode_image(image: np.ndarray) -> np.ndarray:
    how = [
        cv2.IMWRITE_JPEG_QUALITY,
        JPEG,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    return cv2.imencode(".jpg", image[:, :, ::-1], how)[1].ravel()


def _decode_image(data: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[:, :, ::-1])
