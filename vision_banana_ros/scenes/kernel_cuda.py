# SPDX-License-Identifier: Apache-2.0
"""The ray caster on an NVIDIA GPU: the functions of `kernel.py`, one thread per pixel."""

import numpy as np
from numba import cuda

from vision_banana_ros.scenes import kernel
from vision_banana_ros.scenes.cameras import Camera
from vision_banana_ros.scenes.solids import SKY, World

BLOCK = (kernel.TILE, kernel.TILE)


@cuda.jit
def trace(eye, prims, items, nears, starts, columns, depth, who):  # type: ignore[no-untyped-def]
    """CUDA kernel of `kernel.trace_image`, one thread per pixel."""
    column, row = cuda.grid(2)
    if row < depth.shape[0] and column < depth.shape[1]:
        t, p = kernel.trace_pixel(eye, prims, items, nears, starts, column, row, columns)
        depth[row, column] = t
        who[row, column] = p


@cuda.jit
def prepare(eye, prims, groups, lights, depth, columns, casters, splits):  # type: ignore[no-untyped-def]
    """CUDA kernel that prepares shading, one thread per pixel."""
    tile = cuda.grid(1)
    if tile < splits.shape[0]:
        rows = tile * 2 * lights.shape[0]
        splits[tile] = kernel.prepare_tile(eye, prims, groups, lights, depth, tile, columns, casters, rows)


@cuda.jit
def shade(  # type: ignore[no-untyped-def]
    eye, prims, groups, lights, air, casters, splits, items, nears, starts, columns, depth, who,
    rgb, depth_m, normals, labels, instances,
):  # fmt: skip
    """CUDA kernel that shades and writes the ground truth, one thread per pixel."""
    column, row = cuda.grid(2)
    if row < depth.shape[0] and column < depth.shape[1]:
        tile = row // kernel.TILE * columns + column // kernel.TILE
        kernel.shade_pixel(
            eye, prims, groups, lights, air, casters, tile * 2 * lights.shape[0], splits[tile], items, nears,
            starts,
            columns, depth, who, column, row, rgb,
        )  # fmt: skip
        kernel.truth_pixel(eye, prims, who, depth, column, row, depth_m, normals, labels, instances, SKY)


def cast(world: World, camera: Camera) -> tuple[np.ndarray, ...]:
    """Linear light, depth, normals, labels and instances of all pixels, as `views.cast_on_cpu` gives them."""
    size = camera.height, camera.width
    items, nears, starts, columns = kernel.tiles(camera.eye(), world.prims, *size)
    eye, prims, groups, lights, air, items, nears, starts = map(
        cuda.to_device,
        (camera.eye(), world.prims, world.groups, world.lights, world.air, items, nears, starts),
    )
    count = len(starts) - 1
    depth, who = cuda.device_array(size, np.float64), cuda.device_array(size, np.int32)
    casters = cuda.device_array((count * 2 * len(world.lights), len(world.prims) + 1), np.int32)
    splits = cuda.device_array(count, np.float64)
    out = [
        cuda.device_array(shape, kind)
        for shape, kind in (
            ((*size, 3), np.float32), (size, np.float32), ((*size, 3), np.float32), (size, np.uint8),
            (size, np.uint16),
        )
    ]  # fmt: skip
    grid = (columns, count // columns)
    trace[grid, BLOCK](eye, prims, items, nears, starts, columns, depth, who)
    prepare[-(-count // 64), 64](eye, prims, groups, lights, depth, columns, casters, splits)
    shade[grid, BLOCK](
        eye, prims, groups, lights, air, casters, splits, items, nears, starts, columns, depth, who, *out
    )  # fmt: skip
    return tuple(array.copy_to_host() for array in out)
