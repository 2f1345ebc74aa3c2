# SPDX-License-Identifier: Apache-2.0
"""Whole furnished worlds, drawn from a seed: rooms for living in and yards, where nothing floats or interpenetrates.

World frame: x, y on the floor, z up, metres; the floor is z = 0 and the origin lies in its middle. A model's role (see
`naming.py`) says where it can go: what leans on walls, what stands around tables, what lies on them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import cos, pi, sin
from pathlib import Path
from random import Random

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.scenes import kernel, materials
from vision_banana_ros.scenes.furnished import finishes
from vision_banana_ros.scenes.furnished.embree import EmbreeCaster
from vision_banana_ros.scenes.furnished.library import Item, Library, Split, Surface, default_folder, library_at
from vision_banana_ros.scenes.furnished.pieces import Finish, Flats, Piece, assemble, piece_of
from vision_banana_ros.scenes.materials import RGB
from vision_banana_ros.scenes.solids import World
from vision_banana_ros.scenes.worlds import Site, Wall, atmosphere, extent, overlap

KINDS = ("living room", "bedroom", "kitchen", "bathroom", "office", "workshop", "yard")
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
        self, rng: Random, library: Library, split: Split, kind: str, width: float, depth: float, height: float, edition: int = 2
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
        item = self.library.pick(self.rng, self.split, roles, lambda i: i.size_m[0] <= w and i.size_m[1] <= d and i.size_m[2] <= h)
        return piece_of(self.library, item) if item else None

    def again(self, piece: Piece) -> Piece:
        """Another one of the same model."""
        assert piece.item is not None
        return piece_of(self.library, piece.item)

    def item(self, index: int) -> Item:
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

    def against(self, *roles: str, gap: float = 0.02) -> int | None:
        """Stand something with its back to a wall."""
        piece = self.pick(*roles)
        return self.lean(piece, gap) if piece else None

    def near(self, index: int, piece: Piece, side: int, gap: float, turn: float = 0.0, slide: float = 0.0) -> int | None:
        """Stand a thing beside another: side 0 in front of it, 1 right, 2 behind, 3 left, facing it or turned."""
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

    def fix(self, piece: Piece, low: float, front: float = 1.0, hole: bool = False, solid: bool = True) -> int | None:
        """Fix a thing to a wall, its lower edge at `low`, `front` of its depth before the wall; maybe through it."""
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

    def load_on(self, index: int | None, roles: Sequence[str], count: int, upright: bool = False, best: bool = False) -> list[int]:
        """Stand up to `count` small things on a thing, on its boards or on its top; `best` takes its largest place alone."""
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
            piece = self.pick(*roles, most=(1.2, 1.2, head))
            if piece is None:
                continue
            w, d, _ = extent(piece)
            yaw = self.rng.uniform(-0.3, 0.3) if upright or self.rng.random() < 0.5 else self.rng.uniform(0, 2 * pi)
            for _ in range(6):
                c, s = abs(cos(yaw)), abs(sin(yaw))
                rx, ry = 0.5 * (x1 - x0) - w * c - d * s, 0.5 * (y1 - y0) - w * s - d * c
                if rx < 0 or ry < 0:
                    yaw = self.rng.choice((0.0, 0.5 * pi)) if not upright else 0.0
                    continue
                x, y = 0.5 * (x0 + x1) + self.rng.uniform(-rx, rx), 0.5 * (y0 + y1) + self.rng.uniform(-ry, ry)
                spot = (x, y, w + 0.005, d + 0.005, yaw)
                others = self.loaded.setdefault((index, k), [])
                if any(overlap(spot, other) for other in others):
                    continue
                others.append(spot)
                c, s = cos(under.yaw), sin(under.yaw)
                done.append(self.put(piece, under.x + c * x - s * y, under.y + s * x + c * y, under.yaw + yaw, under.z + z, index))
                break
        return done

    def cover(self, *roles: str) -> int | None:
        """Lay something flat on the floor where nothing stands yet."""
        piece = self.pick(*roles, most=(0.8 * self.width, 0.8 * self.depth, 0.2))
        return self.scatter(piece, square=0.9) if piece else None


# ---------------------------------------------------------------- floor, walls, openings


def surfaces(library: Library, category: str, *, without: Iterable[str] = ()) -> list[Surface]:
    return [s for s in library.surfaces if s.category == category and s.name not in without]


def tinted(rng: Random, low: int = 205) -> RGB:
    """A tint that changes a picture a little."""
    base = rng.randint(low, 255)
    r, g, b = (min(255, max(90, base + rng.randint(-16, 16))) for _ in range(3))
    return r, g, b


def floor_finish(rng: Random, library: Library, kind: str) -> Finish:
    outdoor = kind == "yard"
    found = [s for s in surfaces(library, "Floor") if (s.name in GROUND) == outdoor]
    if kind in ("kitchen", "bathroom"):
        found = [s for s in found if "tile" in s.name.lower()] or found
    if rng.random() < 0.12 or not found:
        look = materials.ground_look(rng) if outdoor else materials.floor_look(rng, "room")
        return Finish(look.material, look.rgb, gloss=0.05)
    s = rng.choice(found)
    words = GROUND.get(s.name) or next((word for key, word in FLOOR_WORDS.items() if key in s.name.lower()), "tile")
    return Finish(words, tinted(rng, 190), s, rng.uniform(0.9, 1.8) * (2.5 if outdoor else 1.0), 0.12 if words == "tile" else 0.06)


def wall_finish(rng: Random, library: Library, kind: str) -> Finish:
    found = surfaces(library, "Wall", without=("Box tree",))
    tiles = [s for s in found if "tile" in s.name.lower() or "Marble" in s.name]
    if kind in ("bathroom", "kitchen") and tiles and rng.random() < 0.6:
        return Finish("tile", tinted(rng), rng.choice(tiles), rng.uniform(1.0, 1.6), 0.15)
    if found and rng.random() < (0.75 if kind in ("yard", "workshop") else 0.3):
        s = rng.choice([s for s in found if s not in tiles] or found)
        word = "brick" if "brick" in s.name.lower() else "stone" if "Stone" in s.name else "paint"
        return Finish(word, tinted(rng), s, rng.uniform(0.9, 1.7))
    look = materials.wall_look(rng, "room")
    tone = look.rgb if rng.random() < 0.75 else materials.near(rng, materials.COLORS[rng.choice(materials.BRIGHT)])
    r, g, b = ((2 * c + 200) // 3 for c in tone)
    return Finish("paint", (r, g, b))


def build_wall(home: Home, k: int, wall: Wall, height: float, finish: Finish, thick: float = THICK) -> None:
    """One wall with its openings: strips beside, under and over them, and the four sides of each hole."""
    along = np.array([cos(wall.yaw), sin(wall.yaw), 0.0])
    inward = np.array([sin(wall.yaw), -cos(wall.yaw), 0.0])
    middle = np.array([wall.x, wall.y, 0.0])
    up = np.array([0.0, 0.0, 1.0])

    def panel(a: float, b: float, low: float, high: float) -> None:
        home.flats.add("wall", finish, middle + a * along + low * up, (b - a) * along, (high - low) * up, (a, low))

    start = -0.5 * wall.length
    for hole in sorted(home.openings.get(k, []), key=lambda o: o.start):
        panel(start, hole.start, 0.0, height)
        panel(hole.start, hole.end, 0.0, hole.low)
        panel(hole.start, hole.end, hole.high, height)
        for s in (hole.start, hole.end):
            home.flats.add("wall", finish, middle + s * along + hole.low * up, -thick * inward, (hole.high - hole.low) * up)
        for z in (hole.low, hole.high):
            home.flats.add("wall", finish, middle + hole.start * along + z * up, (hole.end - hole.start) * along, -thick * inward)
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
    ground = floor_finish(rng, library, "yard")
    flat(home, "ground", ground, 120.0, 120.0, -rng.choice((0.3, 0.3, 3.2)))
    home.surfaces = {"floor": floor.material, "wall": wall.material, "ceiling": "paint", "ground": ground.material}


def walls_around(home: Home) -> None:
    w, d = home.width, home.depth
    for k, (x, y, length) in enumerate(((0.0, 0.5 * d, w), (-0.5 * w, 0.0, d), (0.0, -0.5 * d, w), (0.5 * w, 0.0, d))):
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


# ---------------------------------------------------------------- what rooms hold


def decorate(home: Home, pictures: int = 2) -> None:
    """What hangs on walls and ceilings."""
    rng = home.rng
    for _ in range(rng.randint(0, pictures)):
        if piece := home.pick("picture", "wall small"):
            assert piece.item is not None
            home.fix(piece, min(max(0.3, piece.item.elevation_m), home.height - 0.6), solid=False)
    if rng.random() < 0.25 and (piece := home.pick("wall lamp", "wall high")):
        home.fix(piece, min(1.7, home.height - 0.7), solid=False)
    if rng.random() < 0.4:
        home.against("radiator", gap=0.03)


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
        home.lights.append([kernel.LAMP, x, y, low, *(power * c for c in color), rng.choice((0.04, 0.1, 0.2))])


MOST_LIGHTS = 4
"""What the renderer on graphics cards draws, and as many as sixteen rays in a square of pixels can tell apart."""


def time_of_day(home: Home, air: np.ndarray) -> None:
    """Day and night inside: the lamps' share of the light, windows that shine, and how bright it is outside."""
    rng = home.rng
    openings = [
        (home.walls[k], hole) for k, holes in home.openings.items() for hole in holes if hole.low > 0.3 or hole.end - hole.start > 1.2
    ]
    lamps = [light for light in home.lights if light[0] != kernel.SUN]
    others = [light for light in home.lights if light[0] == kernel.SUN]
    day = rng.random() < 0.7
    outside = rng.uniform(1.0, 5.0) if day else rng.uniform(0.0, 0.05)
    for first in (kernel.ZENITH, kernel.HORIZON):
        air[first : first + 3] *= outside
    lit = rng.random() < (0.6 if day and openings else 1.0)
    share = rng.uniform(0.3, 1.0) if lit else 0.0
    color = np.array((1.0, 1.0, 1.0)) + rng.uniform(-1.0, 1.0) * np.array((-0.08, 0.0, 0.12))
    base = rng.uniform(0.06, 0.3) * (1.0 if lit or openings else 2.0)
    air[kernel.AMBIENT_UP : kernel.AMBIENT_UP + 3] = base * rng.uniform(0.7, 1.3) * color
    air[kernel.AMBIENT_DOWN : kernel.AMBIENT_DOWN + 3] = base * rng.uniform(0.5, 1.2) * np.array((1.0, 0.95, 0.88))
    for light in lamps:
        light[4:7] = [share * c for c in light[4:7]]
        light[7] = rng.choice((0.05, 0.2, 0.5))
    shining = []
    for wall, hole in rng.sample(openings, len(openings)) if day else []:
        x, y = wall.at(0.5 * (hole.start + hole.end), 0.25)
        area = (hole.end - hole.start) * (hole.high - hole.low)
        power = min(6.0, outside * area * rng.uniform(0.4, 0.9))
        shining.append([kernel.LAMP, x, y, 0.5 * (hole.low + hole.high), *(power * color), 0.2])
    if not day:
        others = []
    kept = (lamps if lit else []) + others
    home.lights = (kept + shining)[:MOST_LIGHTS] if rng.random() < 0.5 else (shining[:2] + kept)[:MOST_LIGHTS]


