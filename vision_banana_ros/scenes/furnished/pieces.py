# SPDX-License-Identifier: Apache-2.0
"""The parts of a furnished world: placed models, and flat walls, floors and grounds."""

from dataclasses import dataclass, field
from math import cos, sin

import numpy as np

from vision_banana_ros.scenes.furnished.library import Item, Library, Surface
from vision_banana_ros.scenes.furnished.models import (
    ALPHA,
    COLOR,
    CUTOUT,
    GLOSS,
    GLOW,
    MATERIAL_COLUMNS,
    SHARPNESS,
    TEXTURE,
    Model,
)
from vision_banana_ros.scenes.furnished.naming import UNLABELLED
from vision_banana_ros.scenes.furnished.shading import Soup
from vision_banana_ros.scenes.furnished.textures import Painted
from vision_banana_ros.scenes.materials import RGB, Look
from vision_banana_ros.scenes.solids import CLASSES, Placed, Thing, WorldObject


@dataclass
class Piece(Thing):
    """A model in the place of a thing's solids.

    They hold only its bounding box, by which a site finds room for it.
    """

    item: Item | None = None
    model: Model | None = None


@dataclass(frozen=True)
class Made(Model):
    """A model that was made here: TEXTURE counts its painted pictures instead of its own textures."""

    pictures: tuple[Painted, ...] = ()


def piece_of(library: Library, item: Item) -> Piece:
    """A model ready to be placed."""
    look = Look(item.material, item.color, item.rgb, item.rgb)
    piece = Piece(item.class_name, item.noun, look=look, item=item, model=library.model(item))
    w, d, h = item.size_m
    piece.box((0.0, 0.0, 0.5 * h), (w, d, h), look)
    return piece


@dataclass(frozen=True)
class Finish:
    """What a flat surface looks like.

    A picture, or paint where there is none, its tint, and what it is made of.
    """

    material: str
    tint: RGB
    surface: Surface | Painted | None = None
    scale: float = 1.0
    gloss: float = 0.0
    glow: float = 0.0
    """Own light, as a share of what white under full light shows."""


@dataclass
class Flats:
    """Flat rectangles of the structure."""

    corners: list[np.ndarray] = field(default_factory=list)
    uv: list[np.ndarray] = field(default_factory=list)
    finishes: list[Finish] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)

    def add(
        self, class_name: str, finish: Finish, corner: np.ndarray, right: np.ndarray, up: np.ndarray,
        at: tuple[float, float] = (0, 0)
    ) -> None:  # fmt: skip
        """A rectangle from its corner and two edges in metres.

        `at`, in metres, says where its picture begins.
        """
        w, h = np.linalg.norm(right), np.linalg.norm(up)
        if min(w, h) < 1e-4:
            return
        size = finish.surface.size_m if finish.surface else (1.0, 1.0)
        s, t = (
            np.array([a, a + n]) / (size[k] * finish.scale)
            for k, (a, n) in enumerate(zip(at, (w, h), strict=True))
        )
        a, b, c, d = corner, corner + right, corner + right + up, corner + up
        self.corners.append(np.array([[a, b, c], [a, c, d]]))
        self.uv.append(
            np.array([[[s[0], t[0]], [s[1], t[0]], [s[1], t[1]]], [[s[0], t[0]], [s[1], t[1]], [s[0], t[1]]]])
        )
        self.finishes.append(finish)
        self.classes.append(class_name)


