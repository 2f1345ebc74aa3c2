# SPDX-License-Identifier: Apache-2.0
"""Workplaces: halls, stores, corridors, laboratories, offices, class rooms and lobbies, up to 30 m long."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, pi, sin
from random import Random

from vision_banana_ros.scenes import kernel
from vision_banana_ros.scenes.furnished import made
from vision_banana_ros.scenes.furnished.home import Home, enclose, walls_around
from vision_banana_ros.scenes.furnished.library import Library, Split
from vision_banana_ros.scenes.furnished.pieces import Piece
from vision_banana_ros.scenes.worlds import extent

Maker = Callable[[Random], Piece]
Range = tuple[float, float]
SMALL: tuple[Maker, ...] = (
    made.cup,
    made.cup,
    made.bottle,
    made.books,
    made.books,
    made.paper,
    made.keyboard,
    made.ball,
)
LOOSE: tuple[Maker, ...] = (
    made.box, made.box, made.box, made.bag, made.bin_, made.cone, made.ball, made.barrel, made.cable,
    made.cable, made.pallet,
    made.trolley, made.tripod, made.ladder, made.extinguisher, made.plant, made.chair, made.computer,
)  # fmt: skip


def floor_thing(home: Home, make: Maker, square: float = 0.4, margin: float = 0.05) -> int | None:
    """Stand something made here free on the floor."""
    return home.scatter(make(home.rng), square=square, margin=margin)


def either(home: Home, make: Maker, *roles: str) -> Piece:
    """A catalogue's model or one made here."""
    piece = home.pick(*roles) if home.rng.random() < 0.5 else None
    return piece or make(home.rng)


def people(home: Home, most: int) -> None:
    """Adds up to `most` people."""
    for _ in range(home.rng.randint(0, most)):
        home.scatter(either(home, made.person, "person"), square=0.0)


def strew(home: Home, makers: Sequence[Maker], count: int) -> None:
    """Things here and there, sometimes with something on them."""
    for _ in range(count):
        place = floor_thing(home, home.rng.choice(makers))
        if place is not None and home.rng.random() < 0.4:
            home.lay_on(
                place,
                lambda head: home.rng.choice((made.box, made.bag, made.cup, made.books))(home.rng),
                1,
                best=True,
            )


RARE: tuple[Maker, ...] = (
    made.cone, made.cone, made.barrel, made.pallet, made.ball, made.box, made.trolley, made.ladder, made.bag,
    made.person,
)  # fmt: skip


def rarities(home: Home) -> None:
    """Anywhere: what belongs elsewhere, as robots meet it."""
    rng = home.rng
    if rng.random() < 0.5:
        strew(home, RARE, rng.randint(1, 3))
    if rng.random() < 0.2:
        home.lean(made.stairs(rng), 0.02)
    if rng.random() < 0.2:
        home.scatter(made.pane(rng, min(home.height, 3.0)), square=0.8)
    if rng.random() < 0.25:
        home.scatter(either(home, made.sofa, "sofa", "armchair"), square=0.6)


def cables(home: Home, most: int) -> None:
    """On the floor, under and between things: nothing keeps clear of a cable."""
    rng = home.rng
    for _ in range(rng.randint(0, most)):
        piece = made.cable(rng)
        w, d, _ = extent(piece)
        x, y = (max(0.0, 0.5 * size - half - 0.02) for size, half in ((home.width, w), (home.depth, d)))
        if x > 0 and y > 0:
            home.put(piece, rng.uniform(-x, x), rng.uniform(-y, y), 0.0)