def seat_around(home: Home, table: int | None, roles: tuple[str, ...], most: int) -> None:
    """Chairs of one model around a table."""
    piece = home.pick(*roles) if table is not None else None
    if piece is None or table is None:
        return
    rng = home.rng
    w, d, _ = home.item(table).size_m
    for side in rng.sample(range(4), rng.randint(1, 4)):
        length = w if side % 2 == 0 else d
        for slide in (-0.25 * length, 0.25 * length) if length > 1.3 else (0.0,):
            if (
                most > 0
                and home.near(table, home.again(piece), side, rng.uniform(-0.02, 0.2), rng.uniform(-0.2, 0.2), slide) is not None
            ):
                most -= 1


def dine(home: Home) -> None:
    """A table that is set, with chairs."""
    rng = home.rng
    table = home.stand("table", square=0.85)
    home.load_on(table, ("cup", "plate", "kitchen small", "food", "small", "plant"), rng.randint(1, 6), best=True)
    seat_around(home, table, ("chair",), rng.randint(2, 6))


def living_room(home: Home) -> None:
    rng = home.rng
    if rng.random() < 0.6:
        rug = home.pick("rug", most=(2.8, 2.8, 0.08))
        if rug:
            home.put(rug, rng.uniform(-0.3, 0.3), rng.uniform(-0.3, 0.3), rng.choice((0.0, 0.5 * pi)))
    if rng.random() < 0.35:
        home.against("fireplace", gap=0.0)
    sofa = home.against("sofa", gap=rng.uniform(0.03, 0.3))
    if sofa is not None and rng.random() < 0.7 and (low := home.pick("coffee table", "coffee table", "stool")):
        coffee = home.near(sofa, low, 0, rng.uniform(0.25, 0.5))
        home.load_on(coffee, ("cup", "small", "plant", "food"), rng.randint(0, 4), best=True)
    if sofa is not None and rng.random() < 0.5 and (seat := home.pick("armchair", "armchair", "floor lamp")):
        home.near(sofa, seat, rng.choice((1, 3)), rng.uniform(0.1, 0.4))
    stand = home.against("tv stand", "tv stand", "dresser")
    home.load_on(stand, ("tv", "media"), 1, upright=True, best=True)
    home.load_on(stand, ("small", "media", "plant"), rng.randint(0, 2), upright=True)
    for _ in range(rng.randint(1, 2)):
        home.load_on(
            home.against("bookcase", "bookcase", "wardrobe", "piano"), ("small", "toy", "office small", "plant"), 3, upright=True
        )
    if rng.random() < 0.6:
        dine(home)
    for role in rng.sample(("plant", "floor lamp", "pet", "person", "armchair", "toy floor", "floor", "bin", "stool", "play"), 4):
        home.stand(role)


