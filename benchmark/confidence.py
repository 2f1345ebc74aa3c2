# SPDX-License-Identifier: Apache-2.0
"""Does confidence tell frames that can be used from those that cannot, and sure pixels from unsure ones?
Writes confidence.json.

`python benchmark/confidence.py [BUNDLE] --real tum_robot kitti_street ...`: usable are rendered views and the
real frames (folders as in docs/how_to/real_frames.md), also at a tenth of their brightness; unusable are the
same frames upside down, with shuffled pixels and at a three thousandth of their brightness, and blank and
noise frames. A frame's score is the mean confidence of its depth over all pixels, with 0 for unreadable ones.
AUROC is the probability that a usable frame scores higher than an unusable one (ties count half), once for
the generator alone and once with the node's input check, whose dropped frames score 0. Takes two minutes.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vision_banana_ros.evaluation.junk import junk_frames
from vision_banana_ros.evaluation.report import origin
from vision_banana_ros.generators import default_bundle, load_generator
from vision_banana_ros.perception import Perceiver, Question
from vision_banana_ros.perception.input_check import nothing_to_see
from vision_banana_ros.scenes import make_world, render, sample_camera

USABLE = ("as it is", "a tenth of the light")
RENDERED, FIRST_SEED, SIZE = 12, 900_000, (480, 640)
NOISE = 1.5
"""Of the sensor, in grey levels, which does not fade with the light."""


def rendered() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for seed in range(FIRST_SEED, FIRST_SEED + RENDERED):
        world, rng = make_world(seed), np.random.default_rng(seed)
        view = render(world, sample_camera(world, rng, SIZE[1], SIZE[0]), rng)
        yield view.image, view.depth_m


def real(folder: Path, most: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """At most so many frames of a folder, evenly spread, with their depth where there is one."""
    files = [file for file in sorted(folder.glob("*.png")) if not file.stem.endswith(("_labels", "_depth"))]
    for file in files[:: max(1, -(-len(files) // most))]:
        truth = file.with_name(f"{file.stem}_depth.npz")
        depth_m = np.load(truth)["depth_m"] if truth.is_file() else None
        yield cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB), depth_m


def darker(image: np.ndarray, light: float, rng: np.random.Generator) -> np.ndarray:
    linear = (image / 255.0) ** 2.2 * light
    return (
        np.clip(255 * linear ** (1 / 2.2) + rng.normal(0, NOISE, image.shape), 0, 255)
        .round()
        .astype(np.uint8)
    )


def auroc(usable: list[float], others: list[float]) -> float:
    good, bad = np.array(usable)[:, None], np.array(others)[None]
    return float((good > bad).mean() + (good == bad).mean() / 2)


def surest_half(answer: Any, truth: np.ndarray) -> tuple[float, float, float]:
    """Relative error of the surest half of the pixels, of the half with the smallest errors, below which no
    ranking can come, and of all; depth aligned by the ratio of the medians."""
    known = np.isfinite(truth) & (truth > 0) & np.isfinite(answer.depth_m) & (answer.confidence > 0)
    predicted, true, confidence = answer.depth_m[known], truth[known], answer.confidence[known]
    error = np.abs(predicted * (np.median(true) / np.median(predicted)) - true) / true
    surest = error[np.argsort(-confidence, kind="stable")[: len(error) // 2]]
    return float(surest.mean()), float(np.sort(error)[: len(error) // 2].mean()), float(error.mean())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path, nargs="?", default=default_bundle())
    parser.add_argument("--real", type=Path, nargs="*", default=[], metavar="DIR")
    parser.add_argument("--most", type=int, default=8, help="frames of each folder (default 8)")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args()
    perceiver, rng = Perceiver(load_generator(args.bundle)), np.random.default_rng(0)
    scores: dict[str, list[tuple[float, str]]] = {}
    halves: dict[str, list[tuple[float, float, float]]] = {}

    def look(kind: str, image: np.ndarray) -> Any:
        answer = perceiver.look(image, [Question.depth()])[0]
        scores.setdefault(kind, []).append((float(answer.confidence.mean()), nothing_to_see(image)))
        return answer

    for name, frames in {
        "rendered": rendered(),
        **{folder.resolve().name: real(folder, args.most) for folder in args.real},
    }.items():
        for image, truth in frames:
            answer = look(USABLE[0], image)
            if truth is not None and hasattr(answer, "depth_m"):
                halves.setdefault(name, []).append(surest_half(answer, truth))
            look(USABLE[1], darker(image, 0.1, rng))
            look("upside down", image[::-1])
            look("shuffled pixels", rng.permutation(image.reshape(-1, 3)).reshape(image.shape))
            look("a three thousandth of the light", darker(image, 1 / 3000, rng))
    for kind, image in junk_frames().items():
        look(kind, image)
    kinds = {
        kind: {
            "frames": len(found),
            "confidence": round(float(np.mean([score for score, _ in found])), 4),
            "dropped by the input check": round(float(np.mean([bool(why) for _, why in found])), 4),
        }
        for kind, found in scores.items()
    }
    usable = [entry for kind in USABLE for entry in scores[kind]]
    others = [entry for kind, found in scores.items() if kind not in USABLE for entry in found]
    areas = {
        "generator": auroc([score for score, _ in usable], [score for score, _ in others]),
        "with the input check": auroc(
            [0 if why else s for s, why in usable], [0 if why else s for s, why in others]
        ),
    }
    table = {
        name: dict(
            zip(("surest half", "best possible half", "all"), np.mean(found, axis=0).tolist(), strict=True)
        )
        for name, found in halves.items()
    }
    report = {
        "bundle": perceiver.generator.name,  # type: ignore[attr-defined]
        "executor": perceiver.generator.executor,  # type: ignore[attr-defined]
        **origin(),
        "sets": ["rendered", *(folder.resolve().name for folder in args.real)],
        "auroc": {name: round(area, 4) for name, area in areas.items()},
        "relative error, aligned": {
            name: {k: round(v, 4) for k, v in row.items()} for name, row in table.items()
        },
        "kinds": kinds,
    }
    args.out.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
