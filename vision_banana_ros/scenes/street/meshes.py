# SPDX-License-Identifier: Apache-2.0
"""Meshes of street worlds: paints, instanced meshes, and the triangle soup for the renderer."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import cos, sin

import numpy as np
from numpy.typing import ArrayLike

from vision_banana_ros.scenes.furnished.models import (
    ALPHA,
    COLOR,
    CUTOUT,
    GLOSS,
    GLOW,
    MATERIAL_COLUMNS,
    SHARPNESS,
    TEXTURE,
    UNIT,
    Model,
    smooth,
)
from vision_banana_ros.scenes.furnished.naming import UNLABELLED
from vision_banana_ros.scenes.furnished.shading import Soup
from vision_banana_ros.scenes.materials import RGB
from vision_banana_ros.scenes.solids import CLASSES, STRUCTURE, WorldObject, triple
from vision_banana_ros.scenes.street.textures import bank

MIRROR, GRIME, THIN = MATERIAL_COLUMNS, MATERIAL_COLUMNS + 1, MATERIAL_COLUMNS + 2
"""Columns that street materials have besides those of `models`: reflection seen straight on, dirt, light
that shines through from behind."""
STREET_COLUMNS = MATERIAL_COLUMNS + 3


@dataclass(frozen=True)
class Paint:
    """A surface.

    `picture` names a kind of `textures.MAKERS`, `copy` which one of them (modulo their number); `rgb` is its
    tint, sRGB 0-255.
    """

    rgb: RGB = (255, 255, 255)
    picture: str = ""
    copy: int = 0
    gloss: float = 0.0
    sharpness: float = 40.0
    mirror: float = 0.0
    grime: float = 0.3
    glow: float = 0.0
    cutout: bool = False
    thin: float = 0.0

    def row(self) -> np.ndarray:
        """The paint as a row of numbers for the compiled code."""
        row = np.zeros(STREET_COLUMNS, np.float32)
        row[COLOR : COLOR + 3] = (np.array(self.rgb) / 255.0) ** 2.2
        row[ALPHA], row[GLOSS], row[SHARPNESS], row[GLOW] = 1.0, self.gloss, self.sharpness, self.glow
        row[MIRROR], row[GRIME], row[THIN], row[CUTOUT] = (
            self.mirror,
            self.grime,
            self.thin,
            float(self.cutout),
        )
        rows = bank().rows[self.picture] if self.picture else [-1]
        row[TEXTURE] = rows[self.copy % len(rows)]
        return row


@dataclass
class Mesh:
    """Triangles with a paint each.

    Corners (T, 3, 3), shade (T, 3, 3) int16, uv (T, 3, 2), material (T,) into `paints`.

    `dressed` is the model of the furniture library that the paints come from, with its own pictures, or None.
    """

    corners: np.ndarray
    shade: np.ndarray
    uv: np.ndarray
    material: np.ndarray
    paints: tuple[Paint, ...]
    dressed: Model | None = None

    def painted(self, **paints: Paint) -> "Mesh":
        """Another look: `p3=...` gives the paint number 3."""
        changed = list(self.paints)
        for key, paint in paints.items():
            changed[int(key[1:])] = paint
        return replace(self, paints=tuple(changed))

    @property
    def size(self) -> np.ndarray:
        """Width, depth and height of its box."""
        return np.ptp(self.corners.reshape(-1, 3), axis=0)


@dataclass
class Shape:
    """A mesh in the making, in its own frame: x right, y to the back, z up, metres."""

    quads: list[np.ndarray] = field(default_factory=list)
    uvs: list[np.ndarray] = field(default_factory=list)
    materials: list[np.ndarray] = field(default_factory=list)
    paints: list[Paint] = field(default_factory=list)

    def paint(self, paint: Paint) -> int:
        """The number of a paint."""
        if paint not in self.paints:
            self.paints.append(paint)
        return self.paints.index(paint)

    def add(self, quads: ArrayLike, material: int | np.ndarray, uv: np.ndarray | None = None) -> None:
        """Quads (N, 4, 3), corners in turn. Without `uv` (N, 4, 2) a picture covers each quad once."""
        quads = np.asarray(quads, float).reshape(-1, 4, 3)
        if uv is None:
            uv = np.broadcast_to(
                np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]), (len(quads), 4, 2)
            )
        self.quads.append(quads)
        self.uvs.append(np.asarray(uv, float).reshape(-1, 4, 2))
        self.materials.append(np.broadcast_to(material, len(quads)))

    def flat(self, quads: ArrayLike, material: int | np.ndarray, metres: float, shift: float = 0.0) -> None:
        """Quads whose picture spans so many metres, by the lengths of the first corner's edges."""
        quads = np.asarray(quads, float).reshape(-1, 4, 3)
        w = np.linalg.norm(quads[:, 1] - quads[:, 0], axis=1) / metres
        h = np.linalg.norm(quads[:, 3] - quads[:, 0], axis=1) / metres
        zero = np.zeros_like(w)
        uv = np.stack(
            [
                np.stack([zero, zero], -1),
                np.stack([w, zero], -1),
                np.stack([w, h], -1),
                np.stack([zero, h], -1),
            ],
            1,
        )
        self.add(quads, material, uv + shift)

    def boxes(self, low: ArrayLike, high: ArrayLike, material: int | np.ndarray, metres: float = 1.0) -> None:
        """Upright boxes (N, 3) to (N, 3), without their undersides."""
        low, high = np.asarray(low, float).reshape(-1, 3), np.asarray(high, float).reshape(-1, 3)
        (x0, y0, z0), (x1, y1, z1) = low.T, high.T
        for a, b, c, d in (
            ((x0, y0, z0), (x1, y0, z0), (x1, y0, z1), (x0, y0, z1)),
            ((x1, y0, z0), (x1, y1, z0), (x1, y1, z1), (x1, y0, z1)),
            ((x1, y1, z0), (x0, y1, z0), (x0, y1, z1), (x1, y1, z1)),
            ((x0, y1, z0), (x0, y0, z0), (x0, y0, z1), (x0, y1, z1)),
            ((x0, y0, z1), (x1, y0, z1), (x1, y1, z1), (x0, y1, z1)),
        ):
            self.flat(np.stack([np.stack(p, -1) for p in (a, b, c, d)], 1), material, metres)

    def tubes(
        self,
        bottoms: ArrayLike,
        tops: ArrayLike,
        radius: ArrayLike,
        end: ArrayLike,
        material: int,
        sides: int = 8,
    ) -> None:
        """Open round bars (N, 3) to (N, 3), their radii (N,) at both ends."""
        bottoms, tops = np.asarray(bottoms, float).reshape(-1, 3), np.asarray(tops, float).reshape(-1, 3)
        n = len(bottoms)
        radius, end = (
            np.broadcast_to(np.asarray(radius, float), n),
            np.broadcast_to(np.asarray(end, float), n),
        )
        axis = tops - bottoms
        length = np.maximum(np.linalg.norm(axis, axis=1), 1e-9)
        axis = axis / length[:, None]
        other = np.where(abs(axis[:, 2:]) > 0.9, np.array([1.0, 0, 0]), np.array([0, 0, 1.0]))
        u = np.cross(axis, other)
        u /= np.linalg.norm(u, axis=1, keepdims=True)
        v = np.cross(axis, u)
        turn = 2 * np.pi * np.arange(sides + 1) / sides
        ring = np.cos(turn)[None, :, None] * u[:, None] + np.sin(turn)[None, :, None] * v[:, None]
        low, high = bottoms[:, None] + radius[:, None, None] * ring, tops[:, None] + end[:, None, None] * ring
        quads = np.stack([low[:, :-1], low[:, 1:], high[:, 1:], high[:, :-1]], 2).reshape(-1, 4, 3)
        s = np.arange(sides + 1) / sides
        uv = np.zeros((n, sides, 4, 2))
        uv[..., 0] = np.stack([s[:-1], s[1:], s[1:], s[:-1]], 1)[None]
        uv[..., 2:, 1] = length[:, None, None]
        self.add(quads, material, uv)

    def ball(
        self, center: Sequence[float], half: Sequence[float], material: int, rows: int = 6, sides: int = 10
    ) -> None:
        """An ellipsoid."""
        a, b = np.linspace(-0.5 * np.pi, 0.5 * np.pi, rows + 1), np.linspace(0, 2 * np.pi, sides + 1)
        grid = np.stack(
            [
                np.outer(np.cos(a), np.cos(b)),
                np.outer(np.cos(a), np.sin(b)),
                np.repeat(np.sin(a)[:, None], sides + 1, 1),
            ],
            -1,
        ) * np.asarray(half) + np.asarray(center)
        self.grid(grid, material)

    def grid(self, points: np.ndarray, material: int | np.ndarray, uv: np.ndarray | None = None) -> None:
        """A sheet of quads between points (R, C, 3), rows upwards; `uv` (R, C, 2)."""

        def quads(field: np.ndarray) -> np.ndarray:
            return np.stack([field[:-1, :-1], field[:-1, 1:], field[1:, 1:], field[1:, :-1]], 2).reshape(
                -1, 4, field.shape[-1]
            )

        self.add(quads(points), material, None if uv is None else quads(uv))

    def mesh(self, round_: bool = True) -> Mesh:
        """The triangles; `round_` smooths their light where they meet at less than a crease's angle."""
        quads, uv = np.concatenate(self.quads), np.concatenate(self.uvs)
        material = np.concatenate(self.materials)
        corners = np.stack([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]], 1).reshape(-1, 3, 3)
        spans = np.stack([uv[:, [0, 1, 2]], uv[:, [0, 2, 3]]], 1).reshape(-1, 3, 2)
        material = np.repeat(material, 2)
        area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
        kept = area > 1e-9
        corners, spans, material = corners[kept], spans[kept], material[kept]
        shade = np.zeros(corners.shape, np.int16)
        if round_:
            shade = np.rint(
                smooth(corners.reshape(-1, 3), np.arange(3 * len(corners)).reshape(-1, 3)) * UNIT
            ).astype(np.int16)
        return Mesh(
            corners.astype(np.float32),
            shade,
            spans.astype(np.float32),
            material.astype(np.int32),
            tuple(self.paints),
        )


