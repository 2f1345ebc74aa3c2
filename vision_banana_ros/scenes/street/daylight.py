# SPDX-License-Identifier: Apache-2.0
"""Sun, sky and haze of a street."""

from math import cos, pi, sin

import numpy as np

from vision_banana_ros.scenes import kernel
from vision_banana_ros.scenes.street import shading
from vision_banana_ros.scenes.street.site import Street


def daylight(street: Street, way: float) -> tuple[np.ndarray, np.ndarray]:
    """Lights and air; `way` is the road's heading, which a low sun likes."""
    rng = street.rng
    air = np.zeros(shading.STREET_AIR)
    air[kernel.AIR_SEED] = rng.randint(0, 10000)
    mood = street.mood
    turn = rng.uniform(0, 2 * pi) if rng.random() < 0.6 else way + rng.choice((0, pi)) + rng.gauss(0, 0.5)
    rise = {
        "clear": rng.uniform(0.35, 1.1),
        "low": rng.uniform(0.08, 0.35),
        "hazy": rng.uniform(0.25, 1.0),
        "dull": rng.uniform(0.5, 1.2),
        "dusk": rng.uniform(0.02, 0.1),
    }[mood]
    air[kernel.SUN_DIR : kernel.SUN_DIR + 3] = cos(turn) * cos(rise), sin(turn) * cos(rise), sin(rise)
    bright = rng.uniform(0.8, 1.9)
    zenith, horizon = np.array([0.2, 0.4, 0.85]), np.array([0.75, 0.87, 1.0])
    power, sky_light, size = rng.uniform(2.0, 3.6), np.array([0.4, 0.47, 0.6]), 0.006
    cover = rng.choice((0.0, 0.15, 0.3, 0.45))
    if mood == "low":
        horizon = np.array([1.05, 0.92, 0.78])
        power, sky_light = rng.uniform(1.4, 2.8), np.array([0.3, 0.34, 0.42])
    elif mood == "hazy":
        zenith, horizon = np.array([0.55, 0.68, 0.9]), np.array([1.0, 1.02, 1.05])
        power, sky_light, size = rng.uniform(0.8, 2.0), np.array([0.6, 0.64, 0.7]), 0.02
        cover, bright = rng.uniform(0.3, 0.7), rng.uniform(1.0, 2.6)
    elif mood == "dull":
        zenith, horizon = np.array([0.68, 0.72, 0.78]), np.array([0.85, 0.87, 0.9])
        power, sky_light, size = rng.uniform(0.0, 0.25), np.array([0.8, 0.83, 0.88]), 0.4
        cover, bright = rng.uniform(0.7, 1.0), rng.uniform(0.9, 2.2)
    elif mood == "dusk":
        zenith, horizon = (
            np.array([0.08, 0.11, 0.22]),
            np.array([0.5, 0.34, 0.28]) if rng.random() < 0.6 else np.array([0.3, 0.34, 0.42]),
        )
        power, sky_light, size = rng.uniform(0.0, 0.2), np.array([0.12, 0.14, 0.19]), 0.05
        bright, cover = rng.uniform(0.5, 1.0), rng.uniform(0.0, 0.6)
    air[kernel.ZENITH : kernel.ZENITH + 3] = bright * zenith
    air[kernel.HORIZON : kernel.HORIZON + 3] = bright * horizon
    air[kernel.CLOUDS] = cover
    air[shading.CLOUD_LIGHT] = bright * (1.1 if mood != "dusk" else 0.28)
    air[shading.GLARE] = {"clear": 0.8, "low": 1.5, "hazy": 1.0, "dull": 0.05, "dusk": 0.3}[
        mood
    ] * rng.uniform(0.4, 1.2)
    low = max(0.0, 1.0 - rise / 0.6)
    fill = rng.uniform(0.45, 1.1)
    air[kernel.AMBIENT_UP : kernel.AMBIENT_UP + 3] = fill * sky_light
    air[kernel.AMBIENT_DOWN : kernel.AMBIENT_DOWN + 3] = (
        fill
        * (0.25 + 0.12 * power * sin(rise))
        * np.array([0.5, 0.47, 0.42])
        * (0.4 if mood == "dusk" else 1.0)
    )
    air[kernel.FOG] = (
        rng.choice((0.0001, 0.0002, 0.0004, 0.0008, 0.0015))
        if rng.random() < 0.9
        else rng.uniform(0.002, 0.009)
    )
    air[kernel.FOG_COLOR : kernel.FOG_COLOR + 3] = 0.75 * air[kernel.HORIZON : kernel.HORIZON + 3]
    lights = [
        [
            kernel.SUN,
            *air[kernel.SUN_DIR : kernel.SUN_DIR + 3],
            power,
            power * (0.95 - 0.25 * low),
            power * (0.88 - 0.5 * low),
            size,
        ]
    ]
    return np.array(lights) if power > 0.01 else np.zeros((0, kernel.LIGHT_COLUMNS)), air
