# SPDX-License-Identifier: Apache-2.0
"""Asphalt, markings, kerbs, verges and pavements."""

from dataclasses import dataclass
from random import Random

import numpy as np

from vision_banana_ros.scenes.street import buildings
from vision_banana_ros.scenes.street.meshes import Paint
from vision_banana_ros.scenes.street.paths import Path
from vision_banana_ros.scenes.street.site import REACH, Street


@dataclass
class Profile:
    """A road's cross-section, in metres: lanes each way, parking beside them, verge, pavement.

    `median` between the ways.
    """

    lanes: int
    lane: float
    median: float
    parking: tuple[bool, bool]
    verge: tuple[float, float]
    pavement: tuple[float, float]

    def edge(self, side: int) -> float:
        """From the middle to the kerb; side 0 is left."""
        return 0.5 * self.median + self.lanes * self.lane + (2.2 if self.parking[side] else 0.3)

    def back(self, side: int) -> float:
        """From the middle to the pavement's back."""
        return self.edge(side) + 0.15 + self.verge[side] + self.pavement[side]


def profile_of(rng: Random, kind: str) -> Profile:
    """A random cross section for a kind of road."""

    def two(draw) -> tuple[float, float]:  # type: ignore[no-untyped-def]
        a = draw()
        return (a, a) if rng.random() < 0.6 else (a, draw())

    if kind == "avenue":
        lanes = rng.choice((2, 2, 2, 3))
        return Profile(
            lanes,
            rng.uniform(3.1, 3.6),
            rng.choice((0.0, 0.3, 2.0, 5.0)),
            (rng.random() < 0.3, rng.random() < 0.3),
            two(lambda: rng.choice((0.0, 1.5, 3.5))),
            two(lambda: rng.uniform(2.0, 5.0)),
        )
    if kind == "country road":
        return Profile(
            1,
            rng.uniform(2.6, 3.6),
            0.0,
            (False, False),
            two(lambda: rng.uniform(0.8, 3.0)),
            two(lambda: rng.choice((0.3, 0.3, 1.6))),
        )
    park = (rng.random() < 0.65, rng.random() < 0.65)
    return Profile(
        rng.choice((1, 1, 1, 2)) if kind == "city street" else 1,
        rng.uniform(2.7, 3.5),
        0.0,
        park,
        two(lambda: rng.choice((0.0, 0.0, 0.0, 1.6))),
        two(lambda: rng.uniform(1.4, 4.5)),
    )


def bends(rng: Random) -> np.ndarray | float:
    """The road's curvature along its length."""
    if rng.random() < 0.5:
        return 0.0
    s = np.arange(-REACH, REACH + 1)
    out = np.zeros(len(s))
    for _ in range(rng.randint(1, 3)):
        a, wide = rng.uniform(-REACH, REACH), rng.uniform(25, 90)
        out += rng.choice((-1, 1)) / rng.uniform(70, 300) * np.exp(-(((s - a) / wide) ** 2))
    return np.clip(out, -1 / 60, 1 / 60)


