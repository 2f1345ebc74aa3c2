# SPDX-License-Identifier: Apache-2.0
"""Trees, bushes and hedges.

Trunks and branches of tubes, crowns of cut-out sprays of leaves round dark clumps.
"""

from functools import lru_cache

import numpy as np

from vision_banana_ros.scenes.furnished.models import UNIT
from vision_banana_ros.scenes.street.meshes import Mesh, Paint, Shape

Generator = np.random.Generator
TREES = ("broad", "tall", "small", "bare", "conifer")
VARIANTS = 5
GREENS = (
    (114, 146, 60),
    (135, 161, 73),
    (91, 125, 55),
    (156, 169, 78),
    (109, 135, 75),
    (125, 138, 57),
    (78, 109, 57),
    (182, 156, 65),
)
BARK = (92, 80, 68)
TWIGS = ((112, 100, 88), (138, 114, 84), (96, 82, 76), (128, 116, 92))  # of bare trees, RGB


def sprays(
    shape: Shape,
    rng: Generator,
    centers: np.ndarray,
    radii: np.ndarray,
    count: int,
    size: float,
    paint: int,
    shell: float = 0.55,
) -> None:
    """Cut-out cards in the outer part of ellipsoids (K, 3) with half axes (K, 3)."""
    weight = radii.prod(1) ** (2 / 3)
    which = rng.choice(len(centers), count, p=weight / weight.sum())
    outward = rng.standard_normal((count, 3))
    outward[:, 2] += 0.25
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    middle = centers[which] + outward * radii[which] * rng.uniform(shell, 1.0, (count, 1))
    normal = outward + 0.9 * rng.standard_normal((count, 3))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    u = np.cross(normal, rng.standard_normal((count, 3)))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    v = np.cross(normal, u)
    half = 0.5 * size * rng.uniform(0.7, 1.3, (count, 1))
    u, v = u * half, v * half
    shape.add(np.stack([middle - u - v, middle + u - v, middle + u + v, middle - u + v], 1), paint)


def rounded(mesh: Mesh, paint: int, centers: np.ndarray) -> Mesh:
    """Leaves lit as the clump that they belong to is: normals from the nearest of the centres outwards."""
    leaves = mesh.material == paint
    corners = mesh.corners[leaves].astype(np.float64)
    middle = corners.mean(1)
    nearest = np.argmin(((middle[:, None] - centers[None]) ** 2).sum(-1), axis=1)
    crown = centers.mean(0)
    out = 0.6 * (corners - centers[nearest][:, None]) + 0.4 * (corners - crown)
    out /= np.maximum(np.linalg.norm(out, axis=-1, keepdims=True), 1e-6)
    out[..., 2] += 0.15
    out /= np.maximum(np.linalg.norm(out, axis=-1, keepdims=True), 1e-6)
    mesh.shade[leaves] = np.rint(out * UNIT).astype(np.int16)
    return mesh


def branches(
    shape: Shape,
    rng: Generator,
    paint: int,
    start: np.ndarray,
    way: np.ndarray,
    length: float,
    radius: float,
    depth: int,
) -> list[np.ndarray]:
    """A branch and what grows from it; where the last ones end."""
    a, ends = [start], []
    for _ in range(2):
        way = way + 0.18 * rng.standard_normal(3) + (0, 0, 0.06)
        way /= np.linalg.norm(way)
        a.append(a[-1] + way * length / 2)
    points = np.array(a)
    taper = radius * np.array([1.0, 0.8, 0.62])
    shape.tubes(points[:-1], points[1:], taper[:-1], taper[1:], paint, 5 if radius > 0.05 else 3)
    if depth == 0:
        return [points[-1]]
    for k in range(int(rng.integers(2, 4))):
        out = rng.standard_normal(3)
        out -= out.dot(way) * way
        out /= np.linalg.norm(out)
        new = way + out * rng.uniform(0.5, 1.0)
        at = points[int(rng.integers(1, 3))] if k else points[-1]
        ends += branches(
            shape,
            rng,
            paint,
            at,
            new / np.linalg.norm(new),
            length * rng.uniform(0.6, 0.85),
            0.6 * radius,
            depth - 1,
        )
    return ends