def bedroom(home: Home) -> None:
    rng = home.rng
    bed = home.against("bed")
    for side in (1, 3):
        if bed is not None and rng.random() < 0.6 and (table := home.pick("bedside")):
            base = home.placed[bed]
            w, d, _ = extent(base.thing)
            v, e, _ = extent(table)
            lx, ly = (w + v + 0.06) * (1 if side == 1 else -1), d - e
            c, s = cos(base.yaw), sin(base.yaw)
            spot = (base.x + c * lx - s * ly, base.y + s * lx + c * ly, v, e, base.yaw)
            if home.fits(spot):
                home.taken.append(spot)
                place = home.put(table, spot[0], spot[1], base.yaw)
                home.load_on(place, ("table lamp", "table lamp", "small"), 2, best=True)
    if rng.random() < 0.3:
        home.load_on(bed, ("bedroom small", "toy", "pet"), rng.randint(1, 2), best=True)
    home.against("wardrobe")
    home.load_on(home.against("dresser", "bookcase", "bedroom wall"), ("small", "toy", "bedroom small"), 3, upright=True)
    if rng.random() < 0.5:
        desk = home.against("desk", gap=0.05)
        home.load_on(desk, ("laptop", "table lamp", "office small"), 3, best=True)
        if desk is not None and (chair := home.pick("chair")):
            home.near(desk, chair, 0, 0.02, rng.uniform(-0.4, 0.4))
    if rng.random() < 0.5:
        home.cover("rug")
    for role in rng.sample(
        ("crib", "toy floor", "plant", "pet", "person", "armchair", "child seat", "bin", "bedroom small", "ball"), 4
    ):
        home.stand(role)


