# SPDX-License-Identifier: Apache-2.0
"""What the generator itself is taught with: pictures from captions, and edits of pictures."""

import numpy as np

from vision_banana_ros.training.data.questions import Sample
from vision_banana_ros.training.data.records import Record

NO_PICTURE = 128  # a grey frame says that there is no picture to start from
ANY_PICTURE = "A picture."  # stands for a caption now and then, so that guidance has something to lead away from
ANY_PICTURE_SHARE = 0.1
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
    """Two samples, each with its frame: the picture by its caption (no frame), and an edit of a frame.

    Where nothing can be edited, a second caption.
    """
    drawn = (None, _captioned(record, rng))
    if record.edit is None:
        return [drawn, (None, _captioned(record, rng))]
    text, before, after = record.edit
    return [drawn, (before, Sample("edit", text, after))]


def _captioned(record: Record, rng: np.random.Generator) -> Sample:
    text = str(rng.choice(CAPTIONS)).format(caption=str(rng.choice(record.captions)))
    return Sample("picture", ANY_PICTURE if rng.random() < ANY_PICTURE_SHARE else text, record.image)
