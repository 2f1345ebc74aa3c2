# SPDX-License-Identifier: Apache-2.0
"""RefCOCO, RefCOCO+ and RefCOCOg (UMD's split): expressions about photographs of COCO train2014."""

from collections import defaultdict
from pathlib import Path
from typing import Any

from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation.benchmarks import reading
from vision_banana_ros.evaluation.benchmarks.benchmark import Benchmark, Entry, Frame
from vision_banana_ros.evaluation.benchmarks.masks import decode, run_lengths
from vision_banana_ros.evaluation.benchmarks.plain_pickle import read_plain_pickle
from vision_banana_ros.evaluation.benchmarks.protocols import Expression, ReferringProtocol

IMAGES = "images/mscoco/images/train2014"


def opener(folder: str, by: str, split: str) -> Any:
    """Opens a split of a data set, by whoever split it ("unc", "umd")."""

    def open_folder(root: Path) -> list[Entry]:
        root = reading.rooted(root, f"{folder}/refs({by}).p", f"{folder} and {IMAGES}")
        references, instances = root / folder / f"refs({by}).p", root / folder / "instances.json"
        refs = _references(references, split)
        found = reading.annotations(instances, "images", "annotations")
        pictures = reading.by_id(found["images"], instances, have=("file_name", "height", "width"))
        masks = reading.by_id(found["annotations"], instances, have=("segmentation",))
        by_picture: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for ref in refs:
            if ref["image_id"] not in pictures or ref["ann_id"] not in masks:
                raise InputError(
                    f"'{references}' names pictures or masks that '{instances}' lacks: take"
                    " both from one download."
                )
            by_picture[ref["image_id"]].append(ref)
        return [
            _entry(root, pictures[number], [(ref, masks[ref["ann_id"]]["segmentation"]) for ref in group])
            for number, group in sorted(by_picture.items())
        ]

    return open_folder


def _references(file: Path, split: str) -> list[dict[str, Any]]:
    found = read_plain_pickle(file)
    have = ("ref_id", "image_id", "ann_id", "split", "sentences")
    if not isinstance(found, list):
        raise InputError(f"'{file}' is no list of references: it is of another version; get the named one.")
    refs = [ref for ref in reading.by_id(found, file, "ref_id", have).values() if ref["split"] == split]
    return reading.some(refs, file, f"references of the split {split}")


def _entry(root: Path, picture: dict[str, Any], refs: list[tuple[dict[str, Any], Any]]) -> Entry:
    image = root / IMAGES / picture["file_name"]
    asked = [
        (sentence["sent"].strip().lower(), ref["ref_id"], mask)
        for ref, mask in refs
        for sentence in ref["sentences"]
    ]

    def load() -> Frame:
        size = picture["height"], picture["width"]
        shown = reading.picture(image, size)
        made = {ref: decode(run_lengths(mask, *size, where=f"reference {ref}")) for _, ref, mask in asked}
        return Frame(shown, tuple(Expression(text, made[ref]) for text, ref, _ in asked))

    return Entry(image.stem, (image,), load, tuple(text for text, _, _ in asked))


def _benchmark(folder: str, title: str, by: str, split: str, frames: int, expressions: int) -> Benchmark:
    return Benchmark(
        f"{folder}-{split}".lower(),
        f"{title} {split}",
        ReferringProtocol(),
        frames,
        opener(folder, by, split),
        "https://github.com/lichengunc/refer (annotations), https://cocodataset.org (train2014)",
        "CC BY 4.0 (annotations); of each photograph its own",
        f"{frames:,} pictures of 13 GB, {expressions:,} expressions",
        f"{folder}/refs({by}).p\n{folder}/instances.json\n{IMAGES}/COCO_train2014_000000000009.jpg",
        (
            "Protocol: LISA's public evaluation: every sentence of every reference once; cIoU of sums over"
            " the set, gIoU the mean of"
            " IoUs. The paper does not state its own.",
        ),
        texts=expressions,
    )


BENCHMARKS = (
    _benchmark("refcocog", "RefCOCOg UMD", "umd", "val", 1300, 4896),
    _benchmark("refcocog", "RefCOCOg UMD", "umd", "test", 2600, 9602),
    _benchmark("refcoco", "RefCOCO", "unc", "val", 1500, 10834),
    _benchmark("refcoco", "RefCOCO", "unc", "testA", 750, 5657),
    _benchmark("refcoco", "RefCOCO", "unc", "testB", 750, 5095),
    _benchmark("refcoco+", "RefCOCO+", "unc", "val", 1500, 10758),
    _benchmark("refcoco+", "RefCOCO+", "unc", "testA", 750, 5726),
    _benchmark("refcoco+", "RefCOCO+", "unc", "testB", 750, 4889),
)