def kitchen(home: Home) -> None:
    """Units in a row along a wall, cupboards over them, and a table."""
    rng = home.rng
    for wall in rng.sample(home.walls, 2):
        s, stop = -0.5 * wall.length + 0.02, 0.5 * wall.length - 0.05
        while s < stop - 0.5:
            piece = home.pick("kitchen unit", most=(1.3, 0.95, home.height - 0.1))
            if piece is None or piece.item is None:
                break
            w, d, h = piece.item.size_m
            at = s + 0.5 * w
            spot = (*wall.at(at, 0.5 * d + 0.01), 0.5 * w, 0.5 * d, wall.yaw)
            blocked = any(overlap(spot, other) for other in home.taken) or any(a < s + w and b > s for a, b in wall.taken)
            if s + w > stop or blocked:
                s += 0.15
                continue
            home.taken.append(spot)
            place = home.put(piece, spot[0], spot[1], wall.yaw)
            if h < 1.2:
                if rng.random() < 0.6:
                    home.load_on(place, ("kitchen small", "cup", "food", "plate"), rng.randint(1, 3), upright=True, best=True)
                upper = (
                    home.pick("kitchen upper", "kitchen upper", "kitchen hood", most=(w + 0.01, 0.5, 0.9))
                    if rng.random() < 0.6
                    else None
                )
                if upper is not None and upper.item is not None and 1.5 + upper.item.size_m[2] < home.height:
                    home.put(upper, *wall.at(at, 0.5 * upper.item.size_m[1] + 0.005), wall.yaw, 1.5)
            wall.taken.append((s, s + w))
            s += w + 0.005
        if rng.random() < 0.5:
            break
    if rng.random() < 0.4:
        island = home.stand("island", square=1.0, margin=0.6)
        home.load_on(island, ("kitchen small", "food", "cup", "plate"), rng.randint(1, 4), best=True)
        seat_around(home, island, ("bar stool",), 3)
    else:
        dine(home)
    for role in rng.sample(("bin", "person", "pet", "plant", "bar stool", "floor", "child seat"), 3):
        home.stand(role)


