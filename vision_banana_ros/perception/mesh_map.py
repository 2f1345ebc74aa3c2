# SPDX-License-Identifier: Apache-2.0
"""Depth of many frames with known poses into one mesh with colours and classes. Needs Open3D.

Frames are fused in a truncated signed distance function (Curless and Levoy 1996, "A volumetric method for
building complex models from range images") by Open3D's hashed voxel blocks. A vertex has the class that most
of the frames that see it give it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception.geometry import Intrinsics
from vision_banana_ros.tasks.semantic import UNLABELLED

TRUNCATED = 4
"""Voxels on either side of a surface that a frame writes to; further behind it may be anything."""
_BLOCK = 8


@dataclass(frozen=True)
class Mesh:
    """A coloured triangle mesh with classes.

    Attributes:
        vertices: (N, 3) float32, metres in the fixed frame.
        triangles: (M, 3) int32, numbers of vertices.
        colors: (N, 3) uint8 RGB.
        labels: (N,) uint8 class ids, UNLABELLED where no frame gives one.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    colors: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class _Seen:
    depth_m: np.ndarray
    labels: np.ndarray
    camera: Intrinsics
    world_to_camera: np.ndarray


class MeshMap:
    """Fuses frames, then gives the mesh.

    Args:
        voxel_m: Edge of a voxel in metres; what is thinner is lost.
        max_range_m: Depth beyond is left out: the error of learnt depth grows with it.

    Raises:
        InputError: where Open3D is not installed, or a length is not above zero.
    """

    def __init__(self, voxel_m: float = 0.04, max_range_m: float = 5.0):
        if not 0.002 <= voxel_m <= 1.0 or not voxel_m < max_range_m <= 100.0:
            raise InputError(
                f"A voxel of {voxel_m} m and a range of {max_range_m} m do not fit; give 0.002"
                " to 1 m, and up to 100 m."
            )
        self._open3d = open3d_module()
        core = self._open3d.core
        self._voxel_m, self._max_range_m = voxel_m, max_range_m
        self._grid = self._open3d.t.geometry.VoxelBlockGrid(
            attr_names=("tsdf", "weight", "color"),
            attr_dtypes=(core.float32, core.float32, core.float32),
            attr_channels=((1), (1), (3)),
            voxel_size=voxel_m,
            block_resolution=_BLOCK,
            block_count=10_000,
        )
        self._seen: list[_Seen] = []

    def add(
        self, depth_m: np.ndarray, image: np.ndarray, labels: np.ndarray, camera: Intrinsics, pose: np.ndarray
    ) -> None:
        """Fuses one frame.

        Args:
            depth_m: (H, W) metres along Z; NaN and infinite pixels are left out.
            image: (H, W, 3) uint8 RGB.
            labels: (H, W) uint8 class ids.
            camera: Of this grid.
            pose: (4, 4) from the optical frame (x right, y down, z forward) to the fixed frame.
        """
        if pose.shape != (4, 4) or not np.isfinite(pose).all():
            raise InputError("A pose must be 4x4 finite numbers; look at the transforms that were recorded.")
        near = np.where(np.isfinite(depth_m) & (depth_m < self._max_range_m), depth_m, 0).astype(np.float32)
        if not near.any():
            return
        geometry, tensor = self._open3d.t.geometry, self._open3d.core.Tensor
        depth = geometry.Image(tensor(np.ascontiguousarray(near[..., None])))
        color = geometry.Image(tensor(np.ascontiguousarray(image, np.float32) / 255))
        matrix = tensor(
            np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]], np.float64)
        )
        world_to_camera = np.linalg.inv(pose.astype(np.float64))
        given = (tensor(world_to_camera), 1.0, self._max_range_m, float(TRUNCATED))
        blocks = self._grid.compute_unique_block_coordinates(depth, matrix, *given)
        self._grid.integrate(blocks, depth, color, matrix, matrix, *given)
        self._seen.append(_Seen(near, labels, camera, world_to_camera))

    def mesh(self, least_seen: int = 1) -> Mesh:
        """The surface that was seen by at least so many frames.

        Raises:
            InputError: where there is none.
        """
        found = self._grid.extract_triangle_mesh(least_seen - 0.5) if self._seen else None
        if found is None or "positions" not in found.vertex or not len(found.vertex.positions):
            raise InputError(
                "No surface was found: no frame has depth within the range, or the voxels are"
                " too small for the frames."
            )
        vertices = found.vertex.positions.numpy().astype(np.float32)
        colors = (found.vertex.colors.numpy().clip(0, 1) * 255).round().astype(np.uint8)
        return Mesh(vertices, found.triangle.indices.numpy().astype(np.int32), colors, self._labels(vertices))

    def _labels(self, vertices: np.ndarray) -> np.ndarray:
        votes: dict[int, np.ndarray] = {}
        for seen in self._seen:
            rotation, shift = seen.world_to_camera[:3, :3], seen.world_to_camera[:3, 3]
            x, y, z = (vertices @ rotation.T + shift).T
            ahead = z > 0
            z = np.where(ahead, z, 1.0)
            k = seen.camera
            u, v = np.rint(k.fx * x / z + k.cx), np.rint(k.fy * y / z + k.cy)
            inside = np.flatnonzero(ahead & (u >= 0) & (u < k.width) & (v >= 0) & (v < k.height))
            rows, columns = v[inside].astype(int), u[inside].astype(int)
            # else something is in front of it
            met = np.abs(seen.depth_m[rows, columns] - z[inside]) < TRUNCATED * self._voxel_m
            chosen = seen.labels[rows[met], columns[met]]
            for label in np.unique(chosen[chosen != UNLABELLED]):
                count = votes.setdefault(int(label), np.zeros(len(vertices), np.uint16))
                count[inside[met][chosen == label]] += 1
        if not votes:
            return np.full(len(vertices), UNLABELLED, np.uint8)
        ids = np.array(sorted(votes), np.uint8)
        counts = np.stack([votes[int(label)] for label in ids])
        return np.where(counts.max(0) > 0, ids[counts.argmax(0)], np.uint8(UNLABELLED))


def open3d_module() -> Any:
    """Open3D. InputError where it cannot be had."""
    try:
        import open3d
    except (ImportError, OSError) as error:
        raise InputError(
            f"This needs Open3D ({error}): `pip install open3d` in the environment of this command, and the"
            " libraries that it"
            " names (Debian, Ubuntu: apt install libgl1 libegl1 libgomp1 libusb-1.0-0)."
        ) from None
    return open3d