@lru_cache(maxsize=64)
def tree(kind: str, variant: int) -> Mesh:
    """Paints: 0 bark, 1 leaves or twigs, 2 the dark inside."""
    rng = np.random.default_rng([TREES.index(kind), variant, 19])
    shape = Shape()
    green = GREENS[int(rng.integers(len(GREENS)))]
    bark = shape.paint(Paint(BARK, "bark", variant, grime=0.2))
    leaf = shape.paint(
        Paint(green, "leaves", variant + 2 * TREES.index(kind), cutout=True, thin=0.5, grime=0.5)
    )
    inside = shape.paint(Paint(tuple(int(0.62 * c) for c in green), "foliage", variant, grime=0.4, thin=0.2))  # type: ignore[arg-type]
    up = np.array([0.05 * rng.standard_normal(), 0.05 * rng.standard_normal(), 1.0])
    if kind == "bare":
        height = rng.uniform(7, 12)
        stem = 0.28 * height
        shape.paints[leaf] = Paint(
            TWIGS[int(rng.integers(len(TWIGS)))], "twigs", variant, cutout=True, grime=0.3
        )
        shape.tubes(np.array([[0, 0, -0.1]]), stem * up[None], 0.022 * height, 0.017 * height, bark, 8)
        ends: list[np.ndarray] = []
        for _ in range(5):
            out = np.array([*rng.uniform(-0.8, 0.8, 2), 1.0])
            ends += branches(
                shape, rng, bark, stem * up, out / np.linalg.norm(out), 0.2 * height, 0.011 * height, 3
            )
        tips = np.array(ends)
        out = tips - stem * up
        out /= np.linalg.norm(out, axis=1, keepdims=True)
        out = out + 0.5 * rng.standard_normal(out.shape)
        out /= np.linalg.norm(out, axis=1, keepdims=True)
        for _ in range(2):
            side = np.cross(out, rng.standard_normal(out.shape))
            side /= np.linalg.norm(side, axis=1, keepdims=True)
            size = 0.13 * height * rng.uniform(0.8, 1.3, (len(tips), 1))
            low = tips - 0.25 * size * out
            u, v = 0.5 * size * side, size * out
            shape.add(np.stack([low - u, low + u, low + u + v, low - u + v], 1), leaf)
        return shape.mesh()
    if kind == "conifer":
        height, wide = rng.uniform(6, 13), rng.uniform(1.6, 2.8)
        shape.tubes(np.array([[0, 0, -0.1]]), np.array([[0, 0, 0.9 * height]]), 0.2, 0.04, bark, 6)
        z = np.linspace(0.12 * height, 0.97 * height, 12)
        radius = wide * (1.0 - z / height) ** 0.8 + 0.15
        centers = np.stack([0 * z, 0 * z, z], -1)
        radii = np.stack([radius, radius, np.full(12, 0.6)], -1)
        rings = []
        turn = np.linspace(0, 2 * np.pi, 9)
        for h, r in zip(z, 0.6 * radius, strict=True):
            rings.append(np.stack([r * np.cos(turn), r * np.sin(turn), np.full(9, h)], -1))
        shape.grid(np.stack(rings), inside)
        sprays(shape, rng, centers, radii, 300, 1.1, leaf, 0.6)
        return rounded(shape.mesh(), leaf, centers - (0, 0, 0.3))
    height, wide = {
        "broad": (rng.uniform(8, 13), rng.uniform(3.2, 5.2)),
        "tall": (rng.uniform(10, 17), rng.uniform(1.8, 3.2)),
        "small": (rng.uniform(4, 7), rng.uniform(1.4, 2.4)),
    }[kind]
    stem = rng.uniform(0.2, 0.34) * height
    thick = 0.02 * height + 0.03
    shape.tubes(np.array([[0, 0, -0.1]]), stem * up[None], thick, 0.8 * thick, bark, 9)
    shape.tubes(np.array([stem * up]), np.array([0.75 * height * up]), 0.8 * thick, 0.25 * thick, bark, 6)
    count = int(rng.integers(7, 13))
    crown = 0.5 * (height + 0.8 * stem)
    out = rng.standard_normal((count, 3))
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    reach = np.array([0.6 * wide, 0.6 * wide, 0.34 * (height - stem)])
    centers = np.array([0, 0, crown]) + out * reach * rng.uniform(0.5, 1.0, (count, 1))
    centers[0] = (0, 0, crown)
    radii = np.stack(
        [np.full(count, 0.5 * wide)] * 2 + [np.full(count, 0.26 * (height - stem))], -1
    ) * rng.uniform(0.7, 1.15, (count, 1))
    shape.tubes(np.broadcast_to(stem * up * 0.95, centers.shape), centers, 0.35 * thick, 0.1 * thick, bark, 5)
    for c, r in zip(centers, radii, strict=True):
        shape.ball(c, 0.62 * r, inside, 4, 6)
    sprays(
        shape,
        rng,
        centers,
        radii,
        int(180 + 7 * wide * height),
        rng.uniform(0.9, 1.3) if kind != "small" else 0.8,
        leaf,
    )
    return rounded(shape.mesh(), leaf, centers)