def bathroom(home: Home) -> None:
    rng = home.rng
    for roles in (("bathtub", "shower"), ("washbasin",), ("toilet",), ("kitchen unit",), ("toilet", "washbasin")):
        if rng.random() < (0.3 if roles == ("kitchen unit",) else 0.85) and (piece := home.pick(*roles)):
            assert piece.item is not None
            if roles == ("kitchen unit",) and piece.item.noun != "washing machine":
                continue
            low = piece.item.elevation_m
            place = home.fix(piece, low, front=1.0) if low > 0.2 else home.lean(piece, 0.005)
            home.load_on(place, ("bath small",), rng.randint(0, 2), best=True)
    home.load_on(home.against("wardrobe", "dresser", "bedside"), ("bath small", "small"), 3, upright=True)
    if rng.random() < 0.6:
        home.cover("rug")
    for role in rng.sample(("bath floor", "bin", "plant", "person", "bath floor", "stool", "pet"), 3):
        home.stand(role)


def office(home: Home) -> None:
    rng = home.rng
    for _ in range(rng.randint(1, 4)):
        free = rng.random() < 0.5
        desk = home.stand("desk", square=1.0) if free else home.against("desk", gap=0.03)
        home.load_on(desk, ("laptop", "laptop", "table lamp"), 1, upright=True, best=True)
        home.load_on(desk, ("office small", "cup", "small", "plant"), rng.randint(1, 4), best=True)
        if desk is not None and (chair := home.pick("chair")):
            home.near(desk, chair, 0, rng.uniform(0.0, 0.3), rng.uniform(-0.5, 0.5))
    for _ in range(rng.randint(1, 3)):
        home.load_on(home.against("bookcase", "office wall", "bookcase"), ("office small", "small", "plant"), 3, upright=True)
    if rng.random() < 0.4:
        dine(home)
    for role in rng.sample(("plant", "bin", "person", "person", "chair", "box", "floor", "stool"), 4):
        home.stand(role)


def workshop(home: Home) -> None:
    """A garage: vehicles, boxes, tools."""
    rng = home.rng
    if rng.random() < 0.6:
        home.stand("car", "car", "bicycle", square=0.9, margin=0.25)
    for _ in range(rng.randint(1, 3)):
        shelf = home.against("workshop", "bookcase", "wardrobe", "table")
        home.load_on(shelf, ("small", "yard small", "box", "toy"), 4, upright=True)
    for _ in range(rng.randint(4, 9)):
        place = home.stand("box", "box", "barrel", "pallet", "bicycle", "cone", "ball", "bin", "floor", "person", "gym", "toy floor")
        if place is not None and home.item(place).role in ("box", "pallet", "barrel") and rng.random() < 0.5:
            home.load_on(place, ("box", "ball", "small"), 1, best=True)


