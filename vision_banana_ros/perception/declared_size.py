# SPDX-License-Identifier: Apache-2.0
"""The declared size of a compressed image, read before memory is allocated.

Kilobytes may unpack to gigabytes.
"""

import re
from collections.abc import Callable

Size = tuple[int, int]
HEADERS = 1 << 20
"""A JPEG's size stands behind its metadata: thumbnails, profiles."""
_PNM = re.compile(rb"P[1-6](?:\s|#[^\n]*\n)+(\d{1,9})(?:\s|#[^\n]*\n)+(\d{1,9})\s")


def declared(data: bytes | memoryview) -> tuple[str, Size] | None:
    """The kind of picture and (width, height) that its beginning declares.

    None for what is no picture of `KINDS`.
    """
    head = bytes(data[:HEADERS])
    for kind, read in KINDS.items():
        size = read(head)
        if size is not None:
            return kind, size
    return None


def _png(head: bytes) -> Size | None:
    if head.startswith(b"\x89PNG\r\n\x1a\n") and head[12:16] == b"IHDR" and len(head) >= 24:
        return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
    return None


def _jpeg(head: bytes) -> Size | None:
    at = 2 if head.startswith(b"\xff\xd8") else len(head)
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if marker == 0xFF:  # padding
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # start of a frame
            return int.from_bytes(head[at + 7 : at + 9], "big"), int.from_bytes(head[at + 5 : at + 7], "big")
        elif marker == 0x01 or 0xD0 <= marker <= 0xD9:  # these have no length
            at += 2
        else:
            at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return None


def _webp(head: bytes) -> Size | None:
    if not (head.startswith(b"RIFF") and head[8:12] == b"WEBP" and len(head) >= 30):
        return None
    if head[12:16] == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF


def _avif(head: bytes) -> Size | None:
    if head[4:8] != b"ftyp" or head[8:12] not in (b"avif", b"avis"):
        return None
    # The picture, its alpha and its tiles each have a box ispe: version and flags, width, height.
    boxes = [at + 8 for at in _all(b"ispe", head) if at + 16 <= len(head)]
    sizes = [
        (int.from_bytes(head[at : at + 4], "big"), int.from_bytes(head[at + 4 : at + 8], "big"))
        for at in boxes
    ]
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


def _all(word: bytes, head: bytes) -> list[int]:
    return [found.start() for found in re.finditer(re.escape(word), head)]


def _bmp(head: bytes) -> Size | None:
    if head[:2] != b"BM" or len(head) < 26 or int.from_bytes(head[14:18], "little") < 40:
        return None
    return abs(int.from_bytes(head[18:22], "little", signed=True)), abs(
        int.from_bytes(head[22:26], "little", signed=True)
    )


def _pnm(head: bytes) -> Size | None:
    found = _PNM.match(head)
    return (int(found[1]), int(found[2])) if found else None


def _tiff(head: bytes) -> Size | None:
    order = {b"II*\0": "little", b"MM\0*": "big"}.get(head[:4])
    if order is None:
        return None

    def number(at: int, length: int) -> int:
        return int.from_bytes(head[at : at + length], "little" if order == "little" else "big")

    directory, sizes = number(4, 4), {}
    for entry in range(directory + 2, directory + 2 + 12 * number(directory, 2), 12):
        tag, kind = number(entry, 2), number(entry + 2, 2)
        if tag in (256, 257):  # width, length: a short or a long
            sizes[tag] = number(entry + 8, 2 if kind == 3 else 4)
    return (sizes[256], sizes[257]) if len(sizes) == 2 else None


KINDS: dict[str, Callable[[bytes], Size | None]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WebP": _webp,
    "AVIF": _avif,
    "BMP": _bmp,
    "PNM": _pnm,
    "TIFF": _tiff,
}
"""The pictures that are read, where OpenCV has a reader of them."""
