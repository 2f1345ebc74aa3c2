# SPDX-License-Identifier: Apache-2.0
"""Decodes compressed images, and rejects damaged ones.

OpenCV silently returns what libjpeg guessed for the missing part of a damaged JPEG.
"""

import os
import re
import threading

import cv2
import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception.jpeg_damage import shifted_blocks

_DAMAGE = re.compile(
    rb"(?:Corrupt JPEG data|Premature end of JPEG|Invalid JPEG|Unsupported marker|Inconsistent progression"
    rb"|libpng (?:warning|error))[^\n]*"
)
_HARMLESS = re.compile(rb" \d extraneous bytes before marker 0xd9|iCCP|known incorrect sRGB profile")
"""Many USB cameras end each JPEG with a few bytes too many; a colour profile changes no pixel."""
MAX_SCANS = 100
"""Of a progressive JPEG; usual are 10. A decoder passes over all its pixels for each, so that a thousand
take minutes."""
_one_at_a_time = threading.Lock()


def decode_whole(data: np.ndarray, flags: int) -> np.ndarray | None:
    """As `cv2.imdecode`: the picture, or None where it is none.

    InputError where it is damaged or larger than it says.

    libjpeg tells damage only on the standard error stream. It is read there; what other threads write
    meanwhile goes on to it.
    """
    if data[:2].tobytes() == b"\xff\xd8" and data.tobytes().count(b"\xff\xda") > MAX_SCANS:
        raise InputError(
            f"The compressed image is a JPEG of more than {MAX_SCANS} scans; publish a usual one."
        )
    with _one_at_a_time:
        try:
            kept, told = os.dup(2), os.memfd_create("decoding")
        except OSError as error:
            raise InputError(
                "The compressed image cannot be checked for damage, because no file can be opened"
                f" ({error.strerror}): allow the process more open files."
            ) from None
        try:
            os.dup2(told, 2)
            try:
                image = cv2.imdecode(data, flags)
            except (cv2.error, MemoryError) as error:
                raise InputError(f"The compressed image cannot be unpacked: {_first_line(error)}..") from None
            finally:
                os.dup2(kept, 2)
            said = os.pread(told, 1 << 16, 0)
        finally:
            os.close(kept)
            os.close(told)
    lines = [line for line in _DAMAGE.findall(said) if not _HARMLESS.search(line)]
    rest = _DAMAGE.sub(b"", said).strip()
    if rest:
        os.write(2, rest + b"\n")
    if lines and image is not None:
        words = lines[0].decode("ascii", "replace").strip()
        raise InputError(
            f"The compressed image is damaged ({words}), so that a part of it is guessed; look"
            " at the connection."
        )
    reduced = flags & (
        cv2.IMREAD_REDUCED_GRAYSCALE_2 | cv2.IMREAD_REDUCED_GRAYSCALE_4 | cv2.IMREAD_REDUCED_GRAYSCALE_8
    )
    if image is not None and not reduced and shifted_blocks(data, image):
        raise InputError(
            "The compressed image is damaged (its colours jump from one block on); look at the connection."
        )
    return image


def _first_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
