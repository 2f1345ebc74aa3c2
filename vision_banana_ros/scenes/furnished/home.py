# SPDX-License-Identifier: Apache-2.0
"""A furnished world under construction: its objects and free places, walls with openings, and lights."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import cos, pi, sin
from random import Random

import numpy as np

from vision_banana_ros.scenes import kernel, materials
from vision_banana_ros.scenes.furnished import finishes
from vision_banana_ros.scenes.furnished.library import Item, Library, Split, Surface
from vision_banana_ros.scenes.furnished.pieces import Finish, Flats, Piece, piece_of
from vision_banana_ros.scenes.materials import RGB
from vision_banana_ros.scenes.solids import Thing
from vision_banana_ros.scenes.worlds import Site, Wall, extent, overlap

THICK = 0.25
"""Thickness of walls, metres."""
GROUND = {"Grass": "grass", "Paving stone": "paving", "Pebbles": "gravel", "Stone tiles": "paving"}
FLOOR_WORDS = {"wood": "wood", "til": "tile", "marble": "tile", "stone": "stone"}


@dataclass
class Opening:
    """A hole in a wall: from, to along it, low and high edge."""

    start: float
    end: float
    low: float
    high: float


class Home(Site):
    """A site that is furnished with models of one split."""

    def __init__(
        self,
        rng: Random,
        library: Library,
        split: Split,
        kind: str,
        width: float,
        depth: float,
        height: float,
        edition: int = 2,
    ):
        super().__init__(rng, kind, width, depth)
        self.library, self.split, self.height, self.edition = library, split, height, edition
        self.flats = Flats()
        self.openings: dict[int, list[Opening]] = {}
        self.surfaces: dict[str, str] = {}
        self.loaded: dict[tuple[int, int], list[tuple[float, float, float, float, float]]] = {}

    # ---- choosing

    def pick(self, *roles: str, most: tuple[float, float, float] | None = None) -> Piece | None:
        """A model of one of the roles, no larger than `most`; None where the split has none."""
        w, d, h = most or (1e9, 1e9, self.height - 0.05)
        item = self.library.pick(
            self.rng, self.split, roles, lambda i: i.size_m[0] <= w and i.size_m[1] <= d and i.size_m[2] <= h
        )
        return piece_of(self.library, item) if item else None

    def again(self, piece: Piece) -> Piece:
        """Another one of the same model."""
        return replace(piece)

    def item(self, index: int) -> Item:
        """The model of the object with this index."""
        piece = self.placed[index].thing
        assert isinstance(piece, Piece) and piece.item is not None
        return piece.item

    # ---- placing; each returns the index of what it placed, or None

    def put(self, thing, x: float, y: float, yaw: float, z: float = 0.0, on: int = -1) -> int:  # type: ignore[no-untyped-def, override]
        """`on` is -1 for the floor."""
        return super().put(thing, x, y, yaw, z, on)

    def stand(self, *roles: str, square: float = 0.4, margin: float = 0.04) -> int | None:
        """Stand something free on the floor."""
        piece = self.pick(*roles)
        return self.scatter(piece, square=square, margin=margin) if piece else None

    def lean(self, thing: Thing, gap: float = 0.02) -> int | None:
        """Stand a thing with its back to a wall, if it is no higher than the room."""
        return super().lean(thing, gap) if extent(thing)[2] <= self.height else None

    def scatter(self, thing: Thing, tries: int = 12, margin: float = 0.03, square: float = 0.4) -> int | None:
        """Stand a thing somewhere free on the floor, if it is no higher than the room."""
        return super().scatter(thing, tries, margin, square) if extent(thing)[2] <= self.height else None

    def against(self, *roles: str, gap: float = 0.02) -> int | None:
        """Stand something with its back to a wall."""
        piece = self.pick(*roles)
        return self.lean(piece, gap) if piece else None

    def near(
        self, index: int, piece: Piece, side: int, gap: float, turn: float = 0.0, slide: float = 0.0
    ) -> int | None:
        """Stand a thing beside another.

        Side 0 in front of it, 1 right, 2 behind, 3 left, facing it or turned.
        """
        base = self.placed[index]
        w, d, _ = extent(base.thing)
        v, e, _ = extent(piece)
        yaw = base.yaw + (pi, -0.5 * pi, 0.0, 0.5 * pi)[side]
        ux, uy = ((0.0, -1.0), (1.0, 0.0), (0.0, 1.0), (-1.0, 0.0))[side]
        reach = (d if side % 2 == 0 else w) + gap + (e if abs(cos(turn)) > 0.5 else v)
        lx, ly = ux * reach + (slide if side % 2 == 0 else 0.0), uy * reach + (slide if side % 2 else 0.0)
        c, s = cos(base.yaw), sin(base.yaw)
        x, y, yaw = base.x + c * lx - s * ly, base.y + s * lx + c * ly, yaw + turn
        if not self.fits((x, y, v + 0.02, e + 0.02, yaw)):
            return None
        self.taken.append((x, y, v, e, yaw))
        return self.put(piece, x, y, yaw)

    def fix(
        self, piece: Piece, low: float, front: float = 1.0, hole: bool = False, solid: bool = True
    ) -> int | None:
        """Fix a thing to a wall, its lower edge at `low`, `front` of its depth before the wall.

        Maybe through it.
        """
        w, d, h = extent(piece)
        for k in self.rng.sample(range(len(self.walls)), len(self.walls)):
            wall = self.walls[k]
            s = wall.find(self.rng, w + 0.02)
            if s is None:
                continue
            x, y = wall.at(s, d * (2.0 * front - 1.0))
            spot = (*wall.at(s, d * front + 0.01), w, d * front + 0.01, wall.yaw)
            if solid and any(overlap(spot, other) for other in self.taken):
                continue
            wall.taken.append((s - w - 0.02, s + w + 0.02))
            if solid:
                self.taken.append(spot)
            if hole:
                self.openings.setdefault(k, []).append(Opening(s - w, s + w, low, low + h))
            return self.put(piece, x, y, wall.yaw, low)
        return None

    def load_on(
        self, index: int | None, roles: Sequence[str], count: int, upright: bool = False, best: bool = False
    ) -> list[int]:
        """Stand up to `count` small things on a thing, on its boards or on its top.

        `best` takes its largest place alone.
        """
        return self.lay_on(index, lambda head: self.pick(*roles, most=(1.2, 1.2, head)), count, upright, best)

    def lay_on(
        self,
        index: int | None,
        make: Callable[[float], Piece | None],
        count: int,
        upright: bool = False,
        best: bool = False,
    ) -> list[int]:
        """Stand up to `count` things on another, each made for the height that is free."""
        if index is None:
            return []
        under = self.placed[index]
        assert isinstance(under.thing, Piece) and under.thing.model is not None
        supports = under.thing.model.supports
        done: list[int] = []
        for _ in range(count):
            if not len(supports):
                break
            k = 0 if best else self.rng.randrange(len(supports))
            x0, y0, x1, y1, z, clearance = (float(v) for v in supports[k])
            head = min(clearance, self.height - under.z - z) - 0.03
            piece = make(head)
            if piece is None or extent(piece)[2] > head:
                continue
            w, d, _ = extent(piece)
            yaw = (
                self.rng.uniform(-0.3, 0.3)
                if upright or self.rng.random() < 0.5
                else self.rng.uniform(0, 2 * pi)
            )
            for _ in range(6):
                c, s = abs(cos(yaw)), abs(sin(yaw))
                rx, ry = 0.5 * (x1 - x0) - w * c - d * s, 0.5 * (y1 - y0) - w * s - d * c
                if rx < 0 or ry < 0:
                    yaw = self.rng.choice((0.0, 0.5 * pi)) if not upright else 0.0
                    continue
                x, y = (
                    0.5 * (x0 + x1) + self.rng.uniform(-rx, rx),
                    0.5 * (y0 + y1) + self.rng.uniform(-ry, ry),
                )
                if (place := self.set_on(index, piece, x, y, yaw, k)) is not None:
                    done.append(place)
                    break
        return done

    def set_on(self, index: int, piece: Piece, x: float, y: float, yaw: float, k: int = 0) -> int | None:
        """Stand a thing at a place, in its frame, of another one's support `k`.

        None where something stands already.
        """
        under = self.placed[index]
        assert isinstance(under.thing, Piece) and under.thing.model is not None
        w, d, _ = extent(piece)
        spot = (x, y, w + 0.005, d + 0.005, yaw)
        others = self.loaded.setdefault((index, k), [])
        if any(overlap(spot, other) for other in others):
            return None
        others.append(spot)
        c, s = cos(under.yaw), sin(under.yaw)
        z = under.z + float(under.thing.model.supports[k][4])
        return self.put(piece, under.x + c * x - s * y, under.y + s * x + c * y, under.yaw + yaw, z, index)

    def cover(self, *roles: str) -> int | None:
        """Lay something flat on the floor where nothing stands yet."""
        piece = self.pick(*roles, most=(0.8 * self.width, 0.8 * self.depth, 0.2))
        return self.scatter(piece, square=0.9) if piece else None


# ---------------------------------------------------------------- floor, walls, openings


def surfaces(library: Library, category: str, *, without: Iterable[str] = ()) -> list[Surface]:
    """The surface pictures of a category in the library, except those named in `without`."""
    return [s for s in library.surfaces if s.category == category and s.name not in without]


def tinted(rng: Random, low: int = 205) -> RGB:
    """A tint that changes a picture a little."""
    base = rng.randint(low, 255)
    r, g, b = (min(255, max(90, base + rng.randint(-16, 16))) for _ in range(3))
    return r, g, b


def floor_finish(rng: Random, library: Library, kind: str) -> Finish:
    """A random floor finish for a kind of room."""
    outdoor = kind == "yard"
    found = [s for s in surfaces(library, "Floor") if (s.name in GROUND) == outdoor]
    if kind in ("kitchen", "bathroom"):
        found = [s for s in found if "tile" in s.name.lower()] or found
    if rng.random() < 0.12 or not found:
        look = materials.ground_look(rng) if outdoor else materials.floor_look(rng, "room")
        return Finish(look.material, look.rgb, gloss=0.05)
    s = rng.choice(found)
    words = GROUND.get(s.name) or next(
        (word for key, word in FLOOR_WORDS.items() if key in s.name.lower()), "tile"
    )
    return Finish(
        words,
        tinted(rng, 190),
        s,
        rng.uniform(0.9, 1.8) * (2.5 if outdoor else 1.0),
        0.12 if words == "tile" else 0.06,
    )


def wall_finish(rng: Random, library: Library, kind: str) -> Finish:
    """A random wall finish for a kind of room."""
    found = surfaces(library, "Wall", without=("Box tree",))
    tiles = [s for s in found if "tile" in s.name.lower() or "Marble" in s.name]
    if kind in ("bathroom", "kitchen") and tiles and rng.random() < 0.6:
        return Finish("tile", tinted(rng), rng.choice(tiles), rng.uniform(1.0, 1.6), 0.15)
    if found and rng.random() < (0.75 if kind in ("yard", "workshop") else 0.3):
        s = rng.choice([s for s in found if s not in tiles] or found)
        word = "brick" if "brick" in s.name.lower() else "stone" if "Stone" in s.name else "paint"
        return Finish(word, tinted(rng), s, rng.uniform(0.9, 1.7))
    look = materials.wall_look(rng, "room")
    tone = (
        look.rgb
        if rng.random() < 0.75
        else materials.near(rng, materials.COLORS[rng.choice(materials.BRIGHT)])
    )
    r, g, b = ((2 * c + 200) // 3 for c in tone)
    return Finish("paint", (r, g, b))


def build_wall(home: Home, k: int, wall: Wall, height: float, finish: Finish, thick: float = THICK) -> None:
    """One wall with its openings: strips beside, under and over them, and the four sides of each hole."""
    along = np.array([cos(wall.yaw), sin(wall.yaw), 0.0])
    inward = np.array([sin(wall.yaw), -cos(wall.yaw), 0.0])
    middle = np.array([wall.x, wall.y, 0.0])
    up = np.array([0.0, 0.0, 1.0])

    def panel(a: float, b: float, low: float, high: float) -> None:
        home.flats.add(
            "wall", finish, middle + a * along + low * up, (b - a) * along, (high - low) * up, (a, low)
        )

    start = -0.5 * wall.length
    for hole in sorted(home.openings.get(k, []), key=lambda o: o.start):
        panel(start, hole.start, 0.0, height)
        panel(hole.start, hole.end, 0.0, hole.low)
        panel(hole.start, hole.end, hole.high, height)
        for s in (hole.start, hole.end):
            home.flats.add(
                "wall",
                finish,
                middle + s * along + hole.low * up,
                -thick * inward,
                (hole.high - hole.low) * up,
            )
        for z in (hole.low, hole.high):
            home.flats.add(
                "wall",
                finish,
                middle + hole.start * along + z * up,
                (hole.end - hole.start) * along,
                -thick * inward,
            )
        start = hole.end
    panel(start, 0.5 * wall.length, 0.0, height)


def flat(home: Home, class_name: str, finish: Finish, width: float, depth: float, z: float) -> None:
    """A level rectangle around the origin."""
    corner = np.array([-0.5 * width, -0.5 * depth, z])
    home.flats.add(class_name, finish, corner, np.array([width, 0.0, 0.0]), np.array([0.0, depth, 0.0]))


def catalogue_finishes(home: Home) -> tuple[Finish, Finish, Finish, Finish]:
    """Floor, two walls and ceiling of the catalogue's pictures and plain paint."""
    rng, library, kind = home.rng, home.library, home.kind
    floor = floor_finish(rng, library, kind)
    wall, other = (wall_finish(rng, library, kind) for _ in range(2))
    return floor, wall, other, Finish("paint", materials.near(rng, (236, 236, 232)))