def spin(yaw: float) -> np.ndarray:
    """Rotation about z."""
    c, s = cos(yaw), sin(yaw)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def assemble(library: Library, placed: list[Placed], flats: Flats) -> tuple[list[WorldObject], Soup]:
    """The objects of a world and all its triangles.

    Instances are numbered in the order of `placed`, from 1.
    """
    corners: list[np.ndarray] = []
    shade: list[np.ndarray] = []
    uv: list[np.ndarray] = []
    material: list[np.ndarray] = []
    owner: list[np.ndarray] = []
    dress = Wardrobe(library)
    labels, numbers = [], []
    objects = []
    for k, p in enumerate(placed):
        piece = p.thing
        assert isinstance(piece, Piece) and piece.model is not None and piece.item is not None
        model, item = piece.model, piece.item
        turn = spin(p.yaw)
        points = (model.points @ turn.T.astype(np.float32)) + np.array([p.x, p.y, p.z], np.float32)
        corners.append(points[model.faces])
        shade.append(np.rint(model.shade.astype(np.float32) @ turn.T.astype(np.float32)).astype(np.int16))
        uv.append(model.uv)
        material.append(model.material + dress.model(item, model))
        owner.append(np.full(len(model.faces), k, np.int32))
        labels.append(item.label)
        numbers.append(k + 1)
        middle = (p.x, p.y, p.z + 0.5 * item.size_m[2])
        objects.append(
            WorldObject(
                k + 1,
                item.noun,
                item.class_name,
                item.color,
                item.rgb,
                item.size_m,
                middle,
                item.material,
                p.on + 1 if p.on >= 0 else 0,
            )  # fmt: skip
        )
    for k, finish in enumerate(flats.finishes):
        corners.append(flats.corners[k].astype(np.float32))
        shade.append(np.zeros((2, 3, 3), np.int16))
        uv.append(flats.uv[k].astype(np.float32))
        material.append(np.full(2, dress.finish(finish)))
        owner.append(np.full(2, len(placed) + k, np.int32))
        name = flats.classes[k]
        labels.append(CLASSES.index(name) if name in CLASSES else UNLABELLED)
        numbers.append(0)
    rows, texels, textures = dress.arrays()
    of = np.concatenate(material).astype(np.int32)
    clear = (rows[of, ALPHA] < 0.97) | (rows[of, CUTOUT] > 0.5)
    order = np.argsort(clear + (rows[of, ALPHA] < 0.97), kind="stable")  # opaque, cut out, glass
    return objects, Soup(
        np.concatenate(corners)[order], np.concatenate(shade)[order], np.concatenate(uv)[order], of[order],
        np.concatenate(owner)[order], rows, texels, textures, np.array(labels, np.uint8),
        np.array(numbers, np.uint16),
        int((~clear).sum()),
    )  # fmt: skip


class Wardrobe:
    """The materials and textures of a world, each model's and each surface's once."""

    def __init__(self, library: Library):
        self.library = library
        self.rows: list[np.ndarray] = []
        self.texels: list[np.ndarray] = []
        self.textures: list[tuple[int, int, int]] = []
        self.known: dict[object, int] = {}
        self.pictures: dict[str, int] = {}
        self.texel_count = self.row_count = 0

    def model(self, item: Item, model: Model) -> int:
        """The first row of a model's materials."""
        if isinstance(model, Made):
            rows = model.materials.copy()
            of = [self.picture(p) for p in model.pictures]
            rows[:, TEXTURE] = [of[int(k)] if k >= 0 else -1 for k in model.materials[:, TEXTURE]]
            return self._add(rows)
        if item.id not in self.known:
            rows = model.materials.copy()
            rows[:, TEXTURE] = np.where(rows[:, TEXTURE] >= 0, rows[:, TEXTURE] + len(self.textures), -1)
            self.textures += [
                (int(first) + self.texel_count, int(w), int(h)) for first, w, h in model.textures
            ]
            self.texels.append(model.texels)
            self.texel_count += len(model.texels)
            self.known[item.id] = self._add(rows)
        return self.known[item.id]

    def finish(self, finish: Finish) -> int:
        """The row of a flat surface's material."""
        if finish not in self.known:
            row = np.zeros((1, MATERIAL_COLUMNS), np.float32)
            row[0, COLOR : COLOR + 3] = (np.array(finish.tint) / 255.0) ** 2.2
            row[0, ALPHA], row[0, GLOSS], row[0, SHARPNESS], row[0, GLOW] = (
                1.0,
                finish.gloss,
                40.0,
                finish.glow,
            )
            row[0, TEXTURE] = -1
            if finish.surface is not None:
                row[0, TEXTURE] = self.picture(finish.surface)
            self.known[finish] = self._add(row)
        return self.known[finish]

    def picture(self, surface: Surface | Painted) -> int:
        """The row of a picture in the table of textures."""
        if surface.id not in self.pictures:
            texels, wide, high = (
                surface.texels() if isinstance(surface, Painted) else self.library.texels(surface)
            )
            self.pictures[surface.id] = len(self.textures)
            self.textures.append((self.texel_count, wide, high))
            self.texels.append(texels)
            self.texel_count += len(texels)
        return self.pictures[surface.id]

    def _add(self, rows: np.ndarray) -> int:
        first = self.row_count
        self.rows.append(rows)
        self.row_count += len(rows)
        return first

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """materials, texels, textures."""
        texels = np.concatenate(self.texels) if self.texels else np.zeros((0, 4), np.uint8)
        return np.concatenate(self.rows), texels, np.array(self.textures, np.int32).reshape(-1, 3)
