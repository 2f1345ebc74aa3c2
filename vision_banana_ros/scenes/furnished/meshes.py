# SPDX-License-Identifier: Apache-2.0
"""Procedural meshes of boxes, bars and lathed profiles with painted surfaces, to supplement the catalogue."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import cos, pi, sin

import numpy as np

from vision_banana_ros.scenes.furnished.library import Item
from vision_banana_ros.scenes.furnished.models import (
    ALPHA,
    COLOR,
    GLOSS,
    GLOW,
    MATERIAL_COLUMNS,
    SHARPNESS,
    SUPPORT_COLUMNS,
    TEXTURE,
    UNIT,
    color_names,
    smooth,
)
from vision_banana_ros.scenes.furnished.naming import UNLABELLED
from vision_banana_ros.scenes.furnished.pieces import Made, Piece
from vision_banana_ros.scenes.furnished.textures import Painted
from vision_banana_ros.scenes.materials import RGB, Look
from vision_banana_ros.scenes.solids import CLASSES

Point = Sequence[float]
SIDES = {  # the faces of a box by name: corners of the unit box in turn, seen from outside
    "front": (0, 1, 5, 4), "right": (1, 3, 7, 5), "back": (3, 2, 6, 7), "left": (2, 0, 4, 6),
    "top": (4, 5, 7, 6), "bottom": (2, 3, 1, 0),
}  # fmt: skip
CORNERS = np.array([(x, y, z) for z in (-0.5, 0.5) for y in (-0.5, 0.5) for x in (-0.5, 0.5)])


@dataclass(frozen=True)
class Paint:
    """A surface: its colour, or the tint of a picture of `textures.PAINTERS`.

    `span` metres of it, 0 for once a face.
    """

    rgb: RGB = (255, 255, 255)
    picture: str = ""
    number: int = 0
    span: float = 1.0
    gloss: float = 0.0
    sharpness: float = 40.0
    glow: float = 0.0
    alpha: float = 1.0

    def row(self) -> np.ndarray:
        """The paint as a row of numbers for the compiled code."""
        row = np.zeros(MATERIAL_COLUMNS, np.float32)
        row[COLOR : COLOR + 3] = (np.array(self.rgb) / 255.0) ** 2.2
        row[ALPHA], row[GLOSS], row[SHARPNESS], row[GLOW], row[TEXTURE] = (
            self.alpha,
            self.gloss,
            self.sharpness,
            self.glow,
            -1,
        )
        return row


def turned(yaw: float, tilt: float = 0.0) -> np.ndarray:
    """Rotation by `tilt` about x, then `yaw` about z."""
    c, s, d, t = cos(yaw), sin(yaw), cos(tilt), sin(tilt)
    return np.array([[c, -s * d, s * t], [s, c * d, -c * t], [0.0, t, d]])


@dataclass
class Shape:
    """A mesh in the making; x right, y to the back, z up, metres."""

    quads: list[np.ndarray] = field(default_factory=list)
    uvs: list[np.ndarray] = field(default_factory=list)
    materials: list[np.ndarray] = field(default_factory=list)
    paints: list[Paint] = field(default_factory=list)
    supports: list[tuple[float, ...]] = field(default_factory=list)

    def add(self, quads: np.ndarray, paint: Paint, uv: np.ndarray | None = None) -> "Shape":
        """Quads (N, 4, 3), corners in turn; a picture covers `paint.span` metres from each first corner."""
        quads = np.asarray(quads, float).reshape(-1, 4, 3)
        if uv is None:
            w = np.linalg.norm(quads[:, 1] - quads[:, 0], axis=1)
            h = np.linalg.norm(quads[:, 3] - quads[:, 0], axis=1)
            w, h = (w / paint.span, h / paint.span) if paint.span > 0 else (np.ones_like(w), np.ones_like(h))
            o = np.zeros_like(w)
            uv = np.stack([np.stack(p, -1) for p in ((o, o), (w, o), (w, h), (o, h))], 1)
        if paint not in self.paints:
            self.paints.append(paint)
        self.quads.append(quads)
        self.uvs.append(np.asarray(uv, float).reshape(-1, 4, 2))
        self.materials.append(np.full(len(quads), self.paints.index(paint)))
        return self

    def box(
        self, center: Point, size: Point, paint: Paint, yaw: float = 0.0, tilt: float = 0.0,
        **sides: Paint | None
    ) -> "Shape":  # fmt: skip
        """A box of full edges `size`; single sides (`front=...`) may have another paint, or None for none."""
        corners = (CORNERS * size) @ turned(yaw, tilt).T + center
        for name, of in SIDES.items():
            if (own := sides.get(name, paint)) is not None:
                self.add(corners[list(of)], own)
        return self

    def quad(self, corner: Point, right: Point, up: Point, paint: Paint) -> "Shape":
        """Adds a parallelogram with a corner and two edges, in metres."""
        a, r, u = (np.asarray(v, float) for v in (corner, right, up))
        return self.add(np.stack([a, a + r, a + r + u, a + u]), paint)

    def grid(self, points: np.ndarray, paint: Paint) -> "Shape":
        """A net (R, C, 3) of points.

        A picture is stretched over all of it, or spans `paint.span` metres of its rows.
        """
        rows, columns = points.shape[:2]
        quads = np.stack([points[:-1, :-1], points[:-1, 1:], points[1:, 1:], points[1:, :-1]], 2).reshape(
            -1, 4, 3
        )
        wide = high = 1.0
        if paint.span > 0:
            wide = max(
                1.0, round(float(np.linalg.norm(np.diff(points, axis=1), axis=2).sum(1).max()) / paint.span)
            )
            high = float(np.linalg.norm(np.diff(points, axis=0), axis=2).sum(0).max()) / paint.span
        s, t = np.meshgrid(np.linspace(0, wide, columns), np.linspace(0, high, rows))
        uv = np.stack([s, t], -1)
        return self.add(
            quads, paint, np.stack([uv[:-1, :-1], uv[:-1, 1:], uv[1:, 1:], uv[1:, :-1]], 2).reshape(-1, 4, 2)
        )

    def turn(
        self,
        profile: Sequence[tuple[float, float]],
        paint: Paint,
        at: Point = (0.0, 0.0, 0.0),
        sides: int = 16,
    ) -> "Shape":
        """A profile of (radius, height) from below, turned about the vertical through `at`."""
        angle = 2 * pi * np.arange(sides + 1) / sides
        ring = np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], -1)
        points = np.stack([r * ring + (0, 0, z) for r, z in profile]) + at
        return self.grid(points, paint)

    def bar(
        self, *points: Point, radius: float, paint: Paint, end: float | None = None, sides: int = 8
    ) -> "Shape":
        """A round bar along points, its radius running to `end`."""
        line = np.asarray(points, float)
        along = np.gradient(line, axis=0)
        along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
        other = np.where(abs(along[:, 2:]) > 0.9, np.array([1.0, 0, 0]), np.array([0, 0, 1.0]))
        u = np.cross(along, other)
        u /= np.maximum(np.linalg.norm(u, axis=1, keepdims=True), 1e-9)
        v = np.cross(along, u)
        angle = -2 * pi * np.arange(sides + 1) / sides
        r = np.linspace(radius, radius if end is None else end, len(line))[:, None, None]
        rings = line[:, None] + r * (
            np.cos(angle)[None, :, None] * u[:, None] + np.sin(angle)[None, :, None] * v[:, None]
        )
        closed = np.concatenate(
            [line[:1, None].repeat(sides + 1, 1), rings, line[-1:, None].repeat(sides + 1, 1)]
        )
        return self.grid(closed, paint)

    def ball(
        self,
        center: Point,
        half: Point | float,
        paint: Paint,
        square: float = 1.0,
        yaw: float = 0.0,
        tilt: float = 0.0,
        fine: int = 12,
    ) -> "Shape":
        """An ellipsoid; `square` below 1 makes it a rounded box, as cushions and bags are."""
        size = np.array((half, half, half) if isinstance(half, (int, float)) else half, float)
        lat, lon = np.meshgrid(
            np.linspace(-0.5 * pi, 0.5 * pi, fine // 2 + 2), np.linspace(0, 2 * pi, fine + 1), indexing="ij"
        )

        def soft(x: np.ndarray) -> np.ndarray:
            return np.asarray(np.sign(x) * abs(x) ** square)

        unit = np.stack(
            [soft(np.cos(lat)) * soft(np.cos(lon)), soft(np.cos(lat)) * soft(np.sin(lon)), soft(np.sin(lat))],
            -1,
        )
        return self.grid((unit * size) @ turned(yaw, tilt).T + center, paint)

    def place(self, x0: float, y0: float, x1: float, y1: float, z: float, clearance: float = 2.5) -> "Shape":
        """A level place where things can stand."""
        self.supports.append((x0, y0, x1, y1, z, clearance))
        return self

    def join(self, other: "Shape", at: Point = (0.0, 0.0, 0.0), yaw: float = 0.0) -> "Shape":
        """The other shape, moved and turned, becomes a part of this one."""
        rotation = turned(yaw)
        for quads, uv, materials in zip(other.quads, other.uvs, other.materials, strict=True):
            self.add(quads @ rotation.T + at, other.paints[int(materials[0])], uv)
        return self

    def piece(
        self,
        class_name: str,
        noun: str = "",
        look: Paint | None = None,
        material: str = "",
        back: bool = False,
    ) -> Piece:
        """The finished object, with its origin on the floor under the centre of its box.

        look: the material that names its colour; None for its first paint. back: keep y = 0, its back, as the
        origin, for objects on walls.
        """
        quads, uv, paint = (
            np.concatenate(self.quads),
            np.concatenate(self.uvs),
            np.concatenate(self.materials),
        )
        low, high = quads.min((0, 1)), quads.max((0, 1))
        middle = np.array([0.5 * (low[0] + high[0]), 0.5 * (low[1] + high[1]), low[2]])
        points = (quads - middle).reshape(-1, 3)
        first = np.arange(len(quads))[:, None] * 4
        faces = np.concatenate([first + (0, 1, 2), first + (0, 2, 3)], 1).reshape(-1, 3)
        uv = uv[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3, 2)
        a, b, c = (points[faces[:, k]] for k in range(3))
        whole = np.linalg.norm(np.cross(b - a, c - a), axis=1) > 1e-10
        faces = faces[whole]
        pictures: list[Painted] = []
        rows = []
        for p in self.paints:
            row = p.row()
            if p.picture:
                row[TEXTURE] = len(pictures)
                pictures.append(Painted(p.picture, p.number, (1.0, 1.0), small=True))
            rows.append(row)
        supports = np.array(self.supports, np.float32).reshape(-1, SUPPORT_COLUMNS)
        supports[:, [0, 2]] -= middle[0]
        supports[:, [1, 3]] -= middle[1]
        supports[:, 4] -= middle[2]
        model = Made(
            points.astype(np.float32), faces.astype(np.int32),
            np.rint(smooth(points, faces) * UNIT).astype(np.int16),
            uv[whole].astype(np.float32), paint.repeat(2)[whole].astype(np.int16), np.stack(rows),
            np.zeros((0, 4), np.uint8),
            np.zeros((0, 3), np.int32), supports, tuple(pictures),
        )  # fmt: skip
        shown = look or self.paints[0]
        rgb = shown.rgb if not shown.picture else mean_color(shown)
        color = (
            str(color_names(np.array([rgb], float))[0]) if class_name not in ("person", "plant") else "mixed"
        )
        w, d, h = (float(v) for v in high - low)
        label = CLASSES.index(class_name) if class_name in CLASSES else UNLABELLED
        noun = noun or class_name
        item = Item(
            "made here", noun, noun, class_name, label, "made", "", (w, d, h), 0.0, 0.0, color, rgb, material,
            len(faces), False,
            "", "", "", "", "",
        )  # fmt: skip
        worn = Look(material, color, rgb, rgb)
        piece = Piece(class_name, noun, look=worn, item=item, model=model)
        piece.box((0.0, 0.0, 0.5 * h), (w, d, h), worn)
        return piece


def mean_color(paint: Paint) -> RGB:
    """What a painted surface's colour is on average: its picture's smallest mip level, tinted."""
    texels = Painted(paint.picture, paint.number, (1.0, 1.0), small=True).texels()[0]
    r, g, b = (
        int(round(255 * ((t / 255.0) ** 2.2 * (c / 255.0) ** 2.2) ** (1 / 2.2)))
        for t, c in zip(texels[-1, :3], paint.rgb, strict=True)
    )
    return r, g, b


def tinted(paint: Paint, rgb: RGB) -> Paint:
    """The paint multiplied by a colour."""
    return replace(paint, rgb=rgb)