def enclose(home: Home) -> None:
    """Floor, ceiling and four walls with the openings that were made; what can be seen through them."""
    rng, library, w, d = home.rng, home.library, home.width, home.depth
    if home.edition > 1 and rng.random() < 0.85:
        floor = finishes.floor(rng, home.kind)
        wall, other = (finishes.wall(rng, home.kind, home.height) for _ in range(2))
        ceiling = finishes.ceiling(rng, home.kind)
    else:
        floor, wall, other, ceiling = catalogue_finishes(home)
    flat(home, "floor", floor, w, d, 0.0)
    flat(home, "ceiling", ceiling, w, d, home.height)
    accent = rng.random() < 0.3
    for k, stretch in enumerate(home.walls):
        build_wall(home, k, stretch, home.height, other if accent and k == 0 else wall)
    ground, below = floor_finish(rng, library, "yard"), -rng.choice((0.3, 0.3, 3.2))
    flat(home, "ground", ground, 120.0, 120.0, below)
    if home.edition > 1:
        neighbours(home, below)
    home.surfaces = {
        "floor": floor.material,
        "wall": wall.material,
        "ceiling": "paint",
        "ground": ground.material,
    }


def neighbours(home: Home, below: float) -> None:
    """What windows show: fronts of houses, and a tree."""
    rng = home.rng
    for k in rng.sample(range(4), 4):
        wall = home.walls[k]
        if k not in home.openings or rng.random() < 0.3:
            continue
        away, wide, high = rng.uniform(5.0, 25.0), rng.uniform(6.0, 30.0), rng.uniform(3.0, 12.0)
        x, y = wall.at(rng.uniform(-0.5, 0.5) * wide, -away)
        along = np.array([cos(wall.yaw), sin(wall.yaw), 0.0])
        corner = np.array([x, y, below]) - 0.5 * wide * along
        home.flats.add("wall", finishes.front(rng), corner, wide * along, np.array([0.0, 0.0, high]))
        if rng.random() < 0.25 and (tree := home.pick("tree", "hedge", "car", most=(9.0, 9.0, 12.0))):
            x, y = wall.at(rng.uniform(-3.0, 3.0), -rng.uniform(0.4, 0.9) * away - 2.0)
            home.put(tree, x, y, rng.uniform(0, 2 * pi), below)


