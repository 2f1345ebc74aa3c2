# SPDX-License-Identifier: Apache-2.0
"""Rooms for living in, and yards: what stands where in each kind.

A model's role (see `naming.py`) says where it can go.
"""

from collections.abc import Callable
from math import cos, pi, sin
from random import Random

import numpy as np

from vision_banana_ros.scenes.furnished import made
from vision_banana_ros.scenes.furnished.halls import (
    SMALL,
    cables,
    hang,
    rarities,
    strew,
    table_group,
    workplace,
)
from vision_banana_ros.scenes.furnished.home import (
    Home,
    build_wall,
    enclose,
    flat,
    floor_finish,
    light_up,
    open_walls,
    wall_finish,
    walls_around,
)  # fmt: skip
from vision_banana_ros.scenes.furnished.library import Library, Split
from vision_banana_ros.scenes.furnished.pieces import Finish
from vision_banana_ros.scenes.worlds import extent, overlap


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
                and home.near(
                    table, home.again(piece), side, rng.uniform(-0.02, 0.2), rng.uniform(-0.2, 0.2), slide
                )
                is not None
            ):
                most -= 1


def dine(home: Home) -> None:
    """A table that is set, with chairs."""
    rng = home.rng
    table = home.stand("table", square=0.85)
    home.load_on(
        table, ("cup", "plate", "kitchen small", "food", "small", "plant"), rng.randint(1, 6), best=True
    )
    seat_around(home, table, ("chair",), rng.randint(2, 6))


def living_room(home: Home) -> None:
    """Furnishes a living room."""
    rng = home.rng
    if rng.random() < 0.6:
        rug = home.pick("rug", most=(2.8, 2.8, 0.08))
        if rug:
            home.put(rug, rng.uniform(-0.3, 0.3), rng.uniform(-0.3, 0.3), rng.choice((0.0, 0.5 * pi)))
    if rng.random() < 0.35:
        home.against("fireplace", gap=0.0)
    sofa = home.against("sofa", gap=rng.uniform(0.03, 0.3))
    if (
        sofa is not None
        and rng.random() < 0.7
        and (low := home.pick("coffee table", "coffee table", "stool"))
    ):
        coffee = home.near(sofa, low, 0, rng.uniform(0.25, 0.5))
        home.load_on(coffee, ("cup", "small", "plant", "food"), rng.randint(0, 4), best=True)
    if sofa is not None and rng.random() < 0.5 and (seat := home.pick("armchair", "armchair", "floor lamp")):
        home.near(sofa, seat, rng.choice((1, 3)), rng.uniform(0.1, 0.4))
    stand = home.against("tv stand", "tv stand", "dresser")
    home.load_on(stand, ("tv", "media"), 1, upright=True, best=True)
    home.load_on(stand, ("small", "media", "plant"), rng.randint(0, 2), upright=True)
    for _ in range(rng.randint(1, 2)):
        home.load_on(
            home.against("bookcase", "bookcase", "wardrobe", "piano"),
            ("small", "toy", "office small", "plant"),
            3,
            upright=True,
        )
    if rng.random() < 0.6:
        dine(home)
    for role in rng.sample(
        ("plant", "floor lamp", "pet", "person", "armchair", "toy floor", "floor", "bin", "stool", "play"), 4
    ):
        home.stand(role)


