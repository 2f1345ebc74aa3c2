# SPDX-License-Identifier: Apache-2.0
"""Short captions of pictures, for training the image generator itself."""

from collections import Counter

import numpy as np

from vision_banana_ros.scenes.language.expressions import COLORLESS, LEAST, everything, plural
from vision_banana_ros.scenes.materials import COLORS
from vision_banana_ros.scenes.views import View

PLACES = {
    "room": ("a room", "a room", "an indoor scene"),
    "corridor": ("a corridor", "a hallway"),
    "warehouse": ("a warehouse", "a storage hall"),
    "yard": ("a yard", "an outdoor scene"),
    "living room": ("a living room", "a room", "an indoor scene"),
    "bedroom": ("a bedroom", "a room"),
    "kitchen": ("a kitchen", "a room"),
    "bathroom": ("a bathroom", "a room"),
    "office": ("an office", "a room"),
    "workshop": ("a workshop", "a garage"),
    "hall": ("a hall", "a large hall", "an indoor scene"),
    "open-plan office": ("an office", "an open-plan office"),
    "laboratory": ("a laboratory", "a room"),
    "class room": ("a class room", "a room"),
    "lobby": ("a lobby", "an indoor scene"),
    "city street": ("a street", "a city street", "an outdoor scene"),
    "residential street": ("a street", "a residential street", "an outdoor scene"),
    "avenue": ("a street", "a wide road", "an outdoor scene"),
    "country road": ("a road", "a country road", "an outdoor scene"),
    "square": ("a square", "a street", "an outdoor scene"),
    "car park": ("a car park", "an outdoor scene"),
}
NUMBERS = ("no", "one", "two", "three", "four", "five", "six")
SURFACES = {
    "wood": "wooden",
    "brick": "brick",
    "tile": "tiled",
    "carpet": "carpeted",
    "concrete": "concrete",
    "paint": "painted",
}


def caption(view: View, rng: np.random.Generator) -> str:
    """Where the picture was taken and the most visible things in it.

    "a room with two chairs and a red ball".
    """
    colorful = rng.random() < 0.8
    things: Counter[tuple[str, str]] = Counter()
    pixels: Counter[tuple[str, str]] = Counter()
    for seen in everything(view):
        o = seen.object
        if seen.pixels < LEAST * view.instances.size:
            continue
        color = (
            o.color if colorful and o.color in COLORS and o.class_name not in (*COLORLESS, "person") else ""
        )
        things[color, o.name] += 1
        pixels[color, o.name] += seen.pixels
    words: list[str] = []
    for (color, name), _ in pixels.most_common(int(rng.integers(2, 6))):
        count = things[color, name]
        noun = f"{color} {name}" if color else name
        if count == 1:
            words.append(noun if name == "stairs" else f"{'an' if noun[0] in 'aeio' else 'a'} {noun}")
        else:
            number = NUMBERS[count] if count < len(NUMBERS) else "many"
            words.append(f"{number} {color} {plural(name)}".replace("  ", " "))
    place = str(rng.choice(PLACES[view.world.kind]))
    if words:
        joined = " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
        place = f"{place} with {joined}"
    below = "floor" if "floor" in view.world.surfaces else "ground"
    material = view.world.surfaces[below]
    if rng.random() < 0.3:
        place += f", {SURFACES.get(material, material)} {below}"
    return place