def yard(home: Home) -> None:
    rng = home.rng
    for roles, count in (
        (("car", "car", "car", "truck"), rng.randint(0, 3)), (("tree",), rng.randint(1, 4)), (("hedge",), rng.randint(0, 4)),
        (("bench",), rng.randint(0, 2)), (("bicycle",), rng.randint(0, 3)), (("person",), rng.randint(1, 4)),
        (("fence",), rng.randint(0, 3)), (("yard",), rng.randint(1, 4)), (("street lamp",), rng.randint(0, 1)),
    ):  # fmt: skip
        for _ in range(count):
            home.stand(*roles, square=0.6, margin=0.1)
    if rng.random() < 0.6:
        table = home.stand("yard table", "table", margin=0.5)
        home.load_on(table, ("cup", "food", "plate", "small"), rng.randint(0, 4), best=True)
        seat_around(home, table, ("yard seat",), 4)
    for _ in range(rng.randint(3, 9)):
        place = home.stand(
            "box",
            "barrel",
            "cone",
            "ball",
            "pallet",
            "pet",
            "pet yard",
            "animal",
            "yard small",
            "plant",
            "bin",
            "yard seat",
            "toy floor",
        )
        if place is not None and home.item(place).role in ("box", "pallet") and rng.random() < 0.5:
            home.load_on(place, ("box", "ball"), 1, best=True)


CLUTTER = {
    "living room": ("bookcase", "tv stand", "dresser", "piano", "plant", "armchair", "floor lamp", "wardrobe"),
    "bedroom": ("dresser", "bookcase", "wardrobe", "plant", "bedroom wall", "chair"),
    "kitchen": ("kitchen unit", "wardrobe", "bin", "plant", "bookcase"),
    "bathroom": ("washbasin", "wardrobe", "bath floor", "kitchen unit", "bin"),
    "office": ("bookcase", "office wall", "plant", "bin", "desk", "wardrobe", "piano"),
    "workshop": ("bookcase", "workshop", "box", "barrel", "bin", "wardrobe"),
}  # fmt: skip
"""What stands along the walls that are still empty."""


def clutter(home: Home) -> None:
    """More things along the walls, and smaller ones on them and on the floor: few rooms are tidy."""
    rng = home.rng
    for _ in range(rng.randint(1, 4)):
        place = home.against(*CLUTTER[home.kind], gap=rng.uniform(0.01, 0.1))
        home.load_on(place, ("small", "office small", "toy", "kitchen small", "plant"), rng.randint(0, 3), upright=True)
    for _ in range(round(home.width * home.depth * rng.uniform(0.05, 0.25))):
        place = home.stand(
            "chair", "stool", "box", "plant", "toy floor", "floor", "ball", "bin", "person", "pet", "bedroom small", "toy", "armchair"
        )
        if place is not None and home.item(place).role in ("box", "chair", "stool") and rng.random() < 0.3:
            home.load_on(place, ("small", "toy", "box", "bedroom small"), 1, best=True)


ROOMS: dict[str, tuple[Callable[[Home], None], tuple[float, float], tuple[float, float]]] = {
    "living room": (living_room, (3.6, 6.5), (4.0, 7.5)),
    "bedroom": (bedroom, (3.0, 4.8), (3.4, 5.5)),
    "kitchen": (kitchen, (2.8, 4.8), (3.2, 6.0)),
    "bathroom": (bathroom, (2.2, 3.4), (2.5, 4.0)),
    "office": (office, (3.6, 7.0), (4.0, 8.0)),
    "workshop": (workshop, (4.5, 7.0), (5.5, 8.0)),
}


def indoors(rng: Random, library: Library, split: Split, kind: str, edition: int) -> Home:
    fill, wide, deep = ROOMS[kind]
    home = Home(rng, library, split, kind, rng.uniform(*wide), rng.uniform(*deep), rng.uniform(2.4, 3.1), edition)
    walls_around(home)
    open_walls(home, rng.randint(1, 2), rng.randint(0, 3), garage=kind == "workshop")
    fill(home)
    clutter(home)
    decorate(home)
    enclose(home)
    light_up(home)
    return home


