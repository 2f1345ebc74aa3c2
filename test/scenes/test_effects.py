# SPDX-License-Identifier: Apache-2.0
"""What cameras do to pictures: each effect does what it says, and what the fixed splits use does not
change."""

import dataclasses
import subprocess
import sys

import cv2
import numpy as np
import pytest
from patience import PATIENCE_S

from vision_banana_ros.scenes.effects import (
    SAMPLING,
    SAMPLING_FACTOR,
    STRONG,
    Effects,
    automatic_gain,
    develop,
)


@pytest.fixture(scope="module")
def light() -> np.ndarray:
    """A dim coloured room with a bright window, linear."""
    rng = np.random.default_rng(0)
    picture = 0.12 + 0.02 * rng.random((96, 128, 3))
    picture *= np.array([1.0, 0.8, 0.6])
    picture[10:40, 20:50] = 3.0
    picture[50:80, 70:100] *= 0.25
    return picture.astype(np.float32)


def spread(image: np.ndarray) -> float:
    """Mean step between neighbours, of the green channel."""
    return float(abs(np.diff(image[..., 1].astype(float), axis=1)).mean())


def test_every_effect_changes_the_picture_and_a_seed_repeats_it(light: np.ndarray) -> None:
    plain = develop(light, Effects(), 3)
    strong: dict[str, object] = dict(
        exposure=1.0, balance=(1.2, 1.0, 0.8), vignette=0.5, defocus=0.01, motion=(0.03, 0.0), noise=8.0,
        jpeg=30,
        highlights=1.0, bloom=0.2, distortion=0.05, aberration=0.03, resolution=0.5, mosaic=True,
        blotches=8.0, gamma=1.5,
        contrast=1.4, black=0.1, saturation=0.3, sharpening=1.5, banding=(0.2, 3.0, 0.0),
    )  # fmt: skip
    assert set(strong) | {"chroma"} == {f.name for f in dataclasses.fields(Effects)}
    for name, value in strong.items():
        effects = Effects(**{name: value})  # type: ignore[arg-type]
        image = develop(light, effects, 3)
        assert image.shape == light.shape and image.dtype == np.uint8
        assert not np.array_equal(image, plain), name
        assert np.array_equal(image, develop(light, effects, 3)), name
    colors = [develop(light, Effects(jpeg=40, chroma=n), 3) for n in (1, 2, 4)]
    assert not np.array_equal(colors[0], colors[1]) and not np.array_equal(colors[1], colors[2])


def test_effects_do_what_they_say(light: np.ndarray) -> None:
    plain = develop(light, Effects(), 3)
    gray = develop(light, Effects(saturation=0.0), 3).astype(int)
    assert abs(gray[..., 0] - gray[..., 2]).max() <= 1 < abs(plain[..., 0].astype(int) - plain[..., 2]).max()
    assert (
        develop(light, Effects(contrast=1.5), 3).std()
        > plain.std()
        > develop(light, Effects(contrast=0.6), 3).std()
    )
    assert (
        develop(light, Effects(gamma=1.5), 3).mean()
        < plain.mean()
        < develop(light, Effects(gamma=0.7), 3).mean()
    )
    assert develop(light, Effects(black=0.2), 3).min() > 45
    noisy = develop(light, Effects(noise=12.0), 3)
    assert spread(develop(light, Effects(noise=12.0, resolution=0.4), 3)) < 0.7 * spread(noisy)
    assert spread(develop(light, Effects(sharpening=2.0, noise=4.0), 3)) > spread(
        develop(light, Effects(noise=4.0), 3)
    )
    # a camera that saves its highlights shows the window unclipped and the room dark
    saved = develop(light, Effects(highlights=1.0), 3)
    assert automatic_gain(light, 1.0) < automatic_gain(light, 0.0)
    assert saved[20, 30, 1] < plain[20, 30, 1] and saved[70, 30, 1] < 0.6 * plain[70, 30, 1]


def test_distortion_that_rectifying_left_moves_no_pixel_far() -> None:
    bright = np.zeros((240, 320, 3), np.float32)
    bright[8:12, 8:12] = 1.0
    shift = []
    for seed in range(300):
        effects = Effects.draw(np.random.default_rng(seed))
        if effects.distortion == 0.0:
            continue
        moved = develop(bright, Effects(distortion=effects.distortion), 0)[..., 1].astype(float)
        rows, columns = np.indices(moved.shape)
        shift.append(
            np.hypot((moved * rows).sum() / moved.sum() - 9.5, (moved * columns).sum() / moved.sum() - 9.5)
        )
    assert len(shift) > 50 and max(shift) < 1.5


def test_most_pictures_are_mild_and_a_fifth_may_be_bad() -> None:
    drawn = [Effects.draw(np.random.default_rng(seed)) for seed in range(2000)]
    bad = [
        e
        for e in drawn
        if e.noise > 7 or e.jpeg < 45 or abs(e.exposure) > 1 or e.defocus > 0.0035 or e.blotches > 4.5
    ]
    assert 0.5 * STRONG < len(bad) / len(drawn) < 1.1 * STRONG
    assert 0.01 < np.mean([e.saturation == 0.0 for e in drawn]) < 0.06
    assert min(e.exposure for e in drawn) < -2 and min(e.jpeg for e in drawn) < 15


def test_the_splits_effects_are_those_of_0_1() -> None:
    """Numbers that 0.1 drew; another order of drawing would change every picture of the fixed splits."""
    effects = Effects.mild(np.random.default_rng(7))
    assert [round(v, 6) for v in (effects.exposure, effects.vignette, effects.defocus, effects.noise)] == [
        -0.311707,
        0.0,
        0.002412,
        1.968826,
    ]
    assert effects.jpeg == 86 and dataclasses.replace(effects, saturation=1.0) == effects


def test_the_simulated_camera_needs_no_names_that_the_opencv_of_humble_and_jazzy_lacks() -> None:
    """OpenCV 4.5 and 4.6 have no IMWRITE_JPEG_SAMPLING_FACTOR; where it is, the numbers are its own."""
    if not hasattr(cv2, "IMWRITE_JPEG_SAMPLING_FACTOR"):
        pytest.skip("this OpenCV has no names to compare with")
    assert (SAMPLING_FACTOR, *SAMPLING.values()) == (
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411,
    )
    older = "[delattr(cv2, name) for name in dir(cv2) if name.startswith('IMWRITE_JPEG_SAMPLING')]"
    script = f"import cv2; {older}; import vision_banana_ros.scenes.simulated_camera"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=PATIENCE_S)