def walls_around(home: Home) -> None:
    """Adds the walls around the room."""
    w, d = home.width, home.depth
    for k, (x, y, length) in enumerate(
        ((0.0, 0.5 * d, w), (-0.5 * w, 0.0, d), (0.0, -0.5 * d, w), (0.5 * w, 0.0, d))
    ):
        home.walls.append(Wall(x, y, k * 0.5 * pi, length))


def open_walls(home: Home, doors: int, windows: int, *, garage: bool = False) -> None:
    """Doors and windows in the walls."""
    for role, count in (("garage", int(garage)), ("door", doors), ("window", windows)):
        for _ in range(count):
            piece = home.pick(role, most=(4.5, 0.5, home.height - 0.1))
            if piece is None or piece.item is None:
                continue
            low = min(piece.item.elevation_m, home.height - piece.item.size_m[2] - 0.05)
            home.fix(piece, max(0.0, low), max(0.05, piece.item.wall_front), hole=True)


# ---------------------------------------------------------------- light


def light_up(home: Home) -> None:
    """Lamps under the ceiling, with the model of one where the split has it, and a sun that may shine in."""
    rng, height = home.rng, home.height
    warm = rng.uniform(0.0, 1.0)
    count = 1 if home.width * home.depth < 16 else 2
    piece = home.pick("ceiling", most=(1.5, 1.5, 0.9))
    power = rng.uniform(0.8, 1.5) * height * height / count
    for k in range(count):
        x, y = rng.uniform(-0.15, 0.15) * home.width, (k + 0.5) / count * home.depth - 0.5 * home.depth
        low = height - 0.08
        if piece is not None and piece.item is not None and rng.random() < 0.85:
            low = height - piece.item.size_m[2]
            home.put(home.again(piece), x, y, 0.0, low)
            low -= 0.06
        color = (1.0, 0.97 - 0.12 * warm, 0.92 - 0.3 * warm)
        home.lights.append(
            [kernel.LAMP, x, y, low, *(power * c for c in color), rng.choice((0.04, 0.1, 0.2))]
        )


