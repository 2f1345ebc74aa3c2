# SPDX-License-Identifier: Apache-2.0
"""How well tracks keep their ids before a simulated camera: writes benchmark/tracks.json.

    PYTHONPATH=. python benchmark/tracks.py

A switch is a frame in which a thing has another id than when it was last seen; a thing out of sight for
longer than a track is kept is a new one. The things of every kind of a world are tracked by their true masks:
as they are, with one box in five missing at random, and by the answers of the installed bundle about the kind
that is seen most (a box is a thing's where it overlaps by half).
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from vision_banana_ros.cli.shared.demo_scene import Scene
from vision_banana_ros.generators import default_bundle, load_generator
from vision_banana_ros.perception import Intrinsics, Perceiver, Question
from vision_banana_ros.perception.detections import Detection, detections
from vision_banana_ros.perception.tracking import LOST_S, Tracker, distance_iou

SEEDS = (1, 2, 3)
SECONDS = 10.0
WIDTH, HEIGHT = 320, 240


class Switches:
    """Counts them for one camera."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[int, float]] = {}
        self.seen = self.switches = 0

    def add(self, thing: int, number: int, t: float) -> None:
        self.seen += 1
        before = self._last.get(thing)
        if before is not None and t - before[1] <= LOST_S and before[0] != number:
            self.switches += 1
        self._last[thing] = number, t


def true_detections(view, kinds: dict[int, str]) -> list[tuple[int, Detection]]:
    """Each thing in view with its number in the world."""
    out = []
    for thing, kind in kinds.items():
        labels = (view.instances == thing).astype(np.uint16)
        answer = SimpleNamespace(labels=labels, confidence=np.ones(labels.shape, np.float32))
        out += [(thing, d) for d in detections({"instances": [answer]}, kind, (), None)]
    return out


def frames(scene: Scene, rate_hz: float) -> Iterator[tuple[float, object]]:
    for i in range(int(SECONDS * rate_hz)):
        yield i / rate_hz, scene.camera.view(i / rate_hz)


def by_truth(scene: Scene, rate_hz: float, missing: float) -> tuple[Switches, int]:
    """The switches, and how many ids were given."""
    kinds = {thing.instance: thing.name for thing in scene.camera.world.objects}
    tracker, switches, ids = Tracker(), Switches(), set()
    rng = np.random.default_rng(0)
    for t, view in frames(scene, rate_hz):
        found = [pair for pair in true_detections(view, kinds) if rng.random() >= missing]
        for (thing, _), tracked in zip(found, tracker([d for _, d in found], round(t * 1e9)), strict=True):
            ids.add(tracked.id)
            switches.add(thing, tracked.id, t)
    return switches, len(ids)


def by_answers(scene: Scene, rate_hz: float, perceiver: Perceiver) -> tuple[Switches, int]:
    kind = {thing.instance: thing.name for thing in scene.camera.world.objects if thing.name == scene.kind}
    tracker, switches, ids = Tracker(), Switches(), set()
    for t, view in frames(scene, rate_hz):
        looks = perceiver.look(view.image, [Question.instances(scene.kind)], Intrinsics.of(view.camera))
        tracked = tracker(detections({"instances": [looks[0]]}, scene.kind, (), None), round(t * 1e9))
        ids |= {one.id for one in tracked}
        truth = true_detections(view, kind)
        if not tracked or not truth:
            continue
        one, other = (np.array([(x + w / 2, y + h / 2, w, h) for x, y, w, h in boxes]) for boxes in (
            [d.box for _, d in truth], [d.detection.box for d in tracked]))  # fmt: skip
        overlap = distance_iou(one, other)
        for i, (thing, _) in enumerate(truth):
            if overlap[i].max() > 0.5:
                switches.add(thing, tracked[int(overlap[i].argmax())].id, t)
    return switches, len(ids)


def main() -> None:
    rows = []
    perceiver = Perceiver(load_generator(default_bundle()))
    scenes = [Scene(seed, WIDTH, HEIGHT, 10.0) for seed in SEEDS]
    for rate_hz in (10.0, 3.0):
        for name, measure in (
            ("true masks", lambda scene, hz: by_truth(scene, hz, 0.0)),
            ("true masks, one in five missing", lambda scene, hz: by_truth(scene, hz, 0.2)),
            (f"answers of {perceiver.generator.name}", lambda scene, hz: by_answers(scene, hz, perceiver)),
        ):
            total: Counter[str] = Counter()
            for scene in scenes:
                switches, ids = measure(scene, rate_hz)
                total.update(boxes=switches.seen, id_switches=switches.switches, ids=ids)
            rows.append({"of": name, "rate_hz": rate_hz, **total})
            print(rows[-1])
    report = {
        "command": "PYTHONPATH=. python benchmark/tracks.py",
        "seeds": SEEDS,
        "seconds": SECONDS,
        "size": [HEIGHT, WIDTH],
        "rows": rows,
    }
    (Path(__file__).parent / "tracks.json").write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