def trim(home: Home, doors: int, share: float) -> None:
    """What is in and on the walls. `share`: of the walls' length with windows."""
    rng = home.rng
    for _ in range(doors):
        home.fix(made.door(rng), 0.0, 0.3, hole=True)
    low = rng.choice((0.0, 0.9, 0.9, 1.0)) if home.height < 3.6 else rng.choice((0.9, 0.5 * home.height))
    high = min(home.height - 0.15 - low, rng.uniform(0.9, 2.4))
    wide = rng.uniform(0.9, 3.5)
    for _ in range(round(share * 2 * (home.width + home.depth) / wide)):
        place = home.fix(made.window(rng, wide, high), low, 0.3, hole=True, solid=low < 0.5)
        if place is not None and low > 0.5 and rng.random() < 0.25:
            home.against("radiator")
        if place is not None and low < 1.2 and rng.random() < 0.25:
            at, cloth = home.placed[place], made.curtain(rng, min(home.height, low + high + 0.2))
            x, y = at.x + 0.12 * sin(at.yaw), at.y - 0.12 * cos(at.yaw)
            home.put(cloth, x, y, at.yaw, max(0.0, min(low - 0.15, home.height - 0.05 - extent(cloth)[2])))


def hang(home: Home, count: int) -> None:
    """Posters, boards, sockets, extinguishers, clocks."""
    rng = home.rng
    for _ in range(count):
        drawn = rng.random()
        if drawn < 0.45:
            home.fix(made.poster(rng), rng.uniform(0.9, 1.6), solid=False)
        elif drawn < 0.6:
            home.fix(made.socket(rng), rng.choice((0.2, 0.3, 1.1)), solid=False)
        elif drawn < 0.7:
            home.fix(made.extinguisher(rng), rng.uniform(0.1, 0.9))
        elif drawn < 0.8 and (piece := home.pick("wall small", "wall high", "picture")):
            assert piece.item is not None
            home.fix(piece, min(max(0.3, piece.item.elevation_m), home.height - 0.6), solid=False)
        elif drawn < 0.9:
            home.lean(made.radiator(rng), 0.03)
        else:
            home.fix(made.whiteboard(rng), rng.uniform(0.8, 1.0), solid=False)


def along_walls(home: Home, makers: Sequence[Maker], count: int) -> None:
    """Places `count` objects along the walls."""
    for _ in range(count):
        place = home.lean(home.rng.choice(makers)(home.rng), home.rng.uniform(0.01, 0.15))
        if place is not None:
            home.lay_on(
                place, lambda head: home.rng.choice(SMALL)(home.rng), home.rng.randint(0, 3), upright=True
            )


# ---------------------------------------------------------------- work places


def workplace(home: Home, desk: int, sitting: float = 0.25) -> None:
    """Screens, keyboard and clutter on a desk; a chair before it, somebody on it."""
    rng = home.rng
    thing = home.placed[desk].thing
    assert isinstance(thing, Piece) and thing.model is not None
    if len(thing.model.supports):
        x0, y0, x1, y1 = (float(v) for v in thing.model.supports[0][:4])
        if rng.random() < 0.75:
            screens = rng.choice((1, 1, 2)) if x1 - x0 > 1.2 else 1
            for k in range(screens):
                x = 0.5 * (x0 + x1) + (k - 0.5 * (screens - 1)) * 0.62 + rng.gauss(0, 0.05)
                home.set_on(desk, made.monitor(rng), x, y1 - 0.14 - rng.uniform(0, 0.08), rng.gauss(0, 0.1))
            home.set_on(
                desk, made.keyboard(rng), 0.5 * (x0 + x1), y0 + rng.uniform(0.14, 0.25), rng.gauss(0, 0.1)
            )
        elif rng.random() < 0.6:
            home.load_on(desk, ("laptop",), 1, upright=True, best=True)
        home.lay_on(desk, lambda head: rng.choice(SMALL)(rng), rng.randint(0, 7), best=True)
        if rng.random() < 0.4:
            home.load_on(desk, ("office small", "table lamp", "small", "plant"), rng.randint(1, 2), best=True)
    seat(home, desk, 0, sitting)
    if rng.random() < 0.3:
        piece = made.computer(rng)
        home.near(desk, piece, rng.choice((1, 3)), 0.03)


def seat(
    home: Home, table: int, side: int, sitting: float, slide: float = 0.0, piece: Piece | None = None
) -> None:
    """A chair at a table, maybe with somebody on it."""
    rng = home.rng
    chair = home.near(
        table,
        piece or either(home, made.chair, "chair"),
        side,
        rng.uniform(-0.02, 0.3),
        rng.gauss(0, 0.25),
        slide,
    )
    if chair is not None and rng.random() < sitting:
        at = home.placed[chair]
        home.put(made.person(rng, sitting=True), at.x, at.y, at.yaw, 0.0, chair)