MOST_LIGHTS = 4
"""What the renderer on graphics cards draws, and as many as sixteen rays in a square of pixels can tell
apart."""


def time_of_day(home: Home, air: np.ndarray) -> None:
    """Day and night inside.

    The lamps' share of the light, windows that shine, and how bright it is outside.
    """
    rng = home.rng
    openings = [
        (home.walls[k], hole)
        for k, holes in home.openings.items()
        for hole in holes
        if hole.low > 0.3 or hole.end - hole.start > 1.2
    ]
    suns = [light for light in home.lights if light[0] == kernel.SUN]
    lamps = [light for light in home.lights if light[0] != kernel.SUN]
    day = rng.random() < 0.7
    lit = rng.random() < (0.6 if day and openings else 1.0)
    outside = rng.uniform(1.0, 5.0) if day else rng.uniform(0.0, 0.05)
    air[kernel.ZENITH : kernel.HORIZON + 3] *= outside
    for k, name in enumerate(home.flats.classes):
        if name == "ground" or home.flats.finishes[k].material == "front":
            home.flats.finishes[k] = replace(home.flats.finishes[k], glow=0.15 * outside)
    color = 1.0 + rng.uniform(-1.0, 1.0) * np.array((-0.08, 0.0, 0.12))
    base = rng.uniform(0.06, 0.3) * (1.0 if lit or openings else 2.0)
    air[kernel.AMBIENT_UP : kernel.AMBIENT_UP + 3] = base * rng.uniform(0.7, 1.3) * color
    air[kernel.AMBIENT_DOWN : kernel.AMBIENT_DOWN + 3] = (
        base * rng.uniform(0.5, 1.2) * np.array((1.0, 0.95, 0.88))
    )
    share = rng.uniform(0.3, 1.0)
    for light in lamps:
        light[4:7] = [share * c for c in light[4:7]]
        light[7] = rng.choice((0.05, 0.2, 0.5)) if home.height < 3.5 else rng.uniform(0.3, 1.2)
    if finishes.sort_of(home.kind) in ("work", "hall"):
        panels(home, share if lit else 0.0)
    shining = []
    far = max(1.0, (min(home.width, home.depth) / 6.0) ** 2)
    for wall, hole in rng.sample(openings, len(openings)) if day else []:
        x, y = wall.at(0.5 * (hole.start + hole.end), 0.25)
        area = (hole.end - hole.start) * (hole.high - hole.low)
        power = min(6.0 * far, outside * area * rng.uniform(0.4, 0.9))
        shining.append([kernel.LAMP, x, y, 0.5 * (hole.low + hole.high), *(power * color), 0.2])
    kept = (lamps if lit else []) + (suns if day else [])
    home.lights = (kept + shining)[:MOST_LIGHTS] if rng.random() < 0.5 else (shining[:2] + kept)[:MOST_LIGHTS]


def panels(home: Home, share: float) -> None:
    """Rows of flat lamps under the ceiling, or hanging, that shine or do not."""
    rng = home.rng
    wide, long = rng.choice(((0.6, 0.6), (0.3, 1.2), (0.12, 1.5), (0.08, 1.2), (0.5, 0.5)))
    step = rng.uniform(2.0, 3.6) * max(1.0, home.height / 4)
    low = home.height - (
        0.02 if home.height < 3.5 or rng.random() < 0.3 else rng.uniform(0.2, 0.35) * home.height
    )
    tone = Finish("light", (255, 250, 240), glow=share * rng.uniform(0.8, 2.5))
    across = rng.random() < 0.5
    columns, rows = max(1, int(home.width / step)), max(1, int(home.depth / step))
    for i in range(min(columns, 9)):
        for k in range(min(rows, 9)):
            x, y = ((i + 0.5) / columns - 0.5) * home.width, ((k + 0.5) / rows - 0.5) * home.depth
            a, b = (long, wide) if across else (wide, long)
            home.flats.add(
                "ceiling",
                tone,
                np.array([x - a / 2, y - b / 2, low]),
                np.array([a, 0.0, 0.0]),
                np.array([0.0, b, 0.0]),
            )
