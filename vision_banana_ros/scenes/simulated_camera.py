# SPDX-License-Identifier: Apache-2.0
"""The simulated camera: it moves slowly through one world and provides the ground truth."""

from math import pi, radians, sin

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.scenes.cameras import Camera, look_from, pinhole
from vision_banana_ros.scenes.effects import Effects
from vision_banana_ros.scenes.viewpoints import glance, interest
from vision_banana_ros.scenes.views import View, render
from vision_banana_ros.scenes.worlds import make_world

FOV = radians(75.0)
TURN = radians(14.0)
"""How far the camera looks to either side of its main direction."""


class SimulatedCamera:
    """A camera that moves slowly through one world; the same seed and time give the same image.

    Args:
        rate_hz: Images per second; times that round to the same frame share its sensor noise.
        kind: Kind of the world, as in `make_world`.
    """

    def __init__(self, seed: int, width: int, height: int, rate_hz: float, kind: str = "room"):
        if rate_hz <= 0:
            raise InputError(f"A camera's rate must be above zero, not {rate_hz}.")
        self.seed, self.width, self.height, self.rate_hz = seed, width, height, rate_hz
        self.world = make_world(seed, kind)
        rng = np.random.default_rng(seed)
        self.balance = (1.0 + rng.normal(0, 0.02), 1.0, 1.0 + rng.normal(0, 0.02))
        best = -np.inf
        spots = self.world.free if len(self.world.free) else np.array([(0.0, 0.0, 0.3)])
        for _ in range(40):
            x, y, gap = spots[rng.integers(len(spots))]
            place = (
                float(x),
                float(y),
                rng.uniform(0.9, 1.5),
                rng.uniform(0, 2 * pi),
                radians(rng.uniform(5, 14)),
                float(gap),
            )
            # both ends of the sweep must be worth looking at
            worth = min(self._worth(place, side * TURN) for side in (-1, 1))
            if worth > best:
                best, self.place = worth, place

    def _worth(self, place: tuple[float, ...], turn: float) -> float:
        x, y, z, yaw, pitch, _ = place
        return interest(
            *glance(
                self.world, pinhole(self.width, self.height, FOV, look_from(x, y, z, yaw + turn, pitch, 0.0))
            )
        )

    def camera(self, t_seconds: float) -> Camera:
        """Intrinsics and pose at a time."""
        x, y, z, yaw, pitch, gap = self.place
        reach = 0.5 * min(gap, 0.8)
        pose = look_from(
            x + reach * sin(2 * pi * t_seconds / 17.0),
            y + reach * sin(2 * pi * t_seconds / 23.0),
            z + 0.05 * sin(2 * pi * t_seconds / 11.0),
            yaw + TURN * sin(2 * pi * t_seconds / 29.0),
            pitch + radians(2.0) * sin(2 * pi * t_seconds / 13.0),
            radians(1.0) * sin(2 * pi * t_seconds / 19.0),
        )
        return pinhole(self.width, self.height, FOV, pose)

    def view(self, t_seconds: float) -> View:
        """The picture at a time, with its truth."""
        effects = Effects(balance=self.balance, vignette=0.15, noise=1.5)
        frame = round(t_seconds * self.rate_hz)
        return render(
            self.world,
            self.camera(t_seconds),
            np.random.default_rng((self.seed, frame & 0xFFFFFFFF)),
            effects,
        )
