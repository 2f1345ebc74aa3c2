# SPDX-License-Identifier: Apache-2.0
"""Samples of image generation from captions, and of image editing."""

import numpy as np

from vision_banana_ros.training.data.questions import Sample
from vision_banana_ros.training.data.records import Record

NO_PICTURE = 128  # grey level of the frame if there is no image to start from
ANY_PICTURE = "A picture."  # unconditional prompt for classifier-free guidance
ANY_PICTURE_SHARE = 0.1  # probability of replacing a caption by it
CAPTIONS = (
    "{caption}",
    "{caption}",
    "{caption}",
    "A picture of {caption}.",
    "Paint {caption}.",
    "Generate an image of {caption}.",
    "Draw {caption}.",
    "A photo: {caption}.",
    "Show me {caption}.",
    "An image that shows {caption}.",
)


def draw_pictures(record: Record, rng: np.random.Generator) -> list[tuple[np.ndarray | None, Sample]]:
    """Draws two samples of a view: a caption, and an edit, or a second caption if there is no edit.

    Args:
        record: The view.
        rng: Random generator.

    Returns:
        Samples with their frames, (H, W, 3) uint8; None for generation.
    """
    drawn = (None, _captioned(record, rng))
    if record.edit is None:
        return [drawn, (None, _captioned(record, rng))]
    text, before, after = record.edit
    return [drawn, (before, Sample("edit", text, after))]


def _captioned(record: Record, rng: np.random.Generator) -> Sample:
    text = str(rng.choice(CAPTIONS)).format(caption=str(rng.choice(record.captions)))
    return Sample("picture", ANY_PICTURE if rng.random() < ANY_PICTURE_SHARE else text, record.image)
