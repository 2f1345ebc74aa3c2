# SPDX-License-Identifier: Apache-2.0
"""Where frames come from: pictures, folders, bags, webcams, and the simulated camera."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from vision_banana_ros.cli.shared.bags import bag_frames, is_bag
from vision_banana_ros.cli.shared.frames import Frame, Frames, attempt
from vision_banana_ros.errors import InputError
from vision_banana_ros.files import read_bounded
from vision_banana_ros.perception.geometry import Intrinsics
from vision_banana_ros.perception.image_encodings import compressed_to_rgb
from vision_banana_ros.scenes import SimulatedCamera

MAX_FILE_BYTES = 256_000_000
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm")


def open_frames(path: Path, topic: str | None = None) -> Frames:
    """A picture, a folder of pictures, or a bag. InputError where there is nothing to read."""
    if not path.exists():
        raise InputError(f"There is nothing at '{path}'; name a picture, a folder of pictures, or a bag.")
    if is_bag(path):
        return bag_frames(path, topic)
    if topic is not None:
        raise InputError(f"A topic can only be chosen in a bag, and '{path}' is none.")
    files = sorted(f for f in path.iterdir() if f.suffix.lower() in PICTURES) if path.is_dir() else [path]
    if not files:
        raise InputError(f"'{path}' holds no picture ({', '.join(PICTURES)}) and is no bag (it has no metadata.yaml).")
    if path.is_file():
        read_picture(path)
    return Frames(len(files), lambda: (attempt(_picture_frame, f) for f in files))


def read_picture(path: Path) -> np.ndarray:
    """A picture file as (H, W, 3) uint8 RGB. InputError where it is none."""
    try:
        return compressed_to_rgb(read_bounded(path, MAX_FILE_BYTES))
    except InputError as error:
        raise InputError(f"'{path}' is not a picture that can be read; give a whole {', '.join(PICTURES)} file. {error}") from None
    except OSError as error:
        raise InputError(f"'{path}' cannot be read ({error.strerror}).") from None


def simulated_frames(seed: int, width: int, height: int, rate_hz: float) -> Frames:
    """A camera that moves slowly through the world of a seed."""

    def read() -> Iterator[Frame | InputError]:
        camera = SimulatedCamera(seed, width, height, rate_hz)
        k = 0
        while True:
            view = camera.view(k / rate_hz)
            yield Frame(f"{k:06d}", view.image, Intrinsics.of(view.camera))
            k += 1

    return Frames(None, read)


def webcam_frames(number: int, width: int, height: int) -> Frames:
    """A camera that OpenCV can open, asked for a size near width x height. InputError where there is none."""
    capture = cv2.VideoCapture(number)
    if not capture.isOpened():
        raise InputError(f"Webcam {number} cannot be opened; see `ls /dev/video*` and whether you may read it.")
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)

    def read() -> Iterator[Frame | InputError]:
        k = 0
        while True:
            arrived, image = capture.read()
            if not arrived:
                raise InputError(f"Webcam {number} stopped sending frames after {k}; plug it in again.")
            yield Frame(f"{k:06d}", cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
            k += 1

    return Frames(None, read)


def _picture_frame(path: Path) -> Frame:
    return Frame(path.stem, read_picture(path))
