# SPDX-License-Identifier: Apache-2.0
"""Verifies executors with a stored frame and the answers that the bundle's graphs gave to it.

A driver, a compiler or a CPU without the right instructions can make an executor silently wrong. Each
executor therefore processes the stored frame when it is loaded, and is rejected if its pictures differ by
more than its precision explains.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.files import write_bytes
from vision_banana_ros.generators.bundle import REFERENCE, Bundle, open_bundle, renew_manifest
from vision_banana_ros.generators.errors import WrongAnswers
from vision_banana_ros.generators.own.tokenizer import tokenize
from vision_banana_ros.tasks import depth, normals

QUESTIONS = (depth.instruction, normals.instruction)
"""The prompts for the reference frame."""
TOLERANCES = {"fp32": 1.0, "fp16": 2.0, "bf16": 6.0, "int8": 6.0}
"""Maximum mean difference of colours (0-255) by the precision in the executor's name.

Measured for comparison: ONNX Runtime's int8 graphs on a CPU with the instructions for them 1.0; a mirrored
frame 18; a frame with two channels swapped 11.
"""
OUTSIDE = 0.25
"""Tolerated overshoot of painted values beyond 0..1; pixels beyond it are invalid."""


class Answering(Protocol):
    """The part of an executor that is verified."""

    @property
    def name(self) -> str:
        """Name of the executor."""

    def encode_image(self, image: np.ndarray) -> Any:
        """Encodes a frame, (H, W, 3) uint8 RGB, to features."""

    def encode_text(self, pieces: np.ndarray, colors: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Encodes tokenised prompts."""

    def answer(self, features: Any, text: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Paints the answers, (N, H, W, 3) float32 in [0, 1]."""


def write_reference(path: Path, frame: np.ndarray, executor: Answering) -> None:
    """Stores a frame with the answers of an executor, and renews the manifest.

    Args:
        path: The bundle's folder, with all graphs in it.
        frame: (H, W, 3) uint8 RGB of the bundle's resolution, of a scene with depth and edges.
        executor: The reference: fp32 graphs on the CPU.
    """
    bundle = open_bundle(path)
    if frame.shape != (*bundle.manifest.size, 3) or frame.dtype != np.uint8:
        raise InputError(
            f"The stored frame must be uint8 of {(*bundle.manifest.size, 3)}, not"
            f" {frame.dtype} of {frame.shape}."
        )
    instructions = tuple(instruction() for instruction in QUESTIONS)
    painted = _answers(bundle, executor, frame, instructions)
    stored = np.concatenate([frame, *(painted.clip(0, 1) * 255).round().astype(np.uint8)])
    ok, data = cv2.imencode(".png", cv2.cvtColor(stored, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    assert ok
    write_bytes(path / REFERENCE, data.tobytes())
    renew_manifest(path, reference=instructions)


def check_answers(bundle: Bundle, executor: Answering) -> str:
    """Verifies an executor with the stored answers.

    Args:
        bundle: The open bundle.
        executor: The executor.

    Returns:
        A sentence for the log: the difference, or that the bundle stores no answers.

    Raises:
        WrongAnswers: If it differs by more than its precision explains, or its pictures have another size or
            NaN in them.
    """
    if REFERENCE not in bundle.manifest.files or not bundle.manifest.reference:
        return "The bundle stores no answers to check it by (it was made before 0.2)."
    frame, expected = stored_answers(bundle)
    painted = _answers(bundle, executor, frame, bundle.manifest.reference)
    if painted.shape != expected.shape:
        raise WrongAnswers(
            f"{executor.name} paints pictures of {painted.shape}, not of {expected.shape}: do not use it."
        )
    if not np.isfinite(painted).all():
        raise WrongAnswers(
            f"{executor.name} paints colours that are no numbers (NaN or infinite) for the stored frame: do"
            " not use it."
        )
    differs = np.abs(painted * 255 - expected).mean((1, 2, 3)).max()
    allowed = next(
        (most for name, most in TOLERANCES.items() if name in executor.name), max(TOLERANCES.values())
    )
    if differs > allowed:
        raise WrongAnswers(
            f"{executor.name} answers wrongly on this machine: its pictures of the stored frame differ from"
            " the stored ones by"
            f" {differs:.1f} of 255 on average, {allowed:g} are allowed. Update its driver and libraries,"
            " or use another executor."
        )
    return f"Its answers to the stored frame differ from the stored ones by {differs:.2f} of 255 on average."


def trusted(painted: np.ndarray, count: int, size: tuple[int, int]) -> np.ndarray:
    """Checks painted pictures, and replaces pixels outside [0, 1] by NaN, which decodes as invalid.

    Args:
        painted: The output of an executor.
        count: The expected number of pictures.
        size: Their expected height and width.

    Returns:
        (count, H, W, 3) floats in [0, 1], or NaN.

    Raises:
        WrongAnswers: If the shape is wrong, because pixels would be assigned to wrong places.
    """
    if painted.shape != (count, *size, 3):
        raise WrongAnswers(
            f"The generator painted {painted.shape} in place of {(count, *size, 3)}: the answer is not used."
        )
    with np.errstate(invalid="ignore"):
        colors = (painted >= -OUTSIDE) & (painted <= 1 + OUTSIDE)
    return painted if colors.all() else np.where(colors.all(-1, keepdims=True), painted, np.float32(np.nan))


def stored_answers(bundle: Bundle) -> tuple[np.ndarray, np.ndarray]:
    """The reference frame, (H, W, 3) uint8, and its answers, (N, H, W, 3), 0-255."""
    try:
        picture = cv2.imdecode(np.frombuffer(bundle.read(REFERENCE), np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # of more pixels than OpenCV may unpack
        picture = None
    height, width = bundle.manifest.size
    if picture is None or picture.shape != ((1 + len(bundle.manifest.reference)) * height, width, 3):
        raise InputError(
            f"{REFERENCE} of bundle '{bundle.path}' does not hold a frame and its answers:"
            " export the bundle again."
        )
    parts = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).reshape(-1, height, width, 3)
    return np.ascontiguousarray(parts[0]), parts[1:].astype(np.float32)


def _answers(
    bundle: Bundle, executor: Answering, frame: np.ndarray, instructions: Sequence[str]
) -> np.ndarray:
    manifest = bundle.manifest
    prompts = [
        tokenize(instruction, manifest.text_length, manifest.text_buckets) for instruction in instructions
    ]
    pieces, colors, mask = (
        np.stack([getattr(prompt, part) for prompt in prompts]) for part in ("pieces", "colors", "mask")
    )
    text = executor.encode_text(pieces, colors, mask)
    return executor.answer(executor.encode_image(frame), text, mask)