def table_group(home: Home, sitting: float = 0.3) -> None:
    """A table with things on it and chairs around."""
    rng = home.rng
    table = home.scatter(either(home, made.table, "table", "desk"), square=0.8, margin=0.3)
    if table is None:
        return
    home.lay_on(
        table, lambda head: rng.choice((*SMALL, made.box, made.bag))(rng), rng.randint(0, 7), best=True
    )
    chair = either(home, made.chair, "chair")
    w, d = (2 * v for v in extent(home.placed[table].thing)[:2])
    for side in rng.sample(range(4), rng.randint(1, 4)):
        length = w if side % 2 == 0 else d
        for slide in (-0.25 * length, 0.25 * length) if length > 1.3 else (0.0,):
            if rng.random() < 0.85:
                seat(home, table, side, sitting, slide, home.again(chair))


def rows(home: Home, make: Maker, gap: Range, facing: float, most: int) -> list[int]:
    """One thing again and again in rows across the room, as desks and racks stand."""
    rng = home.rng
    first = make(rng)
    w, d, _ = (2 * v for v in extent(first))
    aisle, beside = rng.uniform(*gap), rng.choice((0.02, 0.02, 0.6))
    done: list[int] = []
    y = -0.5 * home.depth + 0.6 + rng.uniform(0, 0.8)
    while y + d < 0.5 * home.depth - 0.3 and len(done) < most:
        x = -0.5 * home.width + rng.uniform(0.4, 1.4)
        while x + w < 0.5 * home.width - 0.4 and len(done) < most:
            piece = home.again(first) if rng.random() < 0.7 else make(rng)
            v, e, _ = extent(piece)
            spot = (x + v, y + e, v, e, facing)
            if rng.random() < 0.85 and home.fits(spot):
                home.taken.append(spot)
                done.append(home.put(piece, spot[0], spot[1], facing))
            x += 2 * v + beside
        y += d + aisle
    return done


# ---------------------------------------------------------------- kinds


def hall(home: Home) -> None:
    """Large and rather empty: pillars, screens, what is being built or tested, sports."""
    rng = home.rng
    area = home.width * home.depth
    if rng.random() < 0.6:
        column, step = made.pillar(rng, home.height), rng.uniform(4.0, 8.0)
        for i in range(int(home.width / step)):
            for k in range(int(home.depth / step)):
                x, y = (i + 0.5) * step - 0.5 * home.width, (k + 0.5) * step - 0.5 * home.depth
                v, e, _ = extent(column)
                home.taken.append((x, y, v, e, 0.0))
                home.put(home.again(column), x, y, 0.0)
    for _ in range(rng.randint(0, 6)):
        screen = made.fence(rng, home.height)
        place = (
            home.scatter(screen, square=0.7)
            if rng.random() < 0.6
            else home.lean(screen, rng.uniform(0.1, 0.8))
        )
        if place is not None and rng.random() < 0.5:
            home.near(place, home.again(screen), rng.choice((1, 3)), 0.02)
    for _ in range(rng.randint(0, 3)):
        table_group(home)
    if rng.random() < 0.3:
        home.stand("car", "car", "bicycle", square=0.6, margin=0.2)
    if rng.random() < 0.5:
        home.lean(made.stairs(rng), 0.02)
    if rng.random() < 0.25:
        home.scatter(made.pane(rng, home.height), square=1.0)
    along_walls(
        home,
        (lambda r: made.rack(r, home.height - 0.3), made.cupboard, made.table, made.pallet, made.box),
        rng.randint(0, 8),
    )
    strew(home, LOOSE, round(area * rng.uniform(0.02, 0.16)))
    for _ in range(rng.randint(0, 3)):
        home.stand("gym", "play", "bench", "floor", "bicycle")


