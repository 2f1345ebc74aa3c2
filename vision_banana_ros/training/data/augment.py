# SPDX-License-Identifier: Apache-2.0
"""Data augmentation of rendered views, and images without content.

Rendered images are stored once, and augmented with random exposure, contrast, colour, sharpness, noise and
compression each time they are used, so that the network relies on shape and layout instead of the style of
the renderer.
"""

from dataclasses import replace

import cv2
import numpy as np

from vision_banana_ros.training.data.records import Record

UNLABELLED = 255
ZOOM_FRACTION = 0.5  # fraction of views with a longer focal length
MAX_ZOOM = 1.8  # maximum factor of the focal length
MAX_OFFSET = 0.1  # of the principal point from the centre, relative to the size of the crop


def augment(record: Record, rng: np.random.Generator, junk: float = 0.03, bars: float = 0.1) -> Record:
    """Augments a view: mirroring, photometric changes, letterbox bars, or an image without content.

    Args:
        record: The view.
        rng: Random generator.
        junk: Fraction of views that are replaced by an image without content, with all truth invalid.
        bars: Fraction of views that get letterbox bars.

    Returns:
        The augmented view.
    """
    if rng.random() < 0.5:
        record = record.flipped()
    if rng.random() < junk:
        return without_truth(replace(record, image=_junk(record.image, rng)))
    image = photometric_augmentation(record.image, rng)
    record = replace(record, image=image)
    return _barred(record, rng) if rng.random() < bars else record


def zoom_in(record: Record, rng: np.random.Generator) -> Record:
    """Simulates a longer focal length for a fraction of the views, by cropping near the centre.

    The focal length in pixels does not change; `Record.resized` restores the number of pixels.

    Args:
        record: The view.
        rng: Random generator.

    Returns:
        The view, cropped or unchanged.
    """
    if rng.random() >= ZOOM_FRACTION:
        return record
    height, width = record.labels.shape
    share = 1 / float(np.exp(rng.uniform(0, np.log(MAX_ZOOM))))
    size = round(height * share), round(width * share)
    top, left = (
        round(
            float(np.clip((whole - part) / 2 + rng.uniform(-MAX_OFFSET, MAX_OFFSET) * part, 0, whole - part))
        )
        for whole, part in zip((height, width), size, strict=True)
    )
    return record.cropped(top, left, size)


def without_truth(record: Record) -> Record:
    """The view with invalid truth everywhere: NaN, unlabelled, background, and empty masks."""
    return replace(
        record,
        depth_m=np.full_like(record.depth_m, np.nan),
        normals=np.full_like(record.normals, np.nan),
        labels=np.full_like(record.labels, UNLABELLED),
        instances=np.zeros_like(record.instances),
        referred=tuple(replace(said, mask=np.zeros_like(said.mask)) for said in record.referred),
    )