@lru_cache(maxsize=16)
def bush(variant: int) -> Mesh:
    """A bush of about 1.5 m. Paints: 0 leaves, 1 the inside."""
    rng = np.random.default_rng([variant, 23])
    shape = Shape()
    green = GREENS[int(rng.integers(len(GREENS)))]
    leaf = shape.paint(Paint(green, "leaves", variant, cutout=True, thin=0.4, grime=0.5))
    inside = shape.paint(Paint(tuple(int(0.62 * c) for c in green), "foliage", variant, grime=0.4))  # type: ignore[arg-type]
    count = int(rng.integers(3, 6))
    centers = np.stack(
        [rng.uniform(-0.6, 0.6, count), rng.uniform(-0.4, 0.4, count), rng.uniform(0.3, 0.8, count)], -1
    )
    radii = rng.uniform(0.4, 0.75, (count, 3))
    for c, r in zip(centers, radii, strict=True):
        shape.ball(c, 0.75 * r, inside, 4, 6)
    sprays(shape, rng, centers, radii, 130, 0.6, leaf, 0.7)
    mesh = rounded(shape.mesh(), leaf, centers)
    mesh.corners[..., 2] = np.maximum(mesh.corners[..., 2], -0.02)
    return mesh


@lru_cache(maxsize=16)
def hedge(variant: int) -> Mesh:
    """A piece of clipped hedge, 4 m long (x), as high as a fence or a man. Paints as a bush's."""
    rng = np.random.default_rng([variant, 29])
    shape = Shape()
    green = GREENS[int(rng.integers(len(GREENS) - 1))]
    leaf = shape.paint(Paint(green, "leaves", variant, cutout=True, thin=0.3, grime=0.5))
    inside = shape.paint(Paint(tuple(int(0.85 * c) for c in green), "foliage", variant, grime=0.5))  # type: ignore[arg-type]
    height, deep = rng.uniform(0.9, 2.3), rng.uniform(0.25, 0.5)
    across = np.array([(-1, 0.0), (-1.05, 0.5), (-0.95, 0.92), (0, 1.0), (0.95, 0.92), (1.05, 0.5), (1, 0.0)])
    x = np.linspace(-2, 2, 14)
    points = np.stack(
        [np.column_stack([x, np.full(14, a * deep), np.full(14, b * height)]) for a, b in across]
    )
    points[1:-1] += 0.05 * rng.standard_normal(points[1:-1].shape)
    points[:, 0, 0], points[:, -1, 0] = -2.02, 2.02
    uv = (
        np.stack([points[..., 0], np.broadcast_to((np.arange(7) * 0.4 * height)[:, None], (7, 14))], -1) / 1.5
    )
    shape.grid(points, inside, uv)
    for k in (0, -1):
        ends = points[:, k]
        shape.flat(np.array([ends[0], ends[6], ends[4], ends[2]]), inside, 1.5)
    n = 110
    side = rng.integers(0, 3, n)
    middle = np.stack(
        [
            rng.uniform(-2, 2, n),
            np.select([side == 0, side == 1], [-1.02, 1.02], rng.uniform(-1, 1, n)) * deep,
            np.where(side == 2, 1.0, rng.uniform(0.1, 1.0, n)) * height,
        ],
        -1,
    )
    u, v = rng.standard_normal((2, n, 3)) * 0.13
    shape.add(np.stack([middle - u - v, middle + u - v, middle + u + v, middle - u + v], 1), leaf)
    return shape.mesh()
