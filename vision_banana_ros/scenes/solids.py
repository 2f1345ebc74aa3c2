# SPDX-License-Identifier: Apache-2.0
"""Objects made of unit solids, and the arrays that the ray caster reads."""

from dataclasses import dataclass, field
from math import cos, sin
from typing import Protocol

import numpy as np

from vision_banana_ros.scenes import kernel
from vision_banana_ros.scenes.cameras import Camera
from vision_banana_ros.scenes.materials import RGB, Look
from vision_banana_ros.tasks.vocabulary import CLASSES

SKY = CLASSES.index("sky")
STRUCTURE = ("floor", "wall", "ceiling", "ground", "sky")
"""Surfaces that are no countable objects: their instance is 0."""

Vector = tuple[float, float, float]
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@dataclass
class Part:
    """One solid in its thing's frame.

    X right, y to the back, z up, origin on the floor under the middle, metres.
    """

    shape: int
    center: Vector
    half: Vector
    look: Look
    rotation: tuple[float, ...] = IDENTITY
    taper: float = 1.0


@dataclass
class Thing:
    """Parts that belong together: an object, or a piece of the structure."""

    class_name: str
    name: str = ""
    parts: list[Part] = field(default_factory=list)
    look: Look | None = None
    top: tuple[float, float, float] | None = None
    """Half width, half depth and height of the place where other things can stand, if it has one."""

    def box(self, center: Vector, size: Vector, look: Look, yaw: float = 0.0, tilt: float = 0.0) -> "Thing":
        """A box of a size (full edges), turned by `yaw` about z after `tilt` about x."""
        rotation = IDENTITY if yaw == 0.0 and tilt == 0.0 else turn(yaw, tilt)
        half = (0.5 * size[0], 0.5 * size[1], 0.5 * size[2])
        self.parts.append(Part(kernel.BOX, center, half, look, rotation))
        return self

    def ball(
        self, center: Vector, half: Vector | float, look: Look, yaw: float = 0.0, tilt: float = 0.0
    ) -> "Thing":
        """An ellipsoid with half axes `half`."""
        axes = (half, half, half) if isinstance(half, (int, float)) else half
        self.parts.append(Part(kernel.BALL, center, axes, look, turn(yaw, tilt)))
        return self

    def tube(
        self, bottom: Vector, top: Vector, radius: float, look: Look, end: float | None = None
    ) -> "Thing":
        """A round bar from `bottom` to `top`, its radius running to `end` (cones: 0)."""
        ax, ay, az = (b - a for a, b in zip(bottom, top, strict=True))
        length = (ax * ax + ay * ay + az * az) ** 0.5
        zx, zy, zz = ax / length, ay / length, az / length
        # any x axis across the bar will do
        if abs(zz) > 0.9:
            norm = (zz * zz + zx * zx) ** 0.5
            xx, xy, xz = zz / norm, 0.0, -zx / norm
        else:
            norm = (zx * zx + zy * zy) ** 0.5
            xx, xy, xz = -zy / norm, zx / norm, 0.0
        yx, yy, yz = zy * xz - zz * xy, zz * xx - zx * xz, zx * xy - zy * xx
        center = tuple(0.5 * (a + b) for a, b in zip(bottom, top, strict=True))
        taper = 1.0 if end is None else end / radius
        rotation = (xx, yx, zx, xy, yy, zy, xz, yz, zz)
        self.parts.append(
            Part(kernel.TUBE, center, (radius, radius, 0.5 * length), look, rotation, taper)  # type: ignore[arg-type]
        )
        return self


def turn(yaw: float, tilt: float = 0.0) -> tuple[float, ...]:
    """Rotation by `tilt` about x, then by `yaw` about z, row by row."""
    c, s, d, t = cos(yaw), sin(yaw), cos(tilt), sin(tilt)
    return (c, -s * d, s * t, s, c * d, -c * t, 0.0, t, d)


@dataclass(frozen=True)
class WorldObject:
    """A countable object.

    Sizes along its own width, depth and height; its centre in the world, z up, metres.
    """

    instance: int
    name: str
    class_name: str
    color: str
    rgb: RGB
    size_m: tuple[float, float, float]
    center: tuple[float, float, float]
    material: str
    on: int = 0
    """Instance of what it stands on; 0 for the floor."""

    @property
    def attributes(self) -> dict[str, str]:
        """The words that describe it."""
        return {"color": self.color, "material": self.material}


