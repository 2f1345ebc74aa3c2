# SPDX-License-Identifier: Apache-2.0
"""Cityscapes: the 19 classes that are evaluated, on the 500 validation frames."""

from pathlib import Path

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation.benchmarks import reading
from vision_banana_ros.evaluation.benchmarks.benchmark import Benchmark, Entry, Frame
from vision_banana_ros.evaluation.benchmarks.protocols import SemanticProtocol

SIZE = (1024, 2048)
IMAGES, TRUTHS = "leftImg8bit/val", "gtFine/val"
IMAGE, TRUTH = "_leftImg8bit.png", "_gtFine_labelIds.png"
#: The number of each class in labelIds, in the order of the train ids.
LABEL_IDS = {
    "road": 7, "sidewalk": 8, "building": 11, "wall": 12, "fence": 13, "pole": 17, "traffic light": 19,
    "traffic sign": 20,
    "vegetation": 21, "terrain": 22, "sky": 23, "person": 24, "rider": 25, "car": 26, "truck": 27, "bus": 28,
    "train": 31,
    "motorcycle": 32, "bicycle": 33,
}  # fmt: skip
MOST = 33  # the last number that a label has
VOID = 255


def open_folder(root: Path) -> list[Entry]:
    """The frames below a folder. InputError where it is not this data set."""
    root = reading.rooted(root, f"{TRUTHS}/*/*{TRUTH}", "leftImg8bit and gtFine")
    stems = {(file.parent.name, file.name.removesuffix(IMAGE)) for file in root.glob(f"{IMAGES}/*/*{IMAGE}")}
    stems |= {(file.parent.name, file.name.removesuffix(TRUTH)) for file in root.glob(f"{TRUTHS}/*/*{TRUTH}")}
    return [
        _entry(root / IMAGES / city / f"{stem}{IMAGE}", root / TRUTHS / city / f"{stem}{TRUTH}", stem)
        for city, stem in sorted(stems)
    ]


def _entry(image: Path, truth: Path, name: str) -> Entry:
    def load() -> Frame:
        picture = reading.picture(image, SIZE)
        ids = reading.raster(truth, np.uint8)
        reading.same_size(ids, picture, truth)
        if ids.max() > MOST:
            raise InputError(
                f"'{truth}' has a label {ids.max()}, and the last is {MOST}: give labelIds,"
                " not trainIds or colours."
            )
        labels = train_ids()[ids]
        if (labels == VOID).all():
            raise InputError(
                f"'{truth}' has no class that is evaluated: its truth is missing, as that of test frames."
            )
        return Frame(picture, labels)

    return Entry(name, (image, truth), load)


def train_ids() -> np.ndarray:
    """(256,) uint8, the train id of each label id, 255 for those that are not evaluated."""
    table = np.full(256, VOID, np.uint8)
    table[list(LABEL_IDS.values())] = np.arange(len(LABEL_IDS))
    return table


BENCHMARKS = (
    Benchmark(
        "cityscapes", "Cityscapes", SemanticProtocol(tuple(LABEL_IDS)), 500, open_folder,
        "https://www.cityscapes-dataset.com (leftImg8bit_trainvaltest, gtFine_trainvaltest)", "Cityscapes"
            " licence: no commercial use",
        "11 GB and 0.25 GB",
        f"{IMAGES}/frankfurt/frankfurt_000000_000294{IMAGE}\n{TRUTHS}/frankfurt/frankfurt_000000_000294{TRUTH}",
        ("Protocol: cityscapesScripts: IoU of sums over the set, void pixels left out, at 1024x2048, all 19"
            " classes in one question."
         " The paper states the single prompt, and not its colours: these are 19 that lie far apart.",),
        SIZE,
    ),
)  # fmt: skip
