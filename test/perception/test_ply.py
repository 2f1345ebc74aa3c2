# SPDX-License-Identifier: Apache-2.0
"""PLY files, read again by a parser that knows only the format."""

import struct

import numpy as np
import pytest

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception.ply import write_ply

SIZES = {"float": ("f", 4), "uchar": ("B", 1)}


def read_ply(path) -> list[dict[str, float]]:
    """Any binary little-endian PLY with one element of scalar properties."""
    header, _, body = path.read_bytes().partition(b"end_header\n")
    lines = header.decode("ascii").splitlines()
    assert lines[0] == "ply" and lines[1] == "format binary_little_endian 1.0"
    (count,) = (int(line.split()[2]) for line in lines if line.startswith("element"))
    properties = [line.split()[1:] for line in lines if line.startswith("property")]
    row = struct.Struct("<" + "".join(SIZES[kind][0] for kind, _ in properties))
    assert len(body) == count * row.size
    return [
        dict(zip((name for _, name in properties), values, strict=True)) for values in row.iter_unpack(body)
    ]


def test_points_come_back_with_their_colours_and_without_nan(tmp_path):
    xyz = np.arange(2 * 3 * 3, dtype=np.float32).reshape(2, 3, 3) / 4
    xyz[0, 1] = np.nan
    xyz[1, 2, 0] = np.inf
    rgb = np.arange(18, dtype=np.uint8).reshape(2, 3, 3) * 10
    path = tmp_path / "cloud.ply"
    assert write_ply(path, xyz, rgb) == 4
    rows = read_ply(path)
    kept = [(0, 0), (0, 2), (1, 0), (1, 1)]
    assert [(r["x"], r["y"], r["z"]) for r in rows] == [tuple(xyz[k]) for k in kept]
    assert [(r["red"], r["green"], r["blue"]) for r in rows] == [tuple(rgb[k]) for k in kept]


def test_a_cloud_without_points_is_a_whole_file(tmp_path):
    assert (
        write_ply(tmp_path / "none.ply", np.full((4, 3), np.nan, np.float32), np.zeros((4, 3), np.uint8)) == 0
    )
    assert read_ply(tmp_path / "none.ply") == []


def test_points_and_colours_must_belong_together(tmp_path):
    with pytest.raises(InputError, match="same shape"):
        write_ply(tmp_path / "bad.ply", np.zeros((4, 3), np.float32), np.zeros((5, 3), np.uint8))
