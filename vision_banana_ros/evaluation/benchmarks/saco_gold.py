# SPDX-License-Identifier: Apache-2.0
"""SA-Co/Gold.

Is there one of a noun phrase, and where is each? Seven parts, three annotators, most phrases fit nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vision_banana_ros.evaluation.benchmarks import reading
from vision_banana_ros.evaluation.benchmarks.benchmark import Benchmark, Entry, Frame
from vision_banana_ros.evaluation.benchmarks.masks import Rle, encode, run_lengths
from vision_banana_ros.evaluation.benchmarks.protocols import Options, Protocol, Sums
from vision_banana_ros.evaluation.scores import IOU_THRESHOLDS, concept_figures
from vision_banana_ros.perception import Perceiver, Question
from vision_banana_ros.tasks.colors import BLACK, Legend

ANNOTATORS = ("a", "b", "c")
#: The parts, their titles, where their photographs are from, and how many pairs of picture and phrase they
#: have.
PARTS = {
    "metaclip": ("MetaCLIP captioner", "metaclip-images", 33393),
    "sa1b": ("SA-1B captioner", "sa1b-images", 13258),
    "crowded": ("crowded", "metaclip-images", 20687),
    "fg_food": ("food and drink", "metaclip-images", 13951),
    "fg_sports_equipment": ("sports equipment", "metaclip-images", 12166),
    "attributes": ("attributes", "metaclip-images", 9245),
    "wiki_common": ("Wiki-Common", "metaclip-images", 65502),
}


@dataclass(frozen=True, slots=True)
class Pair:
    """A phrase about a picture, and the masks of its instances by each annotator."""

    text: str
    masks: tuple[tuple[Rle, ...], ...]


class ConceptProtocol(Protocol):
    """cgF1, pmF1 and IL_MCC as SAM 3's evaluator has them. Truth is a sequence of `Pair`.

    Instances are matched one to one for the greatest sum of IoUs; of the annotators the one counts that the
    answer agrees with best. Where a language model says that a thing is not there, nothing is asked.
    """

    task = "instances"

    def questions(self, texts: Sequence[str], legend: Legend, options: Options) -> list[Question]:
        """One a phrase."""
        return [Question.instances(text, BLACK) for text in texts]

    def measure(self, perceiver: Perceiver, frame: Any, options: Options) -> Sums:
        """For each phrase what `matched` counts."""
        pairs: Sequence[Pair] = frame.truth
        model = options.language_model
        asked = [
            pair for pair in pairs if model is None or model.present(pair.text, frame.image) is not False
        ]
        looks = iter(
            perceiver.look(
                frame.image, self.questions([pair.text for pair in asked], {}, options), frame.intrinsics
            )
        )
        found = {id(pair): next(looks).labels for pair in asked}
        none = np.zeros(frame.image.shape[:2], np.uint16)
        return {"pairs": [matched(found.get(id(pair), none), pair.masks) for pair in pairs]}

    def figures(self, sums: Iterable[Sums], legend: Legend) -> dict[str, Any]:
        """The figures over all pairs."""
        matches, found, true = np.zeros(len(IOU_THRESHOLDS)), 0, 0
        presence, pictures = np.zeros((2, 2)), 0
        for each in sums:
            pictures += 1
            for here, answered, matched_by_threshold in each["pairs"]:
                presence[int(here > 0), int(answered > 0)] += 1
                if here:
                    matches += matched_by_threshold
                    true += here
                    found += answered
        if not pictures:
            return {}
        counts = {"pairs": int(presence.sum()), "negatives": int(presence[0].sum()), "pictures": pictures}
        return {"instances": {**concept_figures(matches, found, true, presence), **counts}}


def matched(labels: np.ndarray, annotators: Sequence[Sequence[Rle]]) -> list[Any]:
    """Numbers of true and predicted instances and matches by IoU threshold, for the best annotator.

    labels: (H, W) whole numbers, 0 where there is none.
    """
    answered = [encode(labels == number) for number in np.unique(labels[labels > 0])]
    best: tuple[float, list[Any]] | None = None
    for masks in annotators:
        if not masks and not answered:
            return [0, 0, [0] * len(IOU_THRESHOLDS)]
        counts = _matches(answered, masks)
        agreement = float(np.mean(2 * counts / (len(answered) + len(masks))))
        if best is None or agreement > best[0]:
            best = agreement, [len(masks), len(answered), counts.tolist()]
    assert best is not None
    return best[1]


def _matches(answered: Sequence[Rle], true: Sequence[Rle]) -> np.ndarray:
    if not answered or not true:
        return np.zeros(len(IOU_THRESHOLDS), np.int64)
    overlaps = reading.needed("pycocotools.mask").iou(list(answered), list(true), [0] * len(true))
    rows, columns = reading.needed("scipy.optimize").linear_sum_assignment(-overlaps)
    return np.array(
        [np.count_nonzero(overlaps[rows, columns] >= threshold - 1e-9) for threshold in IOU_THRESHOLDS]
    )


def opener(part: str, photographs: str) -> Any:
    """What opens a part."""
    names = [f"gold_{part}_merged_{annotator}_release_test.json" for annotator in ANNOTATORS]

    def open_folder(root: Path) -> list[Entry]:
        root = reading.rooted(root, f"annotations/{names[0]}", "annotations and pictures of SA-Co/Gold")
        files = [root / "annotations" / name for name in names]
        read = [_annotator(file) for file in files]
        asked, _ = read[0]
        usable = [
            row
            for key, row in asked.items()
            if all(rows.get(key, {}).get("is_instance_exhaustive") for rows, _ in read)
        ]
        by_picture: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in usable:
            by_picture[row["file_name"]].append(row)
        masks = [found for _, found in read]
        entries = [_entry(root / photographs, name, rows, masks) for name, rows in sorted(by_picture.items())]
        return reading.some(entries, root, "pairs that all three annotated in full")

    return open_folder


def _annotator(file: Path) -> tuple[dict[int, dict[str, Any]], dict[int, list[Any]]]:
    """The pairs by id, and the segmentations of each; crowds left out, as the evaluator does."""
    found = reading.annotations(file, "images", "annotations")
    pairs = reading.by_id(
        found["images"], file, have=("file_name", "text_input", "height", "width", "is_instance_exhaustive")
    )
    masks: dict[int, list[Any]] = defaultdict(list)
    for row in reading.by_id(found["annotations"], file, have=("image_id", "segmentation")).values():
        if not row.get("iscrowd"):
            masks[row["image_id"]].append(row["segmentation"])
    return pairs, masks


def _entry(
    photographs: Path, name: str, rows: list[dict[str, Any]], masks: list[dict[int, list[Any]]]
) -> Entry:
    image = photographs / name

    def load() -> Frame:
        size = rows[0]["height"], rows[0]["width"]
        shown = reading.picture(image, size)

        def pair(row: dict[str, Any]) -> Pair:
            where = f"pair {row['id']}"
            drawn = [
                [run_lengths(mask, *size, where) for mask in found.get(row["id"], [])] for found in masks
            ]
            return Pair(row["text_input"], tuple(map(tuple, drawn)))

        return Frame(shown, tuple(pair(row) for row in rows))

    return Entry(name, (image,), load, tuple(row["text_input"] for row in rows))


def _benchmark(part: str) -> Benchmark:
    title, photographs, pairs = PARTS[part]
    return Benchmark(
        f"saco-gold-{part.replace('_', '-')}",
        f"SA-Co/Gold {title}",
        ConceptProtocol(),
        0,
        opener(part, photographs),
        "https://github.com/facebookresearch/sam3 (scripts/eval/gold)",
        "SAM licence; of the photographs their own",
        f"{pairs:,} pairs of picture and phrase, three files of annotations",
        "\n".join(f"annotations/gold_{part}_merged_{annotator}_release_test.json" for annotator in ANNOTATORS)
        + f"\n{photographs}/1/1001/metaclip_1_1001_....jpeg",
        (
            "Protocol: SAM 3's evaluator: pairs that all three annotated in full, the annotator that suits"
            " the answer best, IoU .5 to"
            " .95, negatives in IL_MCC. Without its guard terms of 1e-4, which are less than 0.01 points."
            " An answer has no scores:"
            " every instance that is painted counts. --limit counts pictures. The paper asks a language"
            " model what is there:"
            " --language-model does so.",
        ),
    )


BENCHMARKS = tuple(_benchmark(part) for part in PARTS)