def bedroom(home: Home) -> None:
    """Furnishes a bedroom."""
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
    home.load_on(
        home.against("dresser", "bookcase", "bedroom wall"),
        ("small", "toy", "bedroom small"),
        3,
        upright=True,
    )
    if rng.random() < 0.5:
        desk = home.against("desk", gap=0.05)
        home.load_on(desk, ("laptop", "table lamp", "office small"), 3, best=True)
        if desk is not None and (chair := home.pick("chair")):
            home.near(desk, chair, 0, 0.02, rng.uniform(-0.4, 0.4))
    if rng.random() < 0.5:
        home.cover("rug")
    for role in rng.sample(
        (
            "crib",
            "toy floor",
            "plant",
            "pet",
            "person",
            "armchair",
            "child seat",
            "bin",
            "bedroom small",
            "ball",
        ),
        4,
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
            blocked = any(overlap(spot, other) for other in home.taken) or any(
                a < s + w and b > s for a, b in wall.taken
            )
            if s + w > stop or blocked:
                s += 0.15
                continue
            home.taken.append(spot)
            place = home.put(piece, spot[0], spot[1], wall.yaw)
            if h < 1.2:
                if rng.random() < 0.6:
                    home.load_on(
                        place,
                        ("kitchen small", "cup", "food", "plate"),
                        rng.randint(1, 3),
                        upright=True,
                        best=True,
                    )
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
    """Furnishes a bathroom."""
    rng = home.rng
    for roles in (
        ("bathtub", "shower"),
        ("washbasin",),
        ("toilet",),
        ("kitchen unit",),
        ("toilet", "washbasin"),
    ):
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
    """Furnishes an office."""
    rng = home.rng
    for _ in range(rng.randint(1, 4)):
        free = rng.random() < 0.5
        desk = home.stand("desk", square=1.0) if free else home.against("desk", gap=0.03)
        home.load_on(desk, ("laptop", "laptop", "table lamp"), 1, upright=True, best=True)
        home.load_on(desk, ("office small", "cup", "small", "plant"), rng.randint(1, 4), best=True)
        if desk is not None and (chair := home.pick("chair")):
            home.near(desk, chair, 0, rng.uniform(0.0, 0.3), rng.uniform(-0.5, 0.5))
    for _ in range(rng.randint(1, 3)):
        home.load_on(
            home.against("bookcase", "office wall", "bookcase"),
            ("office small", "small", "plant"),
            3,
            upright=True,
        )
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
        place = home.stand(
            "box",
            "box",
            "barrel",
            "pallet",
            "bicycle",
            "cone",
            "ball",
            "bin",
            "floor",
            "person",
            "gym",
            "toy floor",
        )
        if place is not None and home.item(place).role in ("box", "pallet", "barrel") and rng.random() < 0.5:
            home.load_on(place, ("box", "ball", "small"), 1, best=True)


def yard(home: Home) -> None:
    """Furnishes a yard."""
    rng = home.rng
    for roles, count in (
        (("car", "car", "car", "truck"), rng.randint(0, 3)), (("tree",), rng.randint(1, 4)),
        (("hedge",), rng.randint(0, 4)),
        (("bench",), rng.randint(0, 2)), (("bicycle",), rng.randint(0, 3)), (("person",), rng.randint(1, 4)),
        (("fence",), rng.randint(0, 3)), (("yard",), rng.randint(1, 4)),
        (("street lamp",), rng.randint(0, 1)),
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
    "living room": ("bookcase", "tv stand", "dresser", "piano", "plant", "armchair", "floor lamp",
                    "wardrobe"),
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
        home.load_on(
            place, ("small", "office small", "toy", "kitchen small", "plant"), rng.randint(0, 3), upright=True
        )
    for _ in range(round(home.width * home.depth * rng.uniform(0.05, 0.25))):
        place = home.stand(
            "chair",
            "stool",
            "box",
            "plant",
            "toy floor",
            "floor",
            "ball",
            "bin",
            "person",
            "pet",
            "bedroom small",
            "toy",
            "armchair",
        )
        if place is not None and home.item(place).role in ("box", "chair", "stool") and rng.random() < 0.3:
            home.load_on(place, ("small", "toy", "box", "bedroom small"), 1, best=True)


STREWN = {
    "living room": (made.bag, made.ball, made.ball, made.box, made.plant, made.chair, made.table, made.cable,
                    made.sofa),
    "bedroom": (made.bag, made.ball, made.box, made.box, made.plant, made.chair, made.bin_),
    "kitchen": (made.bag, made.box, made.chair, made.plant, made.bin_, made.bottle, made.table),
    "bathroom": (made.bin_, made.plant, made.bag, made.bottle, made.box),
    "office": (made.bag, made.box, made.plant, made.chair, made.bin_, made.cable, made.computer,
               made.books, made.trolley),
    "workshop": (
        made.box, made.pallet, made.barrel, made.cone, made.cable, made.ladder, made.trolley, made.tripod,
        made.bin_, made.table,
        made.stairs, made.ball,
    ),
}  # fmt: skip


def lived_in(home: Home) -> None:
    """What was made here among the catalogue's models: on tables and shelves, floors and walls."""
    rng = home.rng
    tops = [
        k
        for k in range(len(home.placed))
        if home.item(k).class_name in ("table", "shelf") and home.placed[k].on < 0
    ]
    for k in rng.sample(tops, len(tops)):
        if rng.random() < 0.25 and home.item(k).noun == "desk":
            workplace(home, k, 0.2)
        home.lay_on(k, lambda head: rng.choice(SMALL)(rng), rng.choice((0, 0, 1, 2, 4)))
    if rng.random() < 0.35:
        table_group(home)
    strew(home, STREWN[home.kind], rng.randint(0, 5))
    for maker, chance in (
        (made.cupboard, 0.3),
        (made.sofa, 0.3 if home.kind == "living room" else 0.05),
        (made.stairs, 0.12),
    ):
        if rng.random() < chance:
            home.lean(maker(rng), rng.uniform(0.01, 0.1))
    if rng.random() < 0.4:
        home.lean(made.rack(rng, 2.2), rng.uniform(0.01, 0.05))
    if rng.random() < 0.35:
        home.fix(made.mirror(rng), rng.uniform(0.02, 0.9), solid=False)
    hang(home, rng.randint(0, 5))
    rarities(home)
    cables(home, 2)


ROOMS: dict[str, tuple[Callable[[Home], None], tuple[float, float], tuple[float, float]]] = {
    "living room": (living_room, (3.6, 6.5), (4.0, 7.5)),
    "bedroom": (bedroom, (3.0, 4.8), (3.4, 5.5)),
    "kitchen": (kitchen, (2.8, 4.8), (3.2, 6.0)),
    "bathroom": (bathroom, (2.2, 3.4), (2.5, 4.0)),
    "office": (office, (3.6, 7.0), (4.0, 8.0)),
    "workshop": (workshop, (4.5, 7.0), (5.5, 8.0)),
}


def indoors(rng: Random, library: Library, split: Split, kind: str, edition: int) -> Home:
    """A furnished room of a kind."""
    fill, wide, deep = ROOMS[kind]
    home = Home(
        rng, library, split, kind, rng.uniform(*wide), rng.uniform(*deep), rng.uniform(2.4, 3.1), edition
    )
    walls_around(home)
    open_walls(home, rng.randint(1, 2), rng.randint(0, 3), garage=kind == "workshop")
    fill(home)
    clutter(home)
    decorate(home)
    if edition > 1:
        lived_in(home)
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
        for role, count in (
            ("door", rng.randint(1, 2)),
            ("garage", rng.randint(0, 1)),
            ("window", rng.randint(1, 4)),
        ):
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
    if edition > 1:
        strew(
            home,
            (
                made.box,
                made.barrel,
                made.cone,
                made.pallet,
                made.ball,
                made.person,
                made.bag,
                made.bin_,
                made.trolley,
            ),
            rng.randint(0, 6),
        )
        rarities(home)
        cables(home, 2)
    home.surfaces = {"ground": ground.material, "wall": finish.material}
    return home
