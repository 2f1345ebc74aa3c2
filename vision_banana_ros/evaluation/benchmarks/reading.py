# SPDX-License-Identifier: Apache-2.0
"""Files of data sets, read with a sentence for whatever is wrong with them."""

import importlib
import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.files import parse_array, read_bounded
from vision_banana_ros.perception.image_decoding import decode_whole
from vision_banana_ros.perception.image_encodings import compressed_to_rgb

MAX_FILE_BYTES = 512_000_000
MAX_JSON_BYTES = 4_000_000_000
"""Of annotations: those of SA-Co have hundreds of megabytes."""


def rooted(root: Path, mark: str, what: str) -> Path:
    """`root` itself where it holds `mark` (a glob).

    InputError that names the folder to give where that is one or two levels off.
    """
    if not root.is_dir():
        raise InputError(f"There is no folder '{root}': give --data the folder that holds {what}.")
    if any(root.glob(mark)):
        return root
    near = [
        *(child for child in sorted(root.iterdir()) if child.is_dir()),
        root.resolve().parent,
        root.resolve().parent.parent,
    ]
    for folder in near:
        if any(folder.glob(mark)):
            raise InputError(
                f"'{root}' is not the folder that holds {what}, but '{folder}' is: give --data that one."
            )
    raise InputError(f"'{root}' does not hold {what}: `vision-banana benchmark list` shows the layout.")