def warehouse(home: Home) -> None:
    """Furnishes a warehouse."""
    rng = home.rng
    rows(home, lambda r: made.rack(r, home.height - 0.3), (1.6, 3.2), rng.choice((0.0, pi)), 26)
    for _ in range(rng.randint(2, 9)):
        place = floor_thing(home, made.pallet, square=0.8)
        home.lay_on(place, lambda head: made.box(rng), rng.randint(0, 5), upright=True, best=True)
    if rng.random() < 0.4:
        home.stand("car", "truck", square=0.9)
    strew(
        home,
        (
            made.box,
            made.box,
            made.barrel,
            made.barrel,
            made.cone,
            made.trolley,
            made.ladder,
            made.bin_,
            made.pallet,
            made.cable,
        ),
        rng.randint(3, 16),
    )


def corridor(home: Home) -> None:
    """Furnishes a corridor."""
    rng = home.rng
    for _ in range(rng.randint(3, 8)):
        home.fix(made.door(rng), 0.0, 0.3, hole=True)
    if rng.random() < 0.5:
        home.lean(made.stairs(rng), 0.02)
    if rng.random() < 0.25:
        home.scatter(made.pane(rng, home.height), square=1.0)
    along_walls(
        home,
        (
            made.cupboard,
            made.chair,
            made.box,
            made.bin_,
            made.plant,
            made.table,
            made.sofa,
            lambda r: made.rack(r, 2.2),
            made.trolley,
        ),
        rng.randint(1, 8),
    )
    strew(
        home,
        (made.box, made.bag, made.cone, made.trolley, made.ladder, made.chair, made.ball, made.plant),
        rng.randint(0, 5),
    )


def open_office(home: Home) -> None:
    """Furnishes an open-plan office."""
    rng = home.rng
    facing = rng.choice((0.0, pi))
    for desk in rows(
        home,
        lambda r: either(home, made.desk, "desk") if r.random() < 0.3 else made.desk(r),
        (1.0, 1.8),
        facing,
        14,
    ):
        workplace(home, desk)
        if rng.random() < 0.15:
            home.near(desk, made.fence(rng, 1.6), 2, 0.05)
    along_walls(
        home,
        (made.cupboard, lambda r: made.rack(r, 2.2), made.table, made.plant, made.bin_, made.sofa),
        rng.randint(2, 8),
    )
    strew(
        home,
        (made.plant, made.bag, made.box, made.bin_, made.chair, made.chair, made.ball),
        rng.randint(2, 10),
    )


def laboratory(home: Home) -> None:
    """Desks and benches with computers and things half built, cables everywhere."""
    rng = home.rng
    for _ in range(rng.randint(2, 6)):
        piece = either(home, made.desk, "desk")
        desk = home.lean(piece, 0.03) if rng.random() < 0.6 else home.scatter(piece, square=0.9, margin=0.2)
        if desk is not None:
            workplace(home, desk)
    for _ in range(rng.randint(0, 3)):
        table_group(home, 0.2)
    along_walls(
        home, (made.cupboard, lambda r: made.rack(r, 2.2), made.rack, made.table, made.box), rng.randint(2, 7)
    )
    strew(home, LOOSE, rng.randint(3, 14))
    cables(home, 7)
    if rng.random() < 0.3:
        home.scatter(made.pane(rng, home.height), square=1.0)


def class_room(home: Home) -> None:
    """Furnishes a class room."""
    rng = home.rng
    home.fix(made.whiteboard(rng), 0.9, solid=False)
    sitting = rng.choice((0.0, 0.0, 0.3, 0.8))
    facing = rng.choice((0.0, pi))
    chair = either(home, made.chair, "chair")
    for table in rows(home, made.table, (0.8, 1.3), facing, 14):
        home.lay_on(table, lambda head: rng.choice(SMALL)(rng), rng.randint(0, 3), best=True)
        for slide in (-0.3, 0.3):
            seat(home, table, 0, sitting, slide, home.again(chair))
    strew(home, (made.bag, made.bag, made.plant, made.box, made.bin_, made.chair), rng.randint(2, 8))


