# SPDX-License-Identifier: Apache-2.0
"""Point clouds and meshes on disk."""

from pathlib import Path

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.files import write_pieces

_VERTEX = np.dtype([("xyz", "<f4", 3), ("rgb", "u1", 3)])
_FACE = np.dtype([("count", "u1"), ("corners", "<i4", 3)])
_HEADER = """ply
format binary_little_endian 1.0
comment {axes}; metres
element vertex {count}
property float x
property float y
property float z
property uchar red
property uchar green
property uchar blue
{faces}end_header
"""
_FACES = "element face {count}\nproperty list uchar int vertex_indices\n"


def write_ply(path: str | Path, xyz: np.ndarray, rgb: np.ndarray) -> int:
    """Writes (..., 3) float metres and (..., 3) uint8 colours as binary PLY and returns the number of points.

    Points with a coordinate that is not finite are left out. InputError where the two do not belong together.
    """
    if xyz.shape != rgb.shape or xyz.shape[-1] != 3:
        raise InputError(
            f"Points {xyz.shape} and colours {rgb.shape} must have the same shape, three values a point."
        )
    keep = np.isfinite(xyz).all(axis=-1)
    vertices = np.empty(int(keep.sum()), _VERTEX)
    vertices["xyz"] = xyz[keep]
    vertices["rgb"] = rgb[keep]
    header = _HEADER.format(axes="x right, y down, z forward", count=len(vertices), faces="")
    write_pieces(Path(path), (header.encode("ascii"), vertices.data))
    return len(vertices)


def write_mesh(path: str | Path, xyz: np.ndarray, triangles: np.ndarray, rgb: np.ndarray) -> None:
    """Writes vertices (N, 3) in metres, faces (M, 3) and colours (N, 3) uint8 as binary PLY."""
    vertices, faces = np.empty(len(xyz), _VERTEX), np.empty(len(triangles), _FACE)
    vertices["xyz"], vertices["rgb"] = xyz, rgb
    faces["count"], faces["corners"] = 3, triangles
    header = _HEADER.format(
        axes="the fixed frame's axes", count=len(xyz), faces=_FACES.format(count=len(triangles))
    )
    write_pieces(Path(path), (header.encode("ascii"), vertices.data, faces.data))
