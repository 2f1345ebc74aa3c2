# SPDX-License-Identifier: Apache-2.0
"""Painted surfaces: they repeat without a seam, vary at every scale, and are the same in every process."""

import numpy as np
import pytest

from vision_banana_ros.scenes.furnished.textures import (
    GRAIN,
    NATURAL,
    PAINTERS,
    SIDE,
    SMOOTH,
    Painted,
    field,
    paint,
    streaks,
)

SURFACES = ("carpet", "parquet", "concrete", "tiles", "linoleum", "asphalt", "wallpaper", "bricks", "metal")


@pytest.mark.parametrize("kind", PAINTERS)
def test_every_kind_paints_and_numbers_differ(kind: str) -> None:
    pictures = [paint(kind, n) for n in range(3)]
    assert all(p.shape == (SIDE, SIDE, 3) and p.dtype == np.uint8 for p in pictures)
    assert np.array_equal(pictures[0], paint(kind, 0))
    assert not np.array_equal(pictures[0], pictures[1])
    assert max(p.std() for p in pictures) > 2
    texels, wide, high = Painted(kind, 0, (1.0, 1.0)).texels()
    assert (1 << wide, 1 << high) == (SIDE, SIDE) and len(texels) > SIDE * SIDE  # with its mip levels
    assert (texels[:, 3] == 255).all()


@pytest.mark.parametrize("kind", SURFACES)
def test_no_seam_where_a_surface_repeats(kind: str) -> None:
    for number in range(4):
        picture = paint(kind, number).astype(float).mean(-1)
        inside = abs(np.diff(picture, axis=1)).mean(0)
        seam = abs(picture[:, 0] - picture[:, -1]).mean()
        assert seam <= 1.5 * np.percentile(inside, 99) + 1.0


def test_noise_has_the_spectrum_of_photographs() -> None:
    """Power falls like f^(-2 slope) over a decade of frequencies."""
    for slope in (GRAIN, NATURAL, SMOOTH):
        noise = field(np.random.default_rng(1), slope)
        assert abs(noise.mean()) < 0.05 and noise.std() == pytest.approx(1.0, abs=0.05)
        power = abs(np.fft.fft2(noise)) ** 2
        f = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.fftfreq(SIDE)[None]) * SIDE
        low, high = power[(f > 7) & (f < 9)].mean(), power[(f > 70) & (f < 90)].mean()
        assert np.log10(low / high) == pytest.approx(2 * slope, abs=0.35)


def test_streaks_run_along_one_axis() -> None:
    along = streaks(np.random.default_rng(2), 0.8, 8)
    assert abs(np.diff(along, axis=1)).mean() < 0.5 * abs(np.diff(along, axis=0)).mean()
