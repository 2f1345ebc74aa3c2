# SPDX-License-Identifier: Apache-2.0
"""Named colours and materials: what a surface looks like, and the words for it."""

from dataclasses import dataclass
from random import Random

from vision_banana_ros.scenes import kernel

RGB = tuple[int, int, int]

COLORS: dict[str, RGB] = {
    "red": (200, 34, 34),
    "orange": (238, 128, 20),
    "yellow": (240, 205, 40),
    "green": (44, 140, 58),
    "blue": (36, 80, 190),
    "purple": (116, 54, 150),
    "pink": (236, 140, 175),
    "brown": (122, 78, 46),
    "white": (232, 232, 228),
    "gray": (130, 132, 134),
    "black": (30, 30, 32),
}
BRIGHT = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white")


@dataclass(frozen=True)
class Look:
    """A surface: its material's name, colour A with its name, colour B, and the numbers of its pattern."""

    material: str
    color: str
    rgb: RGB
    second: RGB
    pattern: int = kernel.PLAIN
    scale: float = 1.0
    aspect: float = 1.0
    gloss: float = 0.0
    sharpness: float = 20.0
    surface: int = kernel.OPAQUE

    def row(self) -> tuple[float, ...]:
        """The look's columns of the kernel's `prims`, from PATTERN to SURFACE, colours made linear."""
        power = self.gloss if self.surface == kernel.GLOWING else 1.0
        colors = ((c / 255.0) ** 2.2 * power for c in (*self.rgb, *self.second))
        return self.pattern, *colors, self.scale, self.aspect, self.gloss, self.sharpness, self.surface


def near(rng: Random, rgb: RGB, spread: float = 0.08) -> RGB:
    """A colour close to `rgb`, so close that its name stays true."""
    shade = 1.0 + rng.uniform(-spread, spread)
    r, g, b = (min(255, max(0, round(c * shade + rng.uniform(-5, 5)))) for c in rgb)
    return r, g, b


def scaled(rgb: RGB, factor: float) -> RGB:
    """The colour multiplied by a factor."""
    r, g, b = (min(255, max(0, round(c * factor))) for c in rgb)
    return r, g, b


def plastic(rng: Random, color: str) -> Look:
    """Random plastic."""
    rgb = near(rng, COLORS[color])
    return Look("plastic", color, rgb, rgb, gloss=rng.uniform(0.1, 0.35), sharpness=rng.uniform(20, 60))


def painted(rng: Random, color: str, material: str = "metal") -> Look:
    """A painted material of the colour."""
    rgb = near(rng, COLORS[color])
    return Look(material, color, rgb, rgb, gloss=rng.uniform(0.15, 0.5), sharpness=rng.uniform(30, 90))


def metal(rng: Random) -> Look:
    """Random metal."""
    rgb = near(rng, COLORS["gray"], 0.2)
    return Look("metal", "gray", rgb, rgb, gloss=rng.uniform(0.3, 0.7), sharpness=rng.uniform(20, 60))


def fabric(rng: Random, color: str) -> Look:
    """Random fabric."""
    rgb = near(rng, COLORS[color])
    return Look("fabric", color, rgb, scaled(rgb, 0.8), kernel.SPECKLE, scale=rng.uniform(0.006, 0.02))


def wood(rng: Random, color: str = "brown") -> Look:
    """Random wood."""
    light = rng.choice([(122, 78, 46), (146, 98, 58), (104, 66, 40)])
    rgb = near(rng, light)
    return Look(
        "wood", color, rgb, scaled(rgb, 0.72), kernel.PLANKS, scale=rng.uniform(0.15, 0.5), aspect=20.0,
        gloss=rng.uniform(0.0, 0.15), sharpness=20.0,
    )  # fmt: skip


def carton(rng: Random) -> Look:
    """Random carton."""
    rgb = near(rng, (150, 106, 66))
    return Look("cardboard", "brown", rgb, (190, 160, 115), kernel.CARTON, scale=rng.uniform(0.02, 0.04))


def rubber(rng: Random) -> Look:
    """Random rubber."""
    rgb = near(rng, (32, 32, 34))
    return Look("rubber", "black", rgb, rgb, gloss=0.05, sharpness=8.0)


def glowing(rgb: RGB, power: float) -> Look:
    """A material that emits light."""
    return Look("light", "white", rgb, rgb, gloss=power, surface=kernel.GLOWING)


def mirror(rng: Random) -> Look:
    """Random mirror."""
    rgb = near(rng, (238, 242, 240), 0.02)
    return Look("mirror", "gray", rgb, rgb, surface=kernel.MIRROR)


def glass(rng: Random) -> Look:
    """Random glass."""
    rgb = rng.choice([(226, 240, 234), (214, 234, 240), (238, 240, 238)])
    return Look("glass", "clear", rgb, rgb, surface=kernel.GLASS)


def window(rng: Random) -> Look:
    """Random window."""
    rgb = rng.choice([(232, 240, 240), (220, 232, 238)])
    return Look("glass", "clear", rgb, rgb, surface=kernel.WINDOW)


def skin(rng: Random) -> Look:
    """Random skin."""
    rgb = rng.choice([(240, 200, 170), (214, 164, 126), (160, 108, 74), (108, 70, 48)])
    return Look("skin", "brown", rgb, rgb, gloss=0.05, sharpness=10.0)


