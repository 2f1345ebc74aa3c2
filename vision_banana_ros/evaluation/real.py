# SPDX-License-Identifier: Apache-2.0
"""Folders of real frames with measured depth or labels, as splits. They are never used for training.

- NAME.png (or .jpg): the picture
- NAME_depth.npz: depth_m, (H, W) float metres along Z, NaN or 0 where unknown, sparse or dense; and, if the
  lens is known, k, the 3x3 camera matrix of the stored picture
- NAME_labels.png: (H, W) uint8, indices of the list of names in classes.json, 255 where unknown

A frame has depth, labels or both. Classes of other data sets are mapped by a mapping file; classes that it
leaves out are not scored.
"""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation.cases import Case, Split
from vision_banana_ros.files import open_regular, read_bounded, read_json, read_yaml
from vision_banana_ros.perception import Intrinsics
from vision_banana_ros.perception.image_decoding import decode_whole
from vision_banana_ros.perception.image_encodings import compressed_to_rgb
from vision_banana_ros.scenes import CLASSES

PREFIX = "real:"  # of the names of such splits
PICTURES = (".png", ".jpg", ".jpeg")
DEPTH, LABELS, NAMES = "_depth.npz", "_labels.png", "classes.json"
UNKNOWN = 255
MAX_FILE_BYTES = 512_000_000


def frame_names(path: Path, *ends: str) -> list[str]:
    """The names of the frames that have a truth with one of these ends, in order."""
    return sorted({file.name.removesuffix(end) for end in ends for file in path.glob(f"*{end}")})


def real_set(
    path: Path, mapping: Mapping[str, str] | None = None, count: int | None = None, only: str | None = None
) -> Split:
    """The frames of a folder that have a truth, in the order of their names; `count` takes only the first.

    mapping: their class names -> ours, of `read_mapping`. Without one, every name in classes.json must be a
    class of ours. only: `DEPTH` or `LABELS`, where the other truth does not count. InputError where the
    folder is none, or is not whole.
    """
    if not path.is_dir():
        raise InputError(
            f"There is no folder '{path}': give one that holds pictures NAME.png with"
            f" NAME{DEPTH} or NAME{LABELS}."
        )
    names = frame_names(path, *((only,) if only else (DEPTH, LABELS)))
    if not names:
        raise InputError(
            f"'{path}' holds no NAME{DEPTH} or NAME{LABELS} beside pictures NAME.png: give a"
            " folder that does."
        )
    pictures = {name: _picture(path, name) for name in names}
    labelled = only != DEPTH and any((path / f"{name}{LABELS}").is_file() for name in names)
    classes = _classes(path / NAMES, mapping) if labelled else {}
    table = np.full(256, UNKNOWN, np.uint8)
    for number, ours in enumerate(classes.values()):
        if ours is not None:
            table[number] = CLASSES.index(ours)

    def case(i: int) -> Case:
        name = names[i]
        image = _image(pictures[name])
        depth_m, intrinsics = (
            _depth(path / f"{name}{DEPTH}", image.shape[:2]) if only != LABELS else (None, None)
        )
        labels = _labels(path / f"{name}{LABELS}", image.shape[:2], len(classes)) if only != DEPTH else None
        return Case(name, image, depth_m, intrinsics, labels=None if labels is None else table[labels])

    return Split(
        PREFIX + path.resolve().name, min(count or len(names), len(names)), case, ours=False, classes=classes
    )


def read_mapping(path: Path) -> dict[str, str]:
    """A mapping file, YAML or JSON: {their class: our class}, several to one.

    InputError where it is something else.
    """
    try:
        found = read_json(path) if path.suffix == ".json" else read_yaml(path)
    except ImportError:
        raise InputError(
            f"Reading {path} needs PyYAML: run `pip install pyyaml`, or write the mapping as JSON."
        ) from None
    except InputError as error:
        raise InputError(f"{error} Write a line `their class: our class` for each class.") from None
    if (
        not isinstance(found, dict)
        or not found
        or not all(isinstance(word, str) for pair in found.items() for word in pair)
    ):
        raise InputError(
            f"{path} is no mapping of classes: write a line `their class: our class` for each class."
        )
    for theirs, ours in found.items():
        if ours not in CLASSES:
            raise InputError(
                f"{path} maps '{theirs}' to '{ours}', which is no class: take"
                f" {', '.join(CLASSES)}, or leave it out."
            )
    return found


