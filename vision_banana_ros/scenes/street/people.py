# SPDX-License-Identifier: Apache-2.0
"""People of simple round limbs in clothes: standing, walking, riding a bicycle.

Facing -y, origin on the ground.
"""

from functools import lru_cache
from math import cos, sin

import numpy as np

from vision_banana_ros.scenes.street.meshes import Mesh, Paint, Shape

SKINS = ((224, 180, 150), (205, 155, 120), (150, 104, 72), (98, 66, 48))
HAIR = ((30, 24, 20), (60, 42, 28), (110, 80, 50), (160, 150, 140), (170, 130, 80))
CLOTHES = (
    (28, 30, 36),
    (40, 44, 56),
    (60, 62, 66),
    (36, 48, 80),
    (92, 94, 98),
    (150, 150, 150),
    (215, 214, 208),
    (120, 40, 40),
    (170, 40, 40),
    (60, 80, 60),
    (90, 76, 60),
    (130, 110, 84),
    (70, 100, 140),
    (200, 170, 60),
    (190, 110, 130),
    (40, 90, 90),
)
POSES = ("stand", "walk", "ride")
VARIANTS = 10


def limb(
    shape: Shape,
    points: list[tuple[float, float, float]],
    radii: list[float],
    paint: int,
    flat: float = 1.0,
    sides: int = 8,
) -> None:
    """A round limb along points, its radii at each; `flat` scales its depth (y)."""
    p = np.array(points, float)
    turn = 2 * np.pi * np.arange(sides + 1) / sides
    rings = []
    for k in range(len(p)):
        axis = p[min(k + 1, len(p) - 1)] - p[max(k - 1, 0)]
        axis /= max(float(np.linalg.norm(axis)), 1e-9)
        side = np.cross(axis, (0.0, 1.0, 0.0) if abs(axis[1]) < 0.9 else (0.0, 0.0, 1.0))
        side /= np.linalg.norm(side)
        other = np.cross(side, axis)
        rings.append(p[k] + radii[k] * (np.cos(turn)[:, None] * side + flat * np.sin(turn)[:, None] * other))
    grid = np.stack(rings)
    uv = np.stack(
        [
            np.broadcast_to(np.arange(sides + 1) / sides, grid.shape[:2]),
            np.broadcast_to(p[:, None, 2], grid.shape[:2]),
        ],
        -1,
    )
    shape.grid(grid, paint, uv)


@lru_cache(maxsize=32)
def person(pose: str, variant: int) -> Mesh:
    """A person of about 1.75 m. Paints: 0 top, 1 trousers, 2 skin, 3 hair, 4 shoes, 5 bag."""
    rng = np.random.default_rng([POSES.index(pose), variant, 17])
    shape = Shape()
    for k, tone in enumerate(
        ((60, 60, 64), (40, 44, 56), (205, 155, 120), (50, 36, 26), (30, 28, 28), (50, 40, 40))
    ):
        shape.paint(Paint(tone, "cloth" if k in (0, 1, 5) else "", k, grime=0.15))
    top, trousers, skin, hair, shoes, bag = range(6)
    swing = {"stand": rng.uniform(0.0, 0.1), "walk": rng.uniform(0.25, 0.5), "ride": 0.0}[pose]
    broad = rng.uniform(0.9, 1.12)
    hip, lean = (0.0, 0.0, 0.92), 0.0
    if pose == "ride":
        hip, lean = (0.0, 0.2, 1.0), rng.uniform(0.25, 0.5)
    hx, hy, hz = hip

    def along(up: float, x: float = 0.0, fore: float = 0.0) -> tuple[float, float, float]:
        """A point of the trunk, `up` metres above the hip."""
        return hx + x, hy - up * sin(lean) - fore, hz + up * cos(lean)

    coat = rng.random() < 0.35 and pose != "ride"
    low = -0.35 if coat else -0.08
    limb(
        shape,
        [along(low), along(0.0), along(0.15), along(0.32), along(0.48), along(0.55), along(0.58)],
        [r * broad for r in (0.17 if not coat else 0.2, 0.17, 0.155, 0.18, 0.185, 0.12, 0.05)],
        top,
        0.62,
        10,
    )
    limb(shape, [along(0.54), along(0.64)], [0.055, 0.05], skin)
    head = along(0.74, 0.0, 0.02)
    shape.ball(head, (0.078, 0.095, 0.12), skin, 6, 8)
    crown = (head[0], head[1] + 0.012, head[2] + 0.03)
    if rng.random() < 0.15 or (pose == "ride" and rng.random() < 0.6):
        shape.ball((crown[0], crown[1], crown[2] + 0.02), (0.1, 0.125, 0.1), bag, 6, 8)
    else:
        shape.ball(crown, (0.085, 0.1, 0.112), hair, 6, 8)
        if rng.random() < 0.4:
            limb(
                shape,
                [(head[0], head[1] + 0.06, head[2] + 0.05), (head[0], head[1] + 0.09, head[2] - 0.2)],
                [0.085, 0.06],
                hair,
                0.6,
            )
    for side, phase in ((-1, 1.0), (1, -1.0)):
        x = side * 0.09 * broad
        if pose == "ride":
            down = side > 0
            knee = (x * 1.3, hy - 0.36, 0.82 if not down else 0.66)
            foot = (x, 0.06 if down else 0.0, 0.2 if down else 0.42)
        else:
            angle = swing * phase
            knee = (x, -0.45 * sin(angle) - 0.02, hz - 0.45 * cos(angle))
            bent = angle - (0.5 * swing if phase < 0 else 0.0)
            foot = (x, knee[1] - 0.4 * sin(bent), max(0.07, knee[2] - 0.42 * cos(bent)))
        limb(shape, [(x, hy, hz + 0.03), knee, foot], [0.095 * broad, 0.066, 0.052], trousers)
        fx, fy, fz = foot
        shape.ball((fx, fy - 0.07, fz - 0.03), (0.048, 0.14, 0.045), shoes, 4, 6)
        shoulder = along(0.5, side * 0.2 * broad)
        if pose == "ride":
            elbow, hand = (side * 0.3, hy - 0.32, 1.2), (side * 0.25, -0.28, 1.05)
        else:
            angle = -0.8 * swing * phase + (rng.uniform(0.3, 1.2) if rng.random() < 0.15 else 0.0)
            elbow = (
                shoulder[0] + side * 0.04,
                shoulder[1] - 0.28 * sin(angle),
                shoulder[2] - 0.28 * cos(angle),
            )
            bent = angle + rng.uniform(0.1, 0.5)
            hand = (elbow[0], elbow[1] - 0.25 * sin(bent), elbow[2] - 0.25 * cos(bent))
        limb(shape, [shoulder, elbow, hand], [0.06 * broad, 0.046, 0.034], top)
        shape.ball(hand, (0.035, 0.045, 0.05), skin, 4, 6)
        if side > 0 and pose != "ride" and rng.random() < 0.3:
            shape.boxes(
                np.array([hand[0] - 0.05, hand[1] - 0.15, hand[2] - 0.35]),
                np.array([hand[0] + 0.05, hand[1] + 0.15, hand[2] - 0.04]),
                bag,
            )
    if rng.random() < 0.3:  # a rucksack
        c = along(0.3, 0.0, -0.2)
        shape.ball(c, (0.15, 0.1, 0.22), bag, 6, 10)
    return shape.mesh()