def photometric_augmentation(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Applies random photometric augmentation, mild in 30 % of the cases.

    Args:
        image: (H, W, 3) uint8 RGB.
        rng: Random generator.

    Returns:
        (H, W, 3) uint8.
    """
    strength = 0.35 if rng.random() < 0.3 else 1.0
    x: np.ndarray = image.astype(np.float32) / 255
    if rng.random() < 0.8:  # exposure in linear light, then gamma
        x = np.clip(x**2.2 * 2 ** (strength * rng.normal(0, 0.7)), 0, 1) ** (1 / 2.2)
        x = x ** float(np.exp(strength * rng.normal(0, 0.25)))
    if rng.random() < 0.7:
        middle = float(x.mean())
        x = middle + (x - middle) * float(np.exp(strength * rng.normal(0, 0.3)))
        x = x + strength * rng.normal(0, 0.06)
    if rng.random() < 0.7:
        x = x * np.exp(strength * rng.normal(0, 0.12, 3)).astype(np.float32)
    if rng.random() < 0.7:
        grey = x @ np.array([0.299, 0.587, 0.114], np.float32)
        saturation = 0.0 if rng.random() < 0.08 else float(np.exp(strength * rng.normal(0, 0.45)))
        x = grey[..., None] + (x - grey[..., None]) * saturation
    if rng.random() < 0.1:  # hue: colour is rarely a reliable cue for the class
        x = np.clip(x, 0, 1) @ _hue(rng.uniform(-np.pi, np.pi) * strength).T
    if rng.random() < 0.35:
        x = _shaded(x, rng, strength)
    kind = rng.random()
    if kind < 0.45:  # real frames are soft; otherwise a soft frame would be taken for a near one
        x = cv2.GaussianBlur(x, (0, 0), float(0.3 + strength * rng.exponential(0.8)))
    elif kind < 0.55:
        x = x + (x - cv2.GaussianBlur(x, (0, 0), 1.0)) * float(strength * rng.uniform(0.3, 1.5))
    elif kind < 0.65:
        x = _coarser(x, rng)
    elif kind < 0.75:  # noise reduction, as in cameras
        x = cv2.bilateralFilter(np.clip(x, 0, 1).astype(np.float32), 5, float(rng.uniform(0.05, 0.2)), 2.0)
    if rng.random() < 0.5:
        noise: np.ndarray = rng.normal(0, 1, x.shape).astype(np.float32)
        if rng.random() < 0.4:  # spatially correlated, as after demosaicing or compression
            noise = cv2.GaussianBlur(noise, (0, 0), 0.8) * 2
        x = x + noise * float(strength * rng.exponential(0.03))
    out = (np.clip(x, 0, 1) * 255 + 0.5).astype(np.uint8)
    if rng.random() < 0.4:
        out = _compressed(out, int(rng.integers(25, 90)))
    return out


def _hue(angle: float) -> np.ndarray:
    """Matrix that rotates RGB about the grey axis by an angle in radians."""
    c, s, k = np.cos(angle), np.sin(angle) / np.sqrt(3), (1 - np.cos(angle)) / 3
    return np.array([[c + k, k - s, k + s], [k + s, c + k, k - s], [k - s, k + s, c + k]], np.float32)


def _shaded(x: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Multiplies by a smooth illumination field, as from windows, lamps and shadows."""
    height, width = x.shape[:2]
    coarse = rng.normal(0, 0.45 * strength, (int(rng.integers(2, 5)), int(rng.integers(2, 6)), 1)).astype(
        np.float32
    )
    if rng.random() < 0.4:
        coarse = coarse + rng.normal(0, 0.12 * strength, (*coarse.shape[:2], 3)).astype(np.float32)
    light = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return x * np.exp(light if light.ndim == 3 else light[..., None])


def _coarser(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Downsamples and upsamples, as for a camera of lower resolution."""
    height, width = x.shape[:2]
    scale = rng.uniform(0.4, 0.9)
    small = cv2.resize(
        x, (max(1, int(width * scale)), max(1, int(height * scale))), interpolation=cv2.INTER_AREA
    )
    how = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST)[int(rng.choice(3, p=(0.6, 0.3, 0.1)))]
    return cv2.resize(small, (width, height), interpolation=how)


def _compressed(image: np.ndarray, quality: int) -> np.ndarray:
    """The image with JPEG artefacts; quality in 0..100."""
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))


def _barred(record: Record, rng: np.random.Generator) -> Record:
    """The view with letterbox bars (black or replicated border) on two sides, whose truth is invalid."""
    height, width = record.labels.shape
    share = rng.uniform(0.5, 0.95)
    small = (height, round(width * share)) if rng.random() < 0.5 else (round(height * share), width)
    top, left = (height - small[0]) // 2, (width - small[1]) // 2
    bottom, right = height - top - small[0], width - left - small[1]
    inside = np.zeros((height, width), bool)
    inside[top : top + small[0], left : left + small[1]] = True
    blank = without_truth(record)
    return replace(
        record,
        image=cv2.copyMakeBorder(
            record.image[top : top + small[0], left : left + small[1]],
            top,
            bottom,
            left,
            right,
            cv2.BORDER_REPLICATE if rng.random() < 0.7 else cv2.BORDER_CONSTANT,
        ),
        depth_m=np.where(inside, record.depth_m, blank.depth_m),
        normals=np.where(inside[..., None], record.normals, blank.normals),
        labels=np.where(inside, record.labels, blank.labels),
        instances=np.where(inside, record.instances, blank.instances),
        referred=tuple(replace(said, mask=said.mask & inside) for said in record.referred),
    )


def _junk(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An image without content: dark, overexposed, uniform, noise, shuffled, blurred or upside down."""
    kind = int(rng.integers(7))
    if kind == 0:
        level = 0.0 if rng.random() < 0.4 else rng.uniform(0, 12)
        return np.clip(rng.normal(level, rng.uniform(0, 3), image.shape), 0, 255).astype(np.uint8)
    if kind == 1:
        level = 255.0 if rng.random() < 0.4 else rng.uniform(243, 260)
        return np.clip(rng.normal(level, rng.uniform(0, 3), image.shape), 0, 255).astype(np.uint8)
    if kind == 2:
        color = rng.uniform(0, 255, 3)
        flat = np.broadcast_to(color, image.shape) + rng.normal(0, rng.uniform(0, 4), image.shape)
        lit = _shaded(np.clip(flat, 0, 255).astype(np.float32) / 255, rng, 0.3)
        return np.asarray((lit.clip(0, 1) * 255).astype(np.uint8))
    if kind == 3:
        noise: np.ndarray = (
            rng.integers(0, 256, image.shape)
            if rng.random() < 0.5
            else rng.normal(128, rng.uniform(20, 90), image.shape)
        )
        noise = np.clip(noise, 0, 255).astype(np.float32)
        if rng.random() < 0.4:
            noise = cv2.GaussianBlur(noise, (0, 0), rng.uniform(0.5, 3))
        return np.asarray(
            noise.astype(np.uint8) if rng.random() < 0.7 else np.repeat(noise[..., :1], 3, 2).astype(np.uint8)
        )
    if kind == 4:
        return _shuffled(image, rng)
    if kind == 5:
        strong = cv2.GaussianBlur(image, (0, 0), image.shape[1] * rng.uniform(0.08, 0.25))
        return np.asarray(strong)
    return np.ascontiguousarray(photometric_augmentation(image, rng)[::-1, ::-1])


def _shuffled(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The image with its pixels, or square tiles of it, shuffled."""
    side = int(rng.choice((1, 4, 16)))
    height, width = (n // side for n in image.shape[:2])
    tiles = (
        image[: height * side, : width * side]
        .reshape(height, side, width, side, 3)
        .swapaxes(1, 2)
        .reshape(-1, side, side, 3)
    )
    tiles = tiles[rng.permutation(len(tiles))].reshape(height, width, side, side, 3).swapaxes(1, 2)
    out = image.copy()
    out[: height * side, : width * side] = tiles.reshape(height * side, width * side, 3)
    return out