def lay_road(
    street: Street, path: Path, profile: Profile, gaps: list[tuple[float, float]], s0: float, s1: float
) -> None:
    """Asphalt, markings, kerbs, verges and pavements from s0 to s1; beside `gaps` there is only asphalt."""
    rng, ground = street.rng, street.ground
    tone = rng.uniform(78, 160)
    road = ground.paint(
        Paint(
            (int(tone * 1.01), int(tone), int(tone * rng.uniform(0.97, 1.04))),
            "road",
            rng.randrange(6),
            grime=rng.uniform(0.4, 1.2),
            gloss=0.06,
            sharpness=10.0,
            mirror=street.wet,
        )
    )
    plain = ground.paint(
        Paint(
            (int(tone * 1.01), int(tone), int(tone)),
            "asphalt",
            rng.randrange(3),
            grime=0.8,
            mirror=street.wet,
        )
    )
    pale = rng.uniform(120, 220)
    paving = ground.paint(
        Paint(
            (int(pale), int(pale * rng.uniform(0.93, 1.0)), int(pale * rng.uniform(0.82, 1.0))),
            *rng.choice(
                (
                    ("slabs", rng.randrange(8)),
                    ("slabs", rng.randrange(8)),
                    ("asphalt", rng.randrange(3)),
                    ("concrete", rng.randrange(4)),
                )
            ),
            grime=0.9,
        )
    )
    stone = ground.paint(Paint(buildings.shade_of(rng, (190, 188, 182)), "kerb", rng.randrange(2), grime=0.8))
    turf = ground.paint(street.turf)
    white = ground.paint(Paint((232, 232, 228), "marking", rng.randrange(3), grime=0.5, gloss=0.05))
    yellow = ground.paint(Paint((220, 180, 60), "marking", rng.randrange(3), grime=0.5))
    high = rng.uniform(0.06, 0.16)
    spans = [(s0, s1)]
    for a, b in gaps:
        spans = [(p, q) for lo, hi in spans for p, q in ((lo, min(hi, a)), (max(lo, b), hi)) if q > p]
    half = 0.5 * profile.median
    for way in (1, -1):
        for k in range(profile.lanes):
            t0 = half + k * profile.lane
            path.strip(
                ground,
                s0,
                s1,
                way * t0,
                way * (t0 + profile.lane),
                0.0,
                0.0,
                road,
                along=14.0,
                across=profile.lane,
            )
        side = 0 if way > 0 else 1
        edge = profile.edge(side)
        path.strip(ground, s0, s1, way * (half + profile.lanes * profile.lane), way * edge, 0.0, 0.0, plain)
        for a, b in spans:
            path.strip(ground, a, b, way * edge, way * edge, 0.0, high, stone, 0.9)
            path.strip(ground, a, b, way * edge, way * (edge + 0.15), high, high, stone, 0.9)
            t = edge + 0.15
            if profile.verge[side] > 0:
                path.strip(
                    ground, a, b, way * t, way * (t + profile.verge[side]), high, high + 0.03, turf, 3.0
                )
                t += profile.verge[side]
            path.strip(ground, a, b, way * t, way * profile.back(side), high, high + 0.02, paving, 3.0)
            if profile.parking[side] and rng.random() < 0.5:
                path.strip(ground, a, b, way * (edge - 2.2), way * (edge - 2.1), 0.004, 0.004, white, 1.0)
        for a, b in gaps:  # the mouth of a side street
            path.strip(ground, a, b, way * edge, way * profile.back(side), 0.0, 0.0, plain)
        if rng.random() < 0.4:
            for a, b in spans:
                for off in (0.25, 0.45) if rng.random() < 0.5 else (0.3,):
                    path.strip(
                        ground,
                        a,
                        b,
                        way * (edge - off - 0.1),
                        way * (edge - off),
                        0.004,
                        0.004,
                        yellow if rng.random() < 0.5 else white,
                        1.0,
                    )
    if profile.median > 0.5:
        for a, b in spans:
            path.strip(ground, a, b, -half, half, 0.12, 0.12, turf if rng.random() < 0.6 else paving, 3.0)
            for way in (1, -1):
                path.strip(ground, a, b, way * half, way * half, 0.0, 0.12, stone, 0.9)
    marked = rng.random() < 0.88
    dash, gap = rng.choice(((3.0, 6.0), (2.0, 4.0), (4.0, 2.0), (6.0, 12.0)))
    for way in (1, -1):
        lines = [half + k * profile.lane for k in range(1, profile.lanes)]
        for t in lines:
            for s in np.arange(s0, s1 - dash, dash + gap):
                if marked and not any(a - 2 < s < b + 2 for a, b in gaps):
                    path.strip(ground, s, s + dash, way * t - 0.06, way * t + 0.06, 0.004, 0.004, white, 1.0)
    if profile.median <= 0.5 and marked:
        style = rng.random()
        for a, b in spans:
            if style < 0.6:
                for s in np.arange(a, b - dash, dash + gap):
                    path.strip(ground, s, s + dash, -0.06, 0.06, 0.004, 0.004, white, 1.0)
            else:
                for t in (-0.12, 0.12) if style < 0.8 else (0.0,):
                    path.strip(
                        ground,
                        a,
                        b,
                        t - 0.05,
                        t + 0.05,
                        0.004,
                        0.004,
                        white if rng.random() < 0.7 else yellow,
                        1.0,
                    )
    for a, b in gaps:  # zebra crossings and stop lines before side streets
        for s, way in ((a - 3.0, -1), (b + 3.0, 1)):
            if rng.random() < 0.45 and s0 < s - 4 and s + 4 < s1:
                wide = profile.edge(0) - 0.5
                for t in np.arange(-wide, wide, 1.0):
                    path.strip(ground, s - 1.5, s + 1.5, t, t + 0.5, 0.005, 0.005, white, 1.0)
            if rng.random() < 0.6:
                t0, t1 = (
                    (0.1, profile.edge(0) - 0.4) if way * street.hand < 0 else (-profile.edge(1) + 0.4, -0.1)
                )
                path.strip(ground, s + way * 2.6, s + way * 3.0, t0, t1, 0.005, 0.005, white, 1.0)
    for _ in range(rng.randint(2, 7)):  # arrows on the lanes
        if marked and profile.lanes > 0:
            k, way = rng.randrange(profile.lanes), rng.choice((1, -1))
            s, t = rng.uniform(s0 + 10, s1 - 10), way * (half + (k + 0.5) * profile.lane)
            run = -way * street.hand
            path.strip(ground, s - 1.3, s + 1.3, t - 0.08, t + 0.08, 0.004, 0.004, white, 1.0)
            ends = (s + run * 1.2, t - 0.3), (s + run * 1.2, t + 0.3), (s + run * 2.3, t), (s + run * 2.3, t)
            ground.flat(np.array([path.at(*end)[:3] for end in ends]) + (0, 0, 0.004), white, 1.0)
    for _ in range(rng.randint(0, 6)):  # covers and patches
        s, t = rng.uniform(s0, s1), rng.uniform(-1, 1) * (profile.edge(0) - 0.8)
        dark = ground.paint(Paint((60, 60, 62), "asphalt", rng.randrange(3), grime=0.6))
        w, h = rng.choice(((0.3, 0.3), (0.35, 0.35), (rng.uniform(0.3, 1.2), rng.uniform(1, 8))))
        path.strip(ground, s - h, s + h, t - w, t + w, 0.003, 0.003, dark, 4.0)
