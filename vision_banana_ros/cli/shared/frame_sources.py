# SPDX-License-Identifier: Apache-2.0
"""Where frames come from: pictures, folders, bags, webcams, and the simulated camera."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import cv2
import numpy as np

from vision_banana_ros.cli.shared.answer_files import is_result
from vision_banana_ros.cli.shared.bags import bag_frames, is_bag
from vision_banana_ros.cli.shared.frames import Frame, Frames, attempt
from vision_banana_ros.cli.shared.progress import tell
from vision_banana_ros.errors import InputError
from vision_banana_ros.files import open_regular, read_bounded
from vision_banana_ros.perception.camera import Calibration
from vision_banana_ros.perception.geometry import Intrinsics
from vision_banana_ros.perception.image_encodings import FILE_KINDS, compressed_to_rgb
from vision_banana_ros.scenes import SimulatedCamera

MAX_FILE_BYTES = 256_000_000
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".avif", ".tif", ".tiff", ".ppm", ".pgm", ".pnm")
EXPECTED = 0.95
"""Of the frames that a video says it has; one that has fewer is told of."""
VIDEOS = (".mp4", ".mkv", ".avi", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".ts")


def open_frames(source: str | Path, topic: str | None = None, recursive: bool = False) -> Frames:
    """Opens an image, a folder of images, a bag, or a video (a file, an address, a GStreamer pipeline).

    Raises:
        InputError: There is nothing to read.
    """
    text = str(source)
    if text.startswith("file://"):  # FFmpeg would wait for a pipe
        source = text = url2pathname(urlsplit(text).path)
    if _is_address(text):
        return video_frames(text)
    path = Path(source)
    if not path.exists():
        raise InputError(
            f"There is nothing at '{path}'; name a picture, a folder of pictures, a video, or a bag."
        )
    if is_bag(path):
        return bag_frames(path, topic)
    if topic is not None:
        raise InputError(f"A topic can only be chosen in a bag, and '{path}' is none.")
    if path.suffix.lower() in VIDEOS:
        with open_regular(path):  # a pipe would be waited for
            return video_frames(str(path))
    if not path.is_dir():
        read_picture(path)
        _tell_of_depth([path])
        return Frames(1, lambda: iter([attempt(_picture_frame, path, path.stem)]))
    pictures = sorted(
        f for f in (path.rglob("*") if recursive else path.iterdir()) if f.suffix.lower() in PICTURES
    )
    found = [file for file in pictures if not is_result(file)]
    if left_out := len(pictures) - len(found):
        told = f"{left_out} pictures in '{path}' are results of vision-banana and no photographs"
        if not found:
            raise InputError(f"All {told}; name the folder of the photographs.")
        tell(f"{told}; they are left out.")
    if not found:
        deeper = "" if recursive else " (its subfolders are read with --recursive)"
        raise InputError(
            f"'{path}' holds no picture ({', '.join(PICTURES)}){deeper} and is no bag (it has"
            " no metadata.yaml)."
        )
    _tell_of_depth(found)
    names = _names(path, found)
    return Frames(
        len(found),
        lambda: (attempt(_picture_frame, file, name) for file, name in zip(found, names, strict=True)),
    )


def _tell_of_depth(files: list[Path]) -> None:
    """Says which pictures have 16 bits in one channel: most are depth, and some are of grey cameras."""
    grey = [file for file in files if file.suffix.lower() == ".png" and _is_wide_grey(file)]
    if grey:
        tell(
            f"Pictures with 16 bits in one channel, as depth has: {len(grey)}, the first '{grey[0]}'. They"
            " are answered as photographs; leave them out if they are none."
        )


def _is_wide_grey(file: Path) -> bool:
    try:
        with open_regular(file) as opened:
            head = opened.read(26)
    except (OSError, InputError):  # told where it is answered
        return False
    return head[12:16] == b"IHDR" and head[24:26] == b"\x10\x00"  # bits, and the kind without colours


def names_source(text: str) -> bool:
    """Whether a text can only mean pictures or a video, be they there or not."""
    return _is_address(text) or text.endswith("/") or Path(text).suffix.lower() in (*PICTURES, *VIDEOS)


def _is_address(text: str) -> bool:
    return "://" in text or " ! " in text


def _names(folder: Path, files: list[Path]) -> list[str]:
    """A name for each: its path in the folder without the ending, unless another one would have the same."""
    short = [str(file.parent.relative_to(folder) / file.stem) for file in files]
    taken = Counter(short)
    return [
        name if taken[name] == 1 else str(file.relative_to(folder))
        for name, file in zip(short, files, strict=True)
    ]


def video_frames(source: str) -> Frames:
    """The frames of a video, whatever OpenCV opens. InputError where it opens nothing."""
    if source.encode(errors="replace").decode() != source:  # OpenCV crashes
        raise InputError(f"The name {source!r} is no text; rename the video.")
    pipeline = cv2.CAP_GSTREAMER if " ! " in source else cv2.CAP_ANY

    def opened() -> cv2.VideoCapture:
        capture = cv2.VideoCapture(source, pipeline)
        if not capture.isOpened():
            with_gstreamer = (
                "; this OpenCV may be built without GStreamer" if pipeline == cv2.CAP_GSTREAMER else ""
            )
            raise InputError(f"The video '{source}' cannot be opened{with_gstreamer}.")
        return capture

    count = int(opened().get(cv2.CAP_PROP_FRAME_COUNT))

    def read() -> Iterator[Frame | InputError]:
        capture = opened()
        k = 0
        while True:
            stamp_ns = int(capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
            arrived, image = capture.read()
            if not arrived:
                break
            yield Frame(f"{k:06d}", cv2.cvtColor(image, cv2.COLOR_BGR2RGB), stamp_ns=stamp_ns)
            k += 1
        # some formats say only about how many there are
        if not k or k < EXPECTED * count - 1:
            yield InputError(
                f"'{source}' ended after {k} of {max(count, 1)} frames; it is cut off or damaged."
            )

    return Frames(count if count > 0 else None, read)


def read_picture(path: Path) -> np.ndarray:
    """A picture file as (H, W, 3) uint8 RGB. InputError where it is none."""
    try:
        return compressed_to_rgb(
            read_bounded(path, MAX_FILE_BYTES), kinds=FILE_KINDS, upright=True, shrink=True
        )
    except InputError as error:
        raise InputError(
            f"'{path}' is not a picture that can be read; give a whole {', '.join(PICTURES)} file. {error}"
        ) from None
    except OSError as error:
        raise InputError(f"'{path}' cannot be read ({error.strerror}).") from None


def simulated_frames(seed: int, width: int, height: int, rate_hz: float) -> Frames:
    """A camera that moves slowly through the world of a seed."""

    def read() -> Iterator[Frame | InputError]:
        camera = SimulatedCamera(seed, width, height, rate_hz)
        k = 0
        while True:
            view = camera.view(k / rate_hz)
            yield Frame(f"{k:06d}", view.image, Calibration.of_pinhole(Intrinsics.of(view.camera)))
            k += 1

    return Frames(None, read)


def webcam_frames(number: int, width: int, height: int) -> Frames:
    """A camera that OpenCV can open, asked for a size near width x height. InputError where there is none."""
    capture = cv2.VideoCapture(number)
    if not capture.isOpened():
        raise InputError(
            f"Webcam {number} cannot be opened; see `ls /dev/video*` and whether you may read it."
        )
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


def _picture_frame(path: Path, name: str) -> Frame:
    return Frame(name, read_picture(path))