def lobby(home: Home) -> None:
    """A place to wait: seats, plants, glass, a counter, stairs."""
    rng = home.rng
    for _ in range(rng.randint(1, 5)):
        sofa = home.scatter(either(home, made.sofa, "sofa", "armchair"), square=0.8, margin=0.3)
        if sofa is None:
            continue
        if rng.random() < 0.5:
            low = home.near(sofa, made.table(rng, (0.5, 1.1), (0.35, 0.5)), 0, rng.uniform(0.2, 0.5))
            home.lay_on(low, lambda head: rng.choice(SMALL)(rng), rng.randint(0, 4), best=True)
        if rng.random() < 0.5:
            home.near(sofa, either(home, made.sofa, "armchair"), rng.choice((1, 3)), rng.uniform(0.05, 0.4))
    for _ in range(rng.randint(0, 4)):
        table_group(home)
    for _ in range(rng.randint(0, 3)):
        home.scatter(made.pane(rng, home.height), square=0.9)
    if rng.random() < 0.6:
        home.lean(made.stairs(rng), 0.02)
    if rng.random() < 0.4:
        home.cover("rug")
    for _ in range(rng.randint(0, 2)):
        home.fix(made.mirror(rng), rng.uniform(0.05, 0.9), solid=False)
    strew(
        home,
        (made.plant, made.plant, made.plant, made.bin_, made.bag, made.chair, made.sofa),
        rng.randint(3, 12),
    )


@dataclass(frozen=True)
class Plan:
    """Metres from least to most, how often it is drawn, and how many people and windows there are."""

    fill: Callable[[Home], None]
    wide: Range
    deep: Range
    high: Range
    weight: float
    people: int
    windows: Range


HALLS: dict[str, Plan] = {
    "hall": Plan(hall, (8.0, 26.0), (8.0, 30.0), (3.2, 8.0), 5, 4, (0.0, 0.35)),
    "warehouse": Plan(warehouse, (8.0, 24.0), (10.0, 30.0), (3.5, 8.0), 3, 3, (0.0, 0.1)),
    "corridor": Plan(corridor, (1.7, 3.6), (7.0, 28.0), (2.4, 3.2), 3, 4, (0.0, 0.3)),
    "open-plan office": Plan(open_office, (6.0, 16.0), (7.0, 20.0), (2.5, 3.4), 4, 4, (0.05, 0.4)),
    "laboratory": Plan(laboratory, (5.0, 12.0), (5.0, 14.0), (2.5, 4.0), 4, 3, (0.0, 0.3)),
    "class room": Plan(class_room, (5.0, 10.0), (6.0, 12.0), (2.6, 3.4), 2, 3, (0.1, 0.4)),
    "lobby": Plan(lobby, (6.0, 18.0), (7.0, 20.0), (2.8, 6.0), 4, 6, (0.05, 0.5)),
}


def hall_of(rng: Random, library: Library, split: Split, kind: str) -> Home:
    """A furnished hall of a kind."""
    plan = HALLS[kind]
    home = Home(
        rng, library, split, kind, rng.uniform(*plan.wide), rng.uniform(*plan.deep), rng.uniform(*plan.high)
    )
    walls_around(home)
    trim(home, rng.randint(1, 3), rng.uniform(*plan.windows))
    plan.fill(home)
    people(home, plan.people)
    rarities(home)
    cables(home, 3)
    hang(home, rng.randint(0, 10))
    enclose(home)
    lamps(home)
    return home


def lamps(home: Home) -> None:
    """The light of all lamps together, from up to four places."""
    rng, height = home.rng, home.height
    columns, lines = (2 if size > 7 else 1 for size in (home.width, home.depth))
    warm, count = rng.uniform(-0.3, 0.8), columns * lines
    power = rng.uniform(0.6, 1.3) * (height * height + 0.05 * home.width * home.depth) / count**0.5
    for i in range(columns):
        for k in range(lines):
            x, y = ((i + 0.5) / columns - 0.5) * home.width, ((k + 0.5) / lines - 0.5) * home.depth
            color = (1.0, 0.97 - 0.1 * warm, 0.93 - 0.25 * warm)
            home.lights.append([kernel.LAMP, x, y, height - 0.4, *(power * c for c in color), 0.6])