def outdoors(rng: Random, library: Library, split: Split, edition: int) -> Home:
    """Ground without end, houses with doors and windows on one or two sides."""
    home = Home(rng, library, split, "yard", rng.uniform(12.0, 24.0), rng.uniform(14.0, 28.0), 30.0, edition)
    walls_around(home)
    ground = floor_finish(rng, library, "yard")
    flat(home, "ground", ground, 240.0, 240.0, 0.0)
    finish = wall_finish(rng, library, "yard")
    for k in rng.sample(range(4), rng.randint(1, 2)):
        wall, height = home.walls[k], rng.choice((3.0, 5.6, 8.4))
        others, home.walls = home.walls, [wall]
        home.openings = {}
        for role, count in (("door", rng.randint(1, 2)), ("garage", rng.randint(0, 1)), ("window", rng.randint(1, 4))):
            for _ in range(count):
                if (piece := home.pick(role, most=(4.5, 0.6, 2.5))) and piece.item is not None:
                    home.fix(
                        piece,
                        min(piece.item.elevation_m, height - piece.item.size_m[2] - 0.1),
                        max(0.05, piece.item.wall_front),
                        hole=True,
                    )
        home.walls = others
        home.openings = {k: home.openings.get(0, [])}
        build_wall(home, k, wall, height, finish)
        # what windows show: a dark room behind the wall, and the top of the wall
        inward = np.array([sin(wall.yaw), -cos(wall.yaw), 0.0])
        along = np.array([cos(wall.yaw), sin(wall.yaw), 0.0])
        corner = np.array([wall.x, wall.y, 0.0]) - 0.5 * wall.length * along - 3.0 * inward
        dark = Finish("paint", (96, 92, 86))
        home.flats.add("wall", dark, corner, wall.length * along, np.array([0.0, 0.0, height]))
        home.flats.add("wall", finish, corner + (0, 0, height), wall.length * along, 3.0 * inward)
        for side in (corner, corner + wall.length * along):
            home.flats.add("wall", finish, side, 3.0 * inward, np.array([0.0, 0.0, height]))
    yard(home)
    home.surfaces = {"ground": ground.material, "wall": finish.material}
    return home


def make_furnished_world(
    seed: int, split: Split = "train", kind: str | None = None, folder: Path | None = None, edition: int = 2
) -> World:  # fmt: skip
    """The furnished world of a seed; the same catalogue gives the same world.

    :param split: "test" uses only models that are held out, "train" only the others.
    :param kind: one of `KINDS`; None draws it from the seed.
    :param folder: where `vision-banana scenes fetch` put the models; its own default if None.
    :param edition: 1 for the worlds that 0.1 was trained and measured on, 2 for those of today.
    :raises InputError: for an unknown kind or split, and where there are no models.
    """
    if kind is not None and kind not in KINDS:
        raise InputError(f"There is no kind of furnished world called {kind!r}; choose one of {', '.join(KINDS)}.")
    if split not in ("train", "test"):
        raise InputError(f"There is no split called {split!r}; choose 'train' or 'test'.")
    library = library_at(folder or default_folder())
    rng = Random(f"{seed} {split}")
    drawn = kind or rng.choices(KINDS, (4, 3, 3, 2, 3, 2, 4))[0]
    home = outdoors(rng, library, split, edition) if drawn == "yard" else indoors(rng, library, split, drawn, edition)
    # the sky and the air of the procedural scenes; inside, a sun that may shine through the windows
    air = atmosphere(home, home.height)
    if drawn != "yard" and rng.random() < 0.5:
        power = rng.uniform(1.0, 2.2)
        home.lights.append([kernel.SUN, *air[kernel.SUN_DIR : kernel.SUN_DIR + 3], power, 0.93 * power, 0.82 * power, 0.01])
    if drawn != "yard" and edition > 1:
        time_of_day(home, air)
    objects, soup = assemble(library, home.placed, home.flats)
    lights = np.array(home.lights).reshape(-1, kernel.LIGHT_COLUMNS)
    return World(
        seed, drawn, objects, prims=np.zeros((0, kernel.PRIM_COLUMNS)), groups=np.zeros((0, kernel.GROUP_COLUMNS)), lights=lights,
        air=air, free=home.free(), surfaces=home.surfaces, caster=EmbreeCaster(soup, lights, air),
        models=tuple(sorted({home.item(k).id for k in range(len(home.placed))})),
    )  # fmt: skip
