# SPDX-License-Identifier: Apache-2.0
"""docs/reference/cameras.md says what is read and what is refused, and is made by reading it.

Run as a program it writes the tables: PYTHONPATH=. python test/perception/test_cameras_page.py
"""

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception.camera import (
    FISHEYE_MODELS,
    MODELS,
    PINHOLE_MODELS,
    Calibration,
    camera_for,
)
from vision_banana_ros.perception.image_encodings import (
    DEPTHS,
    ENCODINGS,
    FILE_KINDS,
    compressed_to_rgb,
    to_rgb,
)

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "cameras.md"
EYE = (1.0, 0, 0, 0, 1, 0, 0, 0, 1)
K = (400.0, 0, 320, 0, 400, 240, 0, 0, 1)
P = (350.0, 0, 320, 0, 0, 350, 240, 0, 0, 0, 1, 0)


def outcome(read: Callable[[], str]) -> str:
    try:
        return f"read: {read()}"
    except InputError as error:
        return f"refused: {error}"


def table(head: str, rows: Iterable[tuple[str, ...]]) -> str:
    columns = head.count("|") + 1
    return "\n".join([f"| {head} |", "|-" * columns + "|", *(f"| {' | '.join(row)} |" for row in rows)])


def lenses() -> str:
    cases = [
        (model, (0.01,) * counts[-1] if counts[-1] < 12 else (0.01,) * 8)
        for model, counts in PINHOLE_MODELS.items()
    ]
    cases += [(model, (0.01,) * 4) for model in FISHEYE_MODELS] + [("equidistant", (0.0,) * 4)]
    cases += [(model, ()) for model in MODELS if model not in (*PINHOLE_MODELS, *FISHEYE_MODELS)]
    cases += [("", ()), ("", (0.1,) * 5), ("scaramuzza", (0.1,) * 5), ("plumb_bob", (0.1,) * 3)]

    def row(model: str, d: tuple[float, ...]) -> tuple[str, str, str]:
        camera = Calibration(640, 480, model, d, K, EYE, P)
        given = "none" if not d else f"{len(d)} numbers" if any(d) else f"{len(d)} zeros"
        return (
            f"`{model}`" if model else "empty",
            given,
            outcome(lambda: camera_for(camera, (480, 640)).reading),
        )

    return table("distortion_model | D | interpretation", (row(*case) for case in cases))


def encodings() -> str:
    def row(encoding: str) -> tuple[str, str]:
        def read() -> str:
            rows = {"nv12": 96, "nv21": 96, "nv24": 192}.get(encoding, 64)
            image = to_rgb(bytes(rows * 64 * 8), encoding, 64, 64, 64 * 8)
            assert image.shape == (64, 64, 3) and image.dtype == np.uint8
            return (
                "16 bits, of which 10, 12, 14 or 16 may be in use, little or big endian"
                if encoding.endswith("16")
                else "8 bits"
            )

        return f"`{encoding}`", outcome(read)

    return table("encoding | interpretation", (row(encoding) for encoding in (*ENCODINGS, *DEPTHS)))


def formats() -> str:
    picture = np.full((16, 16, 3), 90, np.uint8)
    endings = {
        "JPEG": ".jpg",
        "PNG": ".png",
        "WebP": ".webp",
        "AVIF": ".avif",
        "BMP": ".bmp",
        "PNM": ".ppm",
        "TIFF": ".tiff",
    }
    rows = []
    for kind in FILE_KINDS:
        data = cv2.imencode(endings[kind], picture)[1].tobytes()
        on_topics = outcome(lambda data=data: f"{compressed_to_rgb(data).shape[2]} channels").split(":")[0]
        in_files = outcome(
            lambda data=data: f"{compressed_to_rgb(data, kinds=FILE_KINDS).shape[2]} channels"
        ).split(":")[0]
        rows.append((kind, on_topics, in_files))
    mosaic, deep = (
        cv2.imencode(".png", picture[..., 0])[1].tobytes(),
        cv2.imencode(".png", np.full((8, 8), 900, np.uint16))[1].tobytes(),
    )
    for form, data, what in (
        ("bayer_rggb8; jpeg compressed bgr8", mosaic, "converted to colour"),
        ("bayer_rggb8; jpeg compressed mono8", mosaic, "grey, as converted by image_transport"),
        ("mono16; png compressed ", deep, "scaled by the number of bits in use"),
        ("rgb8; jpeg compressed bgr8", mosaic, "in the channel order of the last word"),
        ("rgb8; tiff compressed ", mosaic, "in the channel order of the first word"),
        ("16UC1; png compressed ", deep, ""),
        ("32FC1; compressedDepth png", deep, ""),
    ):
        rows.append(
            (
                f"`{form.strip()}`",
                outcome(
                    lambda form=form, data=data, what=what: compressed_to_rgb(data, form) is not None and what
                ),
                "–",
            )
        )
    return table("kind, or `format` | on topics | in files", rows)


def measured() -> str:
    report = json.loads((ROOT / "benchmark" / "cameras.json").read_text())
    rows = []
    for row in report["rays"]:
        before = "refused" if row["before_deg"] is None else f"{row['before_deg']:.1f}°"
        rows.append((row["case"], before, f"{row['now_deg']:.3f}°", row["reading"]))
    lines = [table("case | before | now | read as", rows), ""]
    cost = report["rectify_ms"]
    lines.append(
        table("frame | CPU time of rectification", ((size, f"{ms:.2f} ms") for size, ms in cost.items()))
    )
    return "\n".join(lines)


TABLES = {"lenses": lenses, "encodings": encodings, "formats": formats, "measured": measured}


def with_tables(text: str) -> str:
    for name, make in TABLES.items():
        text = re.sub(
            f"(<!-- {name} -->\n).*?(<!-- /{name} -->)",
            lambda m, make=make: f"{m[1]}{make()}\n{m[2]}",
            text,
            flags=re.S,
        )
    return text


@pytest.mark.parametrize("name", TABLES)
def test_the_tables_are_current(name):
    if name == "formats" and not cv2.haveImageWriter("a.avif"):
        pytest.skip("this OpenCV has no AVIF, as those of the distributions")
    assert f"<!-- {name} -->\n{TABLES[name]()}\n<!-- /{name} -->" in PAGE.read_text()


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text()))