def wall_look(rng: Random, kind: str) -> Look:
    """Paint, bricks, concrete, tiles, panels."""
    drawn = rng.random()
    tone = rng.choice([(226, 222, 212), (214, 218, 220), (228, 214, 190), (190, 206, 200), (206, 196, 210),
                       (178, 192, 208), (216, 190, 172), (236, 234, 228), (172, 178, 160)])  # fmt: skip
    tone = near(rng, tone)
    if kind in ("warehouse", "yard") and drawn < 0.55:
        if drawn < 0.25:
            return Look("metal", "gray", tone, tone, kernel.RIBS, scale=rng.uniform(0.12, 0.3), gloss=0.1)
        return Look(
            "concrete",
            "gray",
            near(rng, (168, 166, 160)),
            (128, 127, 124),
            kernel.CLOUDY,
            scale=rng.uniform(0.4, 1.2),
        )
    if drawn < 0.16 or (kind == "yard" and drawn < 0.8):
        brick = near(rng, rng.choice([(160, 76, 56), (178, 104, 76), (190, 160, 128)]))
        return Look(
            "brick", "red", brick, (196, 190, 180), kernel.BRICKS, scale=rng.uniform(0.07, 0.1), aspect=3.0
        )
    if drawn < 0.26:
        return Look(
            "tile",
            "white",
            tone,
            scaled(tone, 0.7),
            kernel.TILES,
            scale=rng.uniform(0.12, 0.35),
            aspect=0.03,
            gloss=0.25,
            sharpness=50,
        )
    if drawn < 0.36:
        return Look(
            "wallpaper",
            "white",
            tone,
            scaled(tone, rng.uniform(0.8, 1.15)),
            kernel.STRIPES if rng.random() < 0.4 else kernel.CLOUDY,
            scale=rng.uniform(0.15, 0.5),
        )
    return Look("paint", "white", tone, scaled(tone, 0.95), kernel.CLOUDY, scale=rng.uniform(0.5, 1.5))


def floor_look(rng: Random, kind: str) -> Look:
    """Planks, tiles, carpet, concrete, lino."""
    drawn = rng.random()
    if kind == "warehouse":
        tone = near(rng, rng.choice([(140, 140, 136), (120, 124, 122), (110, 128, 124), (156, 150, 140)]))
        return Look(
            "concrete",
            "gray",
            tone,
            scaled(tone, 0.82),
            kernel.CLOUDY,
            scale=rng.uniform(0.5, 2.0),
            gloss=0.08,
            sharpness=30,
        )
    if drawn < 0.4:
        tone = near(rng, rng.choice([(176, 130, 84), (140, 96, 60), (198, 160, 112), (110, 76, 52)]))
        return Look(
            "wood",
            "brown",
            tone,
            scaled(tone, 0.75),
            kernel.PLANKS,
            scale=rng.uniform(0.09, 0.2),
            aspect=rng.uniform(6, 12),
            gloss=0.12,
            sharpness=30,
        )
    if drawn < 0.6:
        tone = near(rng, rng.choice([(206, 200, 190), (170, 160, 150), (190, 172, 150), (150, 156, 160)]))
        return Look(
            "tile",
            "white",
            tone,
            scaled(tone, 0.65),
            kernel.TILES,
            scale=rng.uniform(0.2, 0.6),
            aspect=0.02,
            gloss=0.2,
            sharpness=60,
        )
    if drawn < 0.7:
        tone = near(rng, rng.choice([(220, 214, 204), (200, 190, 172)]))
        return Look(
            "tile",
            "white",
            tone,
            near(rng, rng.choice([(60, 60, 64), (140, 70, 56), (70, 96, 110)])),
            kernel.CHECKER,
            scale=rng.uniform(0.25, 0.5),
            gloss=0.2,
            sharpness=60,
        )
    if drawn < 0.88:
        tone = near(
            rng, rng.choice([(128, 118, 106), (96, 104, 118), (140, 130, 116), (122, 84, 78), (96, 112, 96)])
        )
        return Look("carpet", "gray", tone, scaled(tone, 0.75), kernel.SPECKLE, scale=rng.uniform(0.01, 0.03))
    tone = near(rng, (160, 158, 150))
    return Look(
        "concrete", "gray", tone, scaled(tone, 0.85), kernel.CLOUDY, scale=rng.uniform(0.3, 1.2), gloss=0.05
    )


def ground_look(rng: Random) -> Look:
    """Asphalt, grass, paving, gravel, earth."""
    tone, second, material, pattern, scale = rng.choice([
        ((104, 104, 106), (80, 80, 84), "asphalt", kernel.SPECKLE, 0.03),
        ((128, 128, 126), (106, 106, 106), "asphalt", kernel.CLOUDY, 1.5),
        ((112, 150, 66), (82, 120, 48), "grass", kernel.CLOUDY, 0.35),
        ((186, 176, 160), (136, 128, 118), "paving", kernel.TILES, 0.5),
        ((182, 168, 144), (140, 126, 108), "gravel", kernel.SPECKLE, 0.05),
        ((166, 130, 94), (136, 104, 74), "earth", kernel.CLOUDY, 0.8),
    ])  # fmt: skip
    return Look(
        material,
        "gray",
        near(rng, tone),
        near(rng, second),
        pattern,
        scale=scale * rng.uniform(0.8, 1.5),
        aspect=0.04,
    )
