# SPDX-License-Identifier: Apache-2.0
"""Which surfaces which rooms have: floors, walls, ceilings and what lies outside, of painted textures."""

from random import Random

from vision_banana_ros.scenes.furnished.pieces import Finish
from vision_banana_ros.scenes.furnished.textures import VARIANTS, Painted
from vision_banana_ros.scenes.materials import RGB

HOMELY = ("living room", "bedroom", "kitchen", "bathroom")
# kind of texture: its word, the metres that it spans (least, most), strength of the highlight (least, most)
FLOORS: dict[str, tuple[str, tuple[float, float], tuple[float, float]]] = {
    "carpet": ("carpet", (2.0, 4.0), (0.0, 0.0)),
    "parquet": ("wood", (1.6, 2.8), (0.02, 0.25)),
    "concrete": ("concrete", (3.0, 8.0), (0.0, 0.15)),
    "painted_floor": ("linoleum", (5.0, 12.0), (0.05, 0.3)),
    "tiles": ("tile", (1.6, 3.6), (0.05, 0.3)),
    "linoleum": ("linoleum", (2.0, 4.0), (0.03, 0.3)),
    "asphalt": ("asphalt", (3.0, 5.0), (0.0, 0.05)),
}
FLOORS_OF: dict[str, dict[str, float]] = {
    "home": {"parquet": 5, "carpet": 3, "tiles": 1.5, "linoleum": 1},
    "wet": {"tiles": 5, "linoleum": 2, "parquet": 1},
    "work": {"carpet": 4, "linoleum": 4, "parquet": 1.5, "tiles": 1, "concrete": 1.5},
    "hall": {"concrete": 6, "painted_floor": 3, "tiles": 1, "linoleum": 1, "parquet": 0.7, "asphalt": 0.4},
}
WALLS: dict[str, dict[str, float]] = {
    "home": {"plaster": 8, "wallpaper": 2, "bricks": 0.7, "panels": 0.4},
    "wet": {"tiles": 5, "plaster": 4},
    "work": {"plaster": 9, "panels": 1, "bricks": 1, "concrete": 0.4, "wallpaper": 0.5},
    "hall": {"plaster": 4, "concrete": 2.5, "panels": 3, "bricks": 2, "cloth": 1},
}
CEILINGS: dict[str, dict[str, float]] = {
    "home": {"plaster": 1},
    "wet": {"plaster": 1},
    "work": {"plaster": 2, "hanging_ceiling": 5, "concrete": 1},
    "hall": {"deck": 5, "concrete": 2, "hanging_ceiling": 1, "plaster": 1},
}
WORDS = {
    "plaster": "paint", "wallpaper": "wallpaper", "bricks": "brick", "panels": "panel", "tiles": "tile",
    "concrete": "concrete", "cloth": "fabric",
}  # fmt: skip


def sort_of(kind: str) -> str:
    """Which surfaces a kind of room has."""
    if kind in ("kitchen", "bathroom"):
        return "wet"
    if kind in ("living room", "bedroom"):
        return "home"
    return "hall" if kind in ("workshop", "hall", "warehouse") else "work"


def drawn(rng: Random, weights: dict[str, float]) -> str:
    """One of the names, drawn with the given weights."""
    return rng.choices(list(weights), list(weights.values()))[0]


def painted(rng: Random, kind: str, wide: float, high: float) -> Painted:
    """A painted surface of a kind, `wide` by `high` metres."""
    return Painted(kind, rng.randrange(VARIANTS), (wide, high))


def tint(rng: Random, least: int = 200) -> RGB:
    """A tint that makes two rooms with one texture differ."""
    base = rng.randint(least, 255)
    r, g, b = (min(255, base + rng.randint(-12, 12)) for _ in range(3))
    return r, g, b


def floor(rng: Random, kind: str) -> Finish:
    """A random floor finish for a kind of room."""
    name = drawn(rng, FLOORS_OF[sort_of(kind)])
    word, (least, most), gloss = FLOORS[name]
    size = rng.uniform(least, most)
    return Finish(word, tint(rng, 150), painted(rng, name, size, size), gloss=rng.uniform(*gloss))


def wall(rng: Random, kind: str, height: float) -> Finish:
    """The texture is as high as the wall, for it has a skirting."""
    name = drawn(rng, WALLS[sort_of(kind)])
    if name in ("plaster", "cloth", "panels"):
        size = rng.uniform(1.0, 1.8) * height, height
    else:
        size = (rng.uniform(1.8, 3.0),) * 2 if name != "concrete" else (rng.uniform(3.0, 6.0),) * 2
    return Finish(
        WORDS[name], tint(rng, 190), painted(rng, name, *size), gloss=0.15 if name == "tiles" else 0.0
    )


def front(rng: Random) -> Finish:
    """A house across the street."""
    name = rng.choice(("houses", "houses", "bricks", "plaster", "panels"))
    size = rng.uniform(8.0, 14.0) if name == "houses" else rng.uniform(2.5, 5.0)
    return Finish("front", tint(rng, 150), painted(rng, name, size, size))


def ceiling(rng: Random, kind: str) -> Finish:
    """A random ceiling finish for a kind of room."""
    name = drawn(rng, CEILINGS[sort_of(kind)])
    if name == "plaster":  # which has a skirting at its lower edge
        shade = rng.randint(190, 245)
        return Finish("paint", (shade, shade, max(0, shade - rng.randint(0, 14))))
    size = rng.uniform(2.4, 4.8) if name == "hanging_ceiling" else rng.uniform(5.0, 8.0)
    return Finish(
        "panel" if name == "hanging_ceiling" else "concrete", tint(rng, 170), painted(rng, name, size, size)
    )