def needed(package: str) -> Any:
    """A package of requirements/benchmark.txt.

    InputError that says how to get it where it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError:
        raise InputError(
            f"This data set is read with {package.partition('.')[0]}, which is missing: `pip install -r"
            " requirements/benchmark.txt`."
        ) from None


def content(file: Path) -> bytes:
    """The bytes of a file. InputError where it is missing or empty."""
    try:
        data = read_bounded(file, MAX_FILE_BYTES)
    except FileNotFoundError:
        raise InputError(f"'{file}' is missing: the download is not whole.") from None
    if not data:
        raise InputError(f"'{file}' is empty: the download is not whole.")
    return data


def picture(file: Path, size: tuple[int, int] | None = None) -> np.ndarray:
    """(H, W, 3) uint8 RGB.

    InputError where it is damaged, or not of the (height, width) that was published.
    """
    try:
        image = compressed_to_rgb(content(file))
    except InputError as error:
        raise _about(file, error) from None
    if size is not None and image.shape[:2] != size:
        raise InputError(
            f"'{file}' has {image.shape[1]}x{image.shape[0]} pixels, and the published one"
            f" {size[1]}x{size[0]}: figures of resized"
            " pictures cannot be compared."
        )
    return image


def raster(file: Path, kind: type | np.dtype, channels: int = 1) -> np.ndarray:
    """A PNG of numbers, (H, W) or (H, W, 3) in the order R, G, B, of exactly this type.

    InputError where it is something else.
    """
    try:
        values = decode_whole(np.frombuffer(content(file), np.uint8), cv2.IMREAD_UNCHANGED)
    except InputError as error:
        raise _about(file, error) from None
    shape = () if channels == 1 else (channels,)
    if values is None or values.dtype != kind or values.shape[2:] != shape:
        found = "no picture that can be read" if values is None else f"{values.dtype} of shape {values.shape}"
        raise InputError(
            f"'{file}' is {found}, and should be {np.dtype(kind)} with {channels} channel(s): copy it again."
        )
    return values if channels == 1 else values[..., ::-1]


def array(file: Path) -> np.ndarray:
    """An array of NumPy; no pickles. InputError where it is none."""
    return parse_array(content(file), file)


def matlab(file: Path) -> dict[str, Any]:
    """The arrays of a .mat file up to version 7, by name. InputError where it is damaged, or none."""
    scipy_io, data = needed("scipy.io"), content(file)
    try:
        found = scipy_io.loadmat(io.BytesIO(data))
    except Exception as error:  # the reader raises whatever damaged bytes lead to, zlib's errors among them
        raise InputError(f"'{file}' cannot be read as a .mat file ({error}): copy it again.") from None
    return dict(found)


def text(file: Path) -> str:
    """InputError where it is missing, or no text."""
    data = content(file)
    if b"\0" in data:
        raise InputError(f"'{file}' is no text: the download is not whole.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")  # a few annotations of ReasonSeg


def lines(file: Path) -> list[str]:
    """Those that are not empty, without blanks around them."""
    return [line.strip() for line in text(file).splitlines() if line.strip()]


def annotations(file: Path, *keys: str) -> dict[str, Any]:
    """A JSON file that holds a list under each of these keys.

    InputError where it is of another version, or missing.
    """
    found = _json(file)
    if not isinstance(found, dict) or not all(isinstance(found.get(key), list) for key in keys):
        raise InputError(
            f"'{file}' has no lists {', '.join(keys)}: it is of another version or another"
            " data set; get the named one."
        )
    return found


def _json(file: Path) -> Any:
    try:
        return json.loads(read_bounded(file, MAX_JSON_BYTES))
    except FileNotFoundError:
        raise InputError(f"'{file}' is missing: the download is not whole.") from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"'{file}' cannot be read as JSON ({error}): copy it again.") from None


def rows(file: Path) -> list[dict[str, Any]]:
    """A JSON file that is a list. InputError where it is something else, or missing."""
    found = _json(file)
    if not isinstance(found, list):
        raise InputError(f"'{file}' is no list: it is of another version; get the named one.")
    return found


def by_id(
    found: Iterable[dict[str, Any]], file: Path, key: str = "id", have: tuple[str, ...] = ()
) -> dict[Any, dict[str, Any]]:
    """Rows by their id. InputError where one lacks a field, or two have the same id."""
    by: dict[Any, dict[str, Any]] = {}
    for row in found:
        if not isinstance(row, dict) or any(field not in row for field in (key, *have)):
            raise InputError(
                f"A row of '{file}' lacks one of {', '.join((key, *have))}: it is of another version; get"
                " the named one."
            )
        if row[key] in by:
            raise InputError(f"'{file}' has {key} {row[key]} twice: it was put together of two; get it anew.")
        by[row[key]] = row
    return by


def once(values: Iterable[str], where: str) -> list[str]:
    """The values. InputError where one is there twice."""
    seen: dict[str, None] = {}
    for value in values:
        if value in seen:
            raise InputError(f"{where} has '{value}' twice: it was put together of two; get it anew.")
        seen[value] = None
    return list(seen)


def some(entries: list[Any], root: Path, what: str) -> list[Any]:
    """The entries. InputError where there are none."""
    if not entries:
        raise InputError(f"'{root}' has no {what}: `vision-banana benchmark list` shows the layout.")
    return entries


def scored(depth_m: np.ndarray, near_m: float, far_m: float, image: np.ndarray, file: Path) -> np.ndarray:
    """Depth, (H, W) float32 metres, NaN where it is not scored.

    InputError where it does not fit the picture or knows nothing.
    """
    same_size(depth_m, image, file)
    with np.errstate(invalid="ignore"):
        known = (depth_m > near_m) & (depth_m <= far_m)
    if not known.any():
        raise InputError(
            f"'{file}' knows no depth between {near_m:g} and {far_m:g} m: its truth is"
            " missing, or of another unit."
        )
    return np.where(known, depth_m, np.nan).astype(np.float32)


def same_size(truth: np.ndarray, image: np.ndarray, file: Path) -> None:
    """InputError where truth (H, W, …) and picture are of different sizes."""
    if truth.shape[:2] != image.shape[:2]:
        sizes = [f"{each.shape[1]}x{each.shape[0]}" for each in (truth, image)]
        raise InputError(f"'{file}' is {sizes[0]}, its picture {sizes[1]}: take both from one download.")


def attempt(make: Callable[[], Any]) -> Any:
    """What `make` returns, or the error that it raises where a file cannot be used."""
    try:
        return make()
    except (InputError, OSError) as error:
        return error


def _about(file: Path, error: InputError) -> InputError:
    return (
        error
        if str(file) in str(error)
        else InputError(f"'{file}' cannot be read as a picture: copy it again. {error}")
    )
