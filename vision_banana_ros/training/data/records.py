# SPDX-License-Identifier: Apache-2.0
"""A rendered view as it is kept on disk: the picture, its truth, and what can be said about it."""

import re
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vision_banana_ros.scenes import View, caption, expressions
from vision_banana_ros.training.data.sources import Shot

EXPRESSIONS = 12  # drawn for a view, those of what is not there included
CAPTIONS = 2
WHOLE = 0.8  # of a thing's pixels that must be left of it for expressions that mean it to stay
JPEG = 97  # quality of the kept picture
NEAREST_M, FARTHEST_M = 0.02, 1000.0  # of kept depth
_STEPS = 65_000  # of the logarithm of depth between those: 0.02 % each
_NAN, _SKY = 65_535, 65_534
_SIDES = {"left": "right", "right": "left", "leftmost": "rightmost", "rightmost": "leftmost"}
_SIDE = re.compile(r"\b(left|right|leftmost|rightmost)\b")


@dataclass(frozen=True, slots=True, eq=False)
class Referred:
    """A referring expression and its mask, (H, W) bool; empty where nothing fits."""

    text: str
    mask: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """A view without its world. Arrays as in `scenes.View`; focal_px in pixels of `image`; edit: text, picture before, after."""

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
        """The mirror image: left and right change places in words too."""

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
        """The part of (height, width) pixels below and right of (top, left), without edit and captions, which are of the whole.

        Expressions stay where at least WHOLE of the mask is in sight: of a thing cut off, others than it might be meant now.
        """
        rows, columns = slice(top, top + size[0]), slice(left, left + size[1])
        kept = []
        for said in self.referred:
            mask = said.mask[rows, columns]
            if mask.sum() >= WHOLE * said.mask.sum():
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
        """The view at (height, width); truth is that of the nearest pixel, never a mean of two things."""
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
    """What is kept of a view, with expressions, captions and an edit drawn for it."""
    view: View = shot.view
    edit = shot.source.draw_edit(view, rng)
    pictures = None
    if edit is not None:
        before, after = (view.image if world is view.world else shot.again(world) for world in (edit.before, edit.after))
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
    """Replaces the file in one move; about 120 KiB for 240x320."""
    size = record.labels.shape
    arrays: dict[str, Any] = {
        "size": np.array(size, np.int32),
        "image": _picture(record.image),
        "depth": _packed(_steps(record.depth_m)),
        "normals": _packed(np.rint(np.nan_to_num(record.normals) * 127).astype(np.int8)),
        "labels": _packed(record.labels),
        "instances": _packed(record.instances.astype(np.uint16)),
        "focal_px": np.float64(record.focal_px),
        "said": np.array([said.text for said in record.referred], dtype=np.str_),
        "masks": _packed(np.packbits(np.array([said.mask for said in record.referred], bool))),
        "captions": np.array(record.captions, dtype=np.str_),
    }
    if record.edit:
        arrays |= {"edit": np.str_(record.edit[0]), "before": _picture(record.edit[1]), "after": _picture(record.edit[2])}
    new = path.with_suffix(".new")
    with new.open("wb") as file:
        np.savez(file, **arrays)
    new.replace(path)


def read_record(path: Path, pictures: bool = True) -> Record:
    """The record in a file. pictures: whether its edit is read too."""
    with np.load(path, allow_pickle=False) as file:
        size = tuple(int(n) for n in file["size"])
        normals = _unpacked(file["normals"], np.int8, (*size, 3)).astype(np.float32)
        length = np.linalg.norm(normals, axis=2, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            normals = normals / length  # NaN where there is no surface
        said = [str(text) for text in file["said"]]
        bits = np.unpackbits(_unpacked(file["masks"], np.uint8, (-1,)), count=len(said) * size[0] * size[1])
        masks = bits.reshape(len(said), *size).astype(bool)
        edit = None
        if pictures and "edit" in file:
            edit = str(file["edit"]), _seen(file["before"]), _seen(file["after"])
        return Record(
            _seen(file["image"]),
            _metres(_unpacked(file["depth"], np.uint16, size)),
            normals,
            _unpacked(file["labels"], np.uint8, size),
            _unpacked(file["instances"], np.uint16, size),
            float(file["focal_px"]),
            tuple(Referred(text, mask) for text, mask in zip(said, masks, strict=True)),
            tuple(str(text) for text in file["captions"]),
            edit,
        )


def _swap(text: str) -> str:
    return _SIDE.sub(lambda found: _SIDES[found[0]], text)


def _steps(depth_m: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        share = np.log(np.clip(depth_m, NEAREST_M, FARTHEST_M) / NEAREST_M) / np.log(FARTHEST_M / NEAREST_M)
    steps = np.nan_to_num(share * _STEPS).round().astype(np.uint16)
    steps[np.isinf(depth_m)] = _SKY
    steps[np.isnan(depth_m)] = _NAN
    return steps


def _metres(steps: np.ndarray) -> np.ndarray:
    depth_m = (NEAREST_M * np.exp(steps.astype(np.float32) / _STEPS * np.log(FARTHEST_M / NEAREST_M))).astype(np.float32)
    depth_m[steps == _SKY] = np.inf
    depth_m[steps == _NAN] = np.nan
    return depth_m


def _packed(values: np.ndarray) -> np.ndarray:
    return np.frombuffer(zlib.compress(np.ascontiguousarray(values).tobytes(), 1), np.uint8)


def _unpacked(data: np.ndarray, dtype: Any, shape: tuple[int, ...]) -> np.ndarray:
    return np.frombuffer(zlib.decompress(data.tobytes()), dtype).reshape(shape)


def _picture(image: np.ndarray) -> np.ndarray:
    how = [cv2.IMWRITE_JPEG_QUALITY, JPEG, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return cv2.imencode(".jpg", image[:, :, ::-1], how)[1].ravel()


def _seen(data: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[:, :, ::-1])
