# SPDX-License-Identifier: Apache-2.0
"""Environment variables of libraries, set before they are imported."""

import os
import re
import stat
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from vision_banana_ros.errors import shortened

TELEMETRY_OFF = {
    "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime 1.29 and later: no device id on disk, no look-up of a host
    "ORT_TELEMETRY_DISABLED": "1",  # its other name
    "HF_HUB_DISABLE_TELEMETRY": "1",  # diffusers and transformers, where an editor is imported
    "DO_NOT_TRACK": "1",
}


MAX_DECODED_PIXELS = 25_000_000
"""OpenCV's own bound, which holds whatever a header declares: the same as `image_encodings.MAX_PIXELS`,
where more is refused in words first."""


def prepare() -> None:
    """Disables telemetry of libraries, opens the standard streams, and gives each one a writable folder.

    That holds also for users without a home (services, containers). Variables that are already set
    (NUMBA_CACHE_DIR, ROS_HOME, ROS_LOG_DIR) are kept.

    Raises:
        SystemExit: With a sentence, if a library would end the process for what a variable holds.
    """
    _open_streams()
    os.environ.update(TELEMETRY_OFF)
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_DECODED_PIXELS))
    _refuse_what_libraries_cannot_read()
    package = Path(__file__).resolve().parent
    home = (
        Path.home()
        if os.environ.get("HOME") or os.path.exists(os.path.expanduser("~"))
        else Path("/nonexistent")
    )
    compiled = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    if "NUMBA_CACHE_DIR" not in os.environ and not (_writable(package) or _writable(compiled)):
        os.environ["NUMBA_CACHE_DIR"] = str(private_folder() / "numba")
    if not {"ROS_HOME", "ROS_LOG_DIR"} & os.environ.keys() and not _writable(home / ".ros"):
        os.environ["ROS_LOG_DIR"] = str(private_folder() / "log")


def _open_streams() -> None:
    """Where a standard stream is closed, opens the null device.

    The next file that is opened would take its number, and get what libraries write to the stream.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):
                os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, which is this one
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def _refuse_what_libraries_cannot_read() -> None:
    """SystemExit for variables with which OpenCV or Numba cannot be imported.

    OpenCV aborts the process then, for any of its hundred variables: where one is set, another process tries.
    """
    given = {name: value for name, value in os.environ.items() if name.startswith("OPENCV_")}
    if given.get("OPENCV_IO_MAX_IMAGE_PIXELS") == str(MAX_DECODED_PIXELS):
        del given["OPENCV_IO_MAX_IMAGE_PIXELS"]
    said = ""
    if given:
        tried = subprocess.run(
            [sys.executable, "-c", "import cv2"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace",
        )  # fmt: skip
        said = tried.stderr if tried.returncode < 0 else ""
    if not said and re.fullmatch(r"\s*(-\d+|0+)\s*", threads := os.environ.get("NUMBA_NUM_THREADS", "")):
        given, said = {"NUMBA_NUM_THREADS": threads}, "a number of threads is 1 or more"
    if said:
        variables = " ".join(f"{name}={value!r}" for name, value in sorted(given.items()))
        raise SystemExit(
            shortened(
                f"vision_banana_ros: {variables} of the environment cannot be read; correct it or unset it"
                f" ({' '.join(said.split())})."
            )
        )


def _writable(folder: Path) -> bool:
    """Whether a folder is writable or can be created."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def private_folder() -> Path:
    """A temporary folder that only this user can write, because compiled code is loaded from it.

    It is the same one at every start, unless somebody else has taken the name.
    """
    place = next(
        (place for place in (tempfile.gettempdir(), "/dev/shm") if os.access(place, os.W_OK)),
        tempfile.gettempdir(),
    )
    folder = Path(place) / f"vision_banana_{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return Path(tempfile.mkdtemp(prefix="vision_banana_"))
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077:
        return folder
    return Path(tempfile.mkdtemp(prefix="vision_banana_"))