def _classes(file: Path, mapping: Mapping[str, str] | None) -> dict[str, str | None]:
    """What each class of classes.json is scored as, in the order of their numbers."""
    if not file.is_file():
        raise InputError(
            f"{file} is missing: put the list of class names there that the numbers in NAME{LABELS} count."
        )
    try:
        names = read_json(file)
    except InputError as error:
        raise InputError(f"{error} Store a list of class names.") from None
    if (
        not isinstance(names, list)
        or not names
        or len(names) > UNKNOWN
        or not all(isinstance(name, str) for name in names)
    ):
        raise InputError(f"{file} is no list of up to {UNKNOWN} class names: store one.")
    if len(set(names)) < len(names):
        raise InputError(f"{file} names a class twice: give each number a name of its own.")
    others = [name for name in names if name not in CLASSES]
    if mapping is None and others:
        raise InputError(
            f"{file} names classes that are not ours ({', '.join(others)}): give --mapping FILE."
        )
    if mapping is not None and not set(names) & set(mapping):
        raise InputError(
            f"The mapping has none of the classes of {file} ({', '.join(names)}): give the one"
            " of this data set."
        )
    return {name: name if mapping is None else mapping.get(name) for name in names}


def _picture(path: Path, name: str) -> Path:
    for suffix in PICTURES:
        if (path / f"{name}{suffix}").is_file():
            return path / f"{name}{suffix}"
    raise InputError(
        f"'{path}' has a truth of '{name}' but no {name}.png: put the picture beside it, or"
        " take the truth away."
    )


def _image(file: Path) -> np.ndarray:
    try:
        return compressed_to_rgb(read_bounded(file, MAX_FILE_BYTES), upright=True)
    except InputError as error:
        raise InputError(f"{file} cannot be read as a picture: copy it again. {error}") from None


def _depth(file: Path, size: tuple[int, int]) -> tuple[np.ndarray | None, Intrinsics | None]:
    """Metres of (height, width) `size` and the camera, of what there is."""
    if not file.is_file():
        return None, None
    try:
        with open_regular(file) as opened, np.load(opened) as found:
            if sum(entry.file_size for entry in found.zip.infolist()) > MAX_FILE_BYTES:
                raise ValueError(f"it unpacks to more than {MAX_FILE_BYTES:,} bytes")
            arrays = {name: found[name] for name in ("depth_m", "k") if name in found}
        if not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ValueError("a part of it is no array")
    except Exception as error:  # NumPy and zipfile raise whatever damaged headers lead to
        raise InputError(
            f"{file} cannot be read as arrays of NumPy ({error}): copy or store it again."
        ) from None
    if "depth_m" not in arrays:
        raise InputError(f"{file} has no array 'depth_m': store the depth in metres under that key.")
    depth_m = arrays["depth_m"]
    if depth_m.dtype.kind != "f":
        raise InputError(f"{file} stores depth as {depth_m.dtype}: store floats, in metres.")
    if depth_m.shape != size:
        raise InputError(
            f"{file.name} is of shape {depth_m.shape}, its picture of {size}: give one depth a pixel."
        )
    if not (np.isfinite(depth_m) & (depth_m > 0)).any():
        raise InputError(f"{file} knows no depth at all: leave the frame out.")
    return depth_m.astype(np.float32), _intrinsics(file, arrays["k"], size) if "k" in arrays else None


def _intrinsics(file: Path, k: np.ndarray, size: tuple[int, int]) -> Intrinsics:
    if k.shape != (3, 3) or k.dtype.kind not in "fiu" or not np.isfinite(k).all():
        raise InputError(
            f"'k' in {file} is no 3x3 camera matrix: store [[fx, 0, cx], [0, fy, cy], [0, 0,"
            " 1]], or leave it out."
        )
    height, width = size
    return Intrinsics(width, height, *(float(value) for value in (k[0, 0], k[1, 1], k[0, 2], k[1, 2])))


def _labels(file: Path, size: tuple[int, int], classes: int) -> np.ndarray | None:
    if not file.is_file():
        return None
    labels = decode_whole(np.frombuffer(read_bounded(file, MAX_FILE_BYTES), np.uint8), cv2.IMREAD_UNCHANGED)
    if labels is None or labels.dtype != np.uint8 or labels.ndim != 2:
        raise InputError(f"{file} is no grey picture of 8 bits: store one number of a class a pixel.")
    if labels.shape != size:
        raise InputError(
            f"{file.name} is of shape {labels.shape}, its picture of {size}: give one label a pixel."
        )
    wrong = labels[(labels >= classes) & (labels != UNKNOWN)]
    if wrong.size:
        raise InputError(
            f"{file} holds {wrong.max()}, and {NAMES} names {classes} classes: {UNKNOWN} is for unknown."
        )
    return labels