@dataclass
class Thing:
    """A mesh somewhere in the world. Countable unless its class is of the structure or `counts` is False."""

    mesh: Mesh
    class_name: str
    name: str
    x: float = 0.0
    y: float = 0.0
    z: float = 0.0
    yaw: float = 0.0
    scale: float = 1.0
    color: str = "mixed"
    rgb: RGB = (128, 128, 128)
    material: str = ""
    counts: bool = True


def soup_of(things: list[Thing]) -> tuple[list[WorldObject], Soup]:
    """The objects of a world, numbered from 1 in the order given, and all its triangles."""
    rows: list[np.ndarray] = []
    known: dict[Paint, int] = {}
    dressed: dict[int, int] = {}
    extra: list[np.ndarray] = []
    table = list(bank().table)
    texels = bank().count
    corners, shade, uv, material, owner = [], [], [], [], []
    labels, numbers = [], []
    objects: list[WorldObject] = []
    for k, thing in enumerate(things):
        mesh = thing.mesh
        c, s = cos(thing.yaw), sin(thing.yaw)
        turn = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]], np.float32)
        placed = np.array([thing.x, thing.y, thing.z], np.float32)
        still = thing.yaw == 0.0
        points = mesh.corners if still else mesh.corners @ turn
        corners.append(points * np.float32(thing.scale) + placed)
        shade.append(mesh.shade if still else np.rint(mesh.shade.astype(np.float32) @ turn).astype(np.int16))
        uv.append(mesh.uv)
        if mesh.dressed is not None:
            model = mesh.dressed
            if id(model) not in dressed:
                dressed[id(model)] = len(rows)
                own = np.zeros((len(model.materials), STREET_COLUMNS), np.float32)
                own[:, : model.materials.shape[1]] = model.materials
                own[:, TEXTURE] = np.where(own[:, TEXTURE] >= 0, own[:, TEXTURE] + len(table), -1)
                rows += list(own)
                table += [(int(first) + texels, int(w), int(h)) for first, w, h in model.textures]
                extra.append(model.texels)
                texels += len(model.texels)
            material.append(mesh.material + dressed[id(model)])
        else:
            lookup = np.empty(len(mesh.paints), np.int32)
            for i, paint in enumerate(mesh.paints):
                if paint not in known:
                    known[paint] = len(rows)
                    rows.append(paint.row())
                lookup[i] = known[paint]
            material.append(lookup[mesh.material])
        owner.append(np.full(len(mesh.corners), k, np.int32))
        labels.append(CLASSES.index(thing.class_name) if thing.class_name in CLASSES else UNLABELLED)
        countable = thing.counts and thing.class_name not in STRUCTURE
        numbers.append(len(objects) + 1 if countable else 0)
        if countable:
            low, high = (
                mesh.corners.reshape(-1, 3).min(0) * thing.scale,
                mesh.corners.reshape(-1, 3).max(0) * thing.scale,
            )
            middle = 0.5 * (low + high) @ turn + placed
            objects.append(
                WorldObject(
                    len(objects) + 1,
                    thing.name,
                    thing.class_name,
                    thing.color,
                    thing.rgb,
                    triple(high - low),
                    triple(middle),
                    thing.material,
                )
            )
    materials = np.array(rows, np.float32)
    of = np.concatenate(material).astype(np.int32)
    clear = (materials[of, ALPHA] < 0.97) | (materials[of, CUTOUT] > 0.5)
    order = np.argsort(clear + (materials[of, ALPHA] < 0.97), kind="stable")
    return objects, Soup(
        np.concatenate(corners)[order],
        np.concatenate(shade)[order],
        np.concatenate(uv)[order],
        of[order],
        np.concatenate(owner)[order],
        materials,
        bank().with_(extra),
        np.array(table, np.int32),
        np.array(labels, np.uint8),
        np.array(numbers, np.uint16),
        int((~clear).sum()),
    )