class Caster(Protocol):
    """Rays into a world that is not made of solids."""

    def glance(self, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
        """Depth (inf for sky) and instances, (H, W)."""

    def cast(self, camera: Camera, device: str = "cpu") -> tuple[np.ndarray, ...]:
        """Linear light, depth, normals, labels and instances of all pixels, as `views.View` has them."""


@dataclass
class World:
    """Everything that a picture of it needs. Arrays as `kernel.py` describes them."""

    seed: int
    kind: str
    objects: list[WorldObject]
    prims: np.ndarray
    groups: np.ndarray
    lights: np.ndarray
    air: np.ndarray
    free: np.ndarray
    """(N, 3): spots x, y on the floor where a camera can stand, and the radius free around them."""
    surfaces: dict[str, str]
    """What floor, walls, ceiling or ground are made of."""
    caster: Caster | None = None
    """Who casts rays into a world of models; None where the solids in `prims` are all there is."""
    models: tuple[str, ...] = ()
    """Ids of the models in it, for their authors' sake."""
    sunlit: bool = False
    """Whether the sky is far brighter than most of the ground, as cameras in streets find it."""


@dataclass
class Placed:
    """A thing with its place in the world."""

    thing: Thing
    x: float
    y: float
    z: float
    yaw: float
    on: int = 0
    casts: bool = True


def triple(values: np.ndarray) -> tuple[float, float, float]:
    """Three numbers as floats."""
    a, b, c = map(float, values)
    return a, b, c


def assemble(placed: list[Placed]) -> tuple[list[WorldObject], dict[str, np.ndarray]]:
    """The objects of a world and its arrays prims and groups."""
    looks: dict[int, int] = {}
    rows: list[tuple[float, ...]] = []
    n = sum(len(p.thing.parts) for p in placed)
    centers = np.empty((n, 3))
    halves = np.empty((n, 3))
    rotations = np.empty((n, 9))
    tapers = np.empty(n)
    owner = np.empty(n, int)
    shapes = np.empty(n, int)
    marks = np.empty((n, 2))
    look_of = np.empty(n, int)
    spans = np.empty((len(placed), 3), int)
    k = 0
    instance = 0
    numbers = []
    for i, p in enumerate(placed):
        label = CLASSES.index(p.thing.class_name)
        number = 0
        if p.thing.class_name not in STRUCTURE:
            instance += 1
            number = instance
        numbers.append(number)
        spans[i] = k, k + len(p.thing.parts), p.casts
        for part in p.thing.parts:
            material = looks.get(id(part.look))
            if material is None:
                material = looks[id(part.look)] = len(rows)
                rows.append(part.look.row())
            centers[k] = part.center
            halves[k] = part.half
            rotations[k] = part.rotation
            tapers[k] = part.taper
            owner[k] = i
            shapes[k] = part.shape
            marks[k] = label, number
            look_of[k] = material
            k += 1
    yaw = np.array([p.yaw for p in placed])
    place = np.array([(p.x, p.y, p.z) for p in placed])
    c, s = np.cos(yaw), np.sin(yaw)
    zero, one = np.zeros_like(c), np.ones_like(c)
    pose = np.stack([c, -s, zero, s, c, zero, zero, zero, one], -1).reshape(-1, 3, 3)[owner]
    local = rotations.reshape(-1, 3, 3)
    rotation = pose @ local
    center = np.einsum("nij,nj->ni", pose, centers) + place[owner]
    prims = np.empty((n, kernel.PRIM_COLUMNS))
    inverse = rotation.transpose(0, 2, 1) / halves[:, :, None]
    offset = -np.einsum("nij,nj->ni", inverse, center)
    prims[:, :12] = np.concatenate([inverse, offset[:, :, None]], 2).reshape(n, 12)
    prims[:, kernel.HALF : kernel.HALF + 3] = halves
    prims[:, kernel.TAPER] = tapers
    prims[:, kernel.BOUND : kernel.BOUND + 3] = center
    prims[:, kernel.SHAPE] = shapes
    prims[:, kernel.LABEL : kernel.INSTANCE + 1] = marks
    prims[:, kernel.PATTERN : kernel.SURFACE + 1] = np.array(rows)[look_of]
    prims[:, kernel.LOOK_SEED] = marks[:, 1] + 31 * look_of
    wide = np.where(shapes == kernel.TUBE, np.maximum(1.0, tapers), 1.0)
    tube = np.hypot(np.maximum(halves[:, 0], halves[:, 1]) * wide, halves[:, 2])
    prims[:, kernel.BOUND + 3] = np.choose(shapes, [np.linalg.norm(halves, axis=1), halves.max(1), tube])

    # the box of each thing in its own frame gives its size, its centre, and a sphere around it
    round_ = (shapes == kernel.BALL)[:, None]
    reach = halves * np.stack([wide, wide, np.ones(n)], -1)
    spread = np.where(
        round_,
        np.sqrt(np.einsum("nij,nj->ni", local**2, halves**2)),
        np.einsum("nij,nj->ni", abs(local), reach),
    )
    firsts = spans[:, 0]
    low = np.minimum.reduceat(centers - spread, firsts)
    high = np.maximum.reduceat(centers + spread, firsts)
    size = high - low
    middle = np.einsum("nij,nj->ni", pose[firsts], 0.5 * (low + high)) + place
    far = np.linalg.norm(center - middle[owner], axis=1) + prims[:, kernel.BOUND + 3]
    groups = np.concatenate([middle, np.maximum.reduceat(far, firsts)[:, None], spans], 1)

    objects = []
    for i, (p, number) in enumerate(zip(placed, numbers, strict=True)):
        if number:
            look = p.thing.look or p.thing.parts[0].look
            objects.append(
                WorldObject(
                    number,
                    p.thing.name or p.thing.class_name,
                    p.thing.class_name,
                    look.color,
                    look.rgb,
                    triple(size[i]),
                    triple(middle[i]),
                    look.material,
                    numbers[p.on] if p.on else 0,
                )  # fmt: skip
            )
    return objects, {"prims": prims, "groups": groups}
