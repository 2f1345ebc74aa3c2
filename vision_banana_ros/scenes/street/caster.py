# SPDX-License-Identifier: Apache-2.0
"""Casts the rays of a street: Embree's, with the looks of `shading`."""

from functools import lru_cache

import cv2
import numpy as np

from vision_banana_ros.scenes.furnished.embree import EmbreeCaster
from vision_banana_ros.scenes.street import shading
from vision_banana_ros.scenes.street.textures import noise


@lru_cache(maxsize=1)
def weather() -> np.ndarray:
    """The field of clouds and dirt, (256, 256), which repeats."""
    return noise(np.random.default_rng(41), 256, 256, 1.35)


class StreetCaster(EmbreeCaster):
    """The rays of one street.

    `air` has `shading.STREET_AIR` entries, materials `meshes.STREET_COLUMNS` columns.
    """

    reach_of_air = 7.0
    samples = 3

    def shine(
        self,
        eye: np.ndarray,
        seen: np.ndarray,
        lender: np.ndarray,
        places: np.ndarray,
        dirs: np.ndarray,
        back: np.ndarray,
        back_t: np.ndarray,
        clear: np.ndarray,
        added: np.ndarray,
        rgb: np.ndarray,
    ) -> None:
        """Adds reflections of the street and the sky; see `Caster`."""
        n = len(back)
        share, light = np.empty(n, np.float32), np.zeros((n, 3), np.float32)
        starts, towards, which = (
            np.empty((n, 3), np.float32),
            np.empty((n, 3), np.float32),
            np.empty(n, np.int64),
        )
        count = shading.mirrored(self.soup, eye, weather(), dirs, back, back_t, share, starts, towards, which)
        starts, towards, which = starts[:count], towards[:count], which[:count]
        found = self.meet(0, starts, towards)
        shading.mirror_light(
            self.soup, self.lights, self.air, weather(), starts, towards, found, which, light
        )
        shading.shade_all(
            self.soup,
            eye,
            self.lights,
            self.air,
            weather(),
            seen,
            lender,
            places,
            dirs,
            back,
            back_t,
            clear,
            added,
            share,
            light,
            rgb,
        )

    def worth_more(self, at: np.ndarray, rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Those with contrast: half of a tree's edges lie between leaves of one brightness."""
        light = np.minimum(rgb.mean(1), 2.0).reshape(size)
        kernel = np.ones((3, 3), np.uint8)
        high, low = cv2.dilate(light, kernel).ravel()[at], cv2.erode(light, kernel).ravel()[at]
        return np.asarray(at[high - low > 0.2 * (high + low) + 0.01])
