# SPDX-License-Identifier: Apache-2.0
"""The demonstration's camera, its exact truth, and how well the outputs agree with it."""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vision_banana_ros.cli.shared.answer_files import write_sheet
from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation.evaluate import in_legend
from vision_banana_ros.evaluation.scores import (
    DepthScore,
    InstancesScore,
    NormalsScore,
    ReferringScore,
    SemanticScore,
)
from vision_banana_ros.node.client.camera_publisher import CameraPublisher
from vision_banana_ros.node.client.demo import SHOWN, Recorder
from vision_banana_ros.perception import Intrinsics, points, visualization
from vision_banana_ros.perception.camera import Calibration
from vision_banana_ros.perception.ply import write_ply
from vision_banana_ros.perception.questions import RGB
from vision_banana_ros.scenes import SimulatedCamera, View, WorldObject
from vision_banana_ros.scenes.language.expressions import COLORLESS, LEAST, alike
from vision_banana_ros.tasks.normals import picture as normals_picture

SAMPLE_S = 1.0
"""One frame of each such span is compared with the truth: that takes rendering it again."""


class Scene:
    """A simulated camera that publishes in a thread of its own and remembers which stamp showed what."""

    def __init__(self, seed: int, width: int, height: int, rate_hz: float):
        self.camera = SimulatedCamera(seed, width, height, rate_hz)
        self.rate_hz = rate_hz
        shares = _shares(self.camera)
        self.target = _target(self.camera.world.objects, shares)
        self.kind = _kind(self.camera.world.objects, shares)
        self.indices: dict[int, int] = {}
        self._span_ns = (0, 0)
        self.samples: dict[int, int] = {}

    @property
    def expression(self) -> str:
        """Words that fit one thing of this world only."""
        return f"the {self.target.color} {self.target.name}"

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """What is published from here to the end of the `with` counts."""
        started = time.time_ns()
        self._span_ns = started, 2**63
        yield
        self._span_ns = started, time.time_ns()

    @property
    def measured(self) -> list[int]:
        """The stamps that count."""
        first, last = self._span_ns
        return [stamp for stamp in list(self.indices) if first <= stamp < last]

    def keeps(self, stamp_ns: int) -> bool:
        """Whether the outputs of a stamp are to be compared with the truth.

        The first that arrives of each span.
        """
        first, last = self._span_ns
        if not first <= stamp_ns < last or stamp_ns not in self.indices:
            return False
        span = int(self.indices[stamp_ns] / (SAMPLE_S * self.rate_hz))
        return self.samples.setdefault(span, stamp_ns) == stamp_ns

    def truth(self, stamp_ns: int) -> View:
        """What the camera saw at a stamp: the same frame, rendered again."""
        return self.camera.view(self.indices[stamp_ns] / self.rate_hz)

    @contextmanager
    def publishing(self, namespace: str) -> Iterator[None]:
        """The camera's thread runs inside the `with`; its topics are in the namespace."""
        stop = threading.Event()
        thread = threading.Thread(target=self._publish, args=(stop, namespace), name="camera", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(10)

    def _publish(self, stop: threading.Event, namespace: str) -> None:
        with CameraPublisher(ros_args=["--ros-args", "-r", f"__ns:={namespace}"]) as publisher:
            started, index = time.monotonic(), -1
            while not stop.is_set():
                # A frame that is not rendered in time is left out: the world keeps its own pace.
                index = max(index + 1, int((time.monotonic() - started) * self.rate_hz))
                view = self.camera.view(index / self.rate_hz)
                stop.wait(max(0.0, started + index / self.rate_hz - time.monotonic()))
                stamp = publisher.now_ns()
                self.indices[stamp] = index
                publisher.publish(view.image, Calibration.of_pinhole(Intrinsics.of(view.camera)), stamp)


def _shares(camera: SimulatedCamera) -> np.ndarray:
    """(times, instances + 1): which part of the picture each thing covers in the first half minute."""
    views = [camera.view(t).instances.ravel() for t in (0.0, 8.0, 16.0, 24.0)]
    n = len(camera.world.objects) + 1
    return np.array([np.bincount(view, minlength=n)[:n] / view.size for view in views])


def _target(things: list[WorldObject], shares: np.ndarray) -> WorldObject:
    """The thing best in view whose colour and name fit nothing else."""
    clear = [thing for thing in things if not any(is_rival(thing, other) for other in things)]
    clear = [thing for thing in clear if thing.class_name not in (*COLORLESS, "door")]
    if not clear:
        raise InputError("This world has nothing that a colour and a name tell apart; take another --seed.")
    return max(clear, key=lambda thing: float(np.minimum(shares[:, thing.instance], 0.03).sum()))


def _kind(things: list[WorldObject], shares: np.ndarray) -> str:
    """The name of most things in view."""
    in_view = (shares > LEAST).sum(axis=0)
    counts: Counter[str] = Counter()
    for thing in things:
        counts[thing.name] += int(in_view[thing.instance])
    return counts.most_common(1)[0][0]


def is_rival(thing: WorldObject, other: WorldObject) -> bool:
    """Whether the colour and name of a thing also fit another one."""
    named_alike = thing.name in (other.name, other.class_name)
    return (
        other is not thing and named_alike and (thing.color == other.color or alike(thing.color, other.color))
    )


@dataclass(frozen=True)
class Results:
    """What the demonstration shows.

    A table, what is missing or wrong, the tiles of its picture, and a cloud.
    """

    table: str
    faults: list[str]
    tiles: list[visualization.Tile]
    cloud: tuple[np.ndarray, np.ndarray]


def score(client: Recorder, scene: Scene, legend: Mapping[str, RGB], value: int, seconds: float) -> Results:
    """Compares what was heard with the camera's truth, frame by frame by their stamps.

    value: of the expression in referring/mask.
    """
    published = scene.measured
    faults = _faults(client, scene)
    errors, tiles, cloud = _compare(client, scene, legend, value)
    lines = [f"{'output':24}{'rate':>8}{'age p50':>10}{'age p99':>10}   against the truth"]
    counted = set(published)
    for topic, heard in client.heard.items():
        ages = [age * 1e3 for stamp, age in zip(heard.stamps, heard.ages_s, strict=True) if stamp in counted]
        p50, p99 = np.percentile(ages, (50, 99)) if ages else (np.nan, np.nan)
        rate = len(ages) / seconds
        lines.append(f"{topic:24}{rate:5.1f} Hz{p50:7.0f} ms{p99:7.0f} ms   {errors.get(topic, '')}".rstrip())
    answered = len(counted & set(client.heard["depth/image_rect"].stamps))
    lines.append(
        f"{len(published)} frames published ({len(published) / seconds:.1f} Hz), {answered} answered, "
        f"{len(published) - answered} not; {len(_complete(client))} compared with the truth."
    )
    drops = {
        k.removeprefix("dropped: "): v for k, v in client.diagnostics.items() if k.startswith("dropped: ")
    }
    lines.append(
        "Drops that the node counted: " + ", ".join(f"{count} {reason}" for reason, count in drops.items())
    )
    return Results("\n".join(lines), faults, tiles, cloud)


def _faults(client: Recorder, scene: Scene) -> list[str]:
    """What a good run has none of."""
    faults = []
    for topic in ("depth/image_rect", "normals/image"):
        kept = [heard[topic] for heard in client.kept.values() if topic in heard]
        if kept and not any((np.isfinite(values) & (values != 0)).any() for values in kept):
            faults.append(f"Nothing on {topic} could be read as an answer.")
    for topic, heard in client.heard.items():
        if not set(heard.stamps) & set(scene.measured):
            faults.append(f"Nothing arrived on {topic}.")
        if heard.faults:
            faults.append(f"{len(heard.faults)} messages on {topic} could not be read: {heard.faults[0]}")
        if strangers := set(heard.stamps) - set(scene.indices):
            faults.append(f"{len(strangers)} messages on {topic} have stamps that no frame had.")
        if len(set(heard.stamps)) < len(heard.stamps):
            faults.append(f"Some stamps came twice on {topic}.")
    if client.labels_expected and not client.labels:
        faults.append("The latched labels did not arrive on segmentation/labels.")
    if not client.diagnostics:
        faults.append("Nothing of the node arrived on /diagnostics.")
    return faults


def _compare(
    client: Recorder, scene: Scene, legend: Mapping[str, RGB], value: int
) -> tuple[dict[str, str], list[visualization.Tile], tuple[np.ndarray, np.ndarray]]:
    """The errors a topic in words, and tiles and cloud of the last frame that has every output."""
    depth, normals, semantic = DepthScore(), NormalsScore(), SemanticScore(tuple(legend))
    referring, instances = ReferringScore(), InstancesScore()
    confidence: list[float] = []
    distances: list[float] = []
    cameras: set[bool] = set()
    tiles: list[visualization.Tile] = []
    cloud = np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8)
    kind = [thing.instance for thing in scene.camera.world.objects if thing.name == scene.kind]
    for stamp, heard in sorted(_complete(client).items()):
        view = scene.truth(stamp)
        labels = in_legend(view.labels, tuple(legend))
        mask = heard["referring/mask"] == value
        facing = heard["normals/image"] * np.array((1, -1, -1), np.float32)
        depth.add(heard["depth/image_rect"], view.depth_m)
        normals.add(facing, view.normals)
        semantic.add(heard["segmentation/mask"], labels)
        referring.add(mask, view.instances == scene.target.instance)
        instances.add(heard["instances/mask"], np.where(np.isin(view.instances, kind), view.instances, 0))
        confidence.append(float(heard["segmentation/confidence"].mean()) / 255)
        camera = Intrinsics.of(view.camera)
        off = np.linalg.norm(heard["points"] - points(view.depth_m, camera), axis=2)
        distances.append(float(np.nanmedian(off)))
        expected = [camera.width, camera.height, camera.fx, 0, camera.cx, 0, camera.fy, camera.cy, 0, 0, 1]
        cameras.add(bool(np.allclose(heard["depth/camera_info"], expected)))
        tiles = _tiles(view, heard, facing, mask, labels, legend, scene)
        cloud = heard["points"], view.image
    d, n, s, r, i = (score.result() for score in (depth, normals, semantic, referring, instances))
    words = {
        "depth/image_rect": f"AbsRel {d['absrel']:.3f}, delta1 {d['delta1']:.3f}, {d['readable']:.1%}"
        " readable",
        "depth/camera_info": "exact" if cameras == {True} else "WRONG",
        "normals/image": f"median {n['median_deg']:.1f}, mean {n['mean_deg']:.1f} degrees",
        "segmentation/mask": f"mIoU {s['miou']:.3f}, {s['pixel_accuracy']:.1%} of pixels right",
        "segmentation/confidence": f"mean {np.mean(confidence):.2f}" if confidence else "",
        "referring/mask": f'IoU {r["ciou"]:.3f} for "{scene.expression}"',
        "instances/mask": f"pmF1 {i['pmf1']:.3f} for every {scene.kind}",
        "points": f"median {np.median(distances):.2f} m off" if distances else "",
    }
    return words, tiles, cloud


def _complete(client: Recorder) -> dict[int, dict[str, np.ndarray]]:
    """The kept frames that have every output."""
    return {stamp: heard for stamp, heard in client.kept.items() if len(heard) == len(SHOWN)}


def _tiles(
    view: View,
    heard: Mapping[str, np.ndarray],
    facing: np.ndarray,
    mask: np.ndarray,
    labels: np.ndarray,
    legend: Mapping[str, RGB],
    scene: Scene,
) -> list[visualization.Tile]:
    """The answers in the upper row, the truth below."""
    near, far = visualization.depth_range(view.depth_m)
    red = (255, 60, 60)
    shown = {name: color for k, (name, color) in enumerate(legend.items()) if (labels == k).any()}
    truth = view.instances == scene.target.instance
    tile = visualization.Tile
    return [
        tile("camera", view.image),
        tile(
            "depth",
            visualization.depth_picture(heard["depth/image_rect"], near, far),
            "",
            visualization.color_bar(near, far),
        ),
        tile("normals", normals_picture(facing)),
        tile(
            "segmentation",
            visualization.labels_overlay(view.image, heard["segmentation/mask"], legend),
            "",
            shown,
        ),
        tile(scene.expression, visualization.mask_overlay(view.image, mask, red)),
        tile(f"every {scene.kind}", visualization.instances_overlay(view.image, heard["instances/mask"])),
        tile("truth: depth", visualization.depth_picture(view.depth_m, near, far)),
        tile("truth: normals", normals_picture(view.normals)),
        tile("truth: segmentation", visualization.labels_overlay(view.image, labels, legend)),
        tile(f"truth: {scene.expression}", visualization.mask_overlay(view.image, truth, red)),
    ]


def write_results(folder: Path, results: Results) -> None:
    """sheet.png, points.ply and table.txt."""
    (folder / "table.txt").write_text(results.table + "\n")
    if results.tiles:
        write_sheet(folder / "sheet.png", results.tiles, "vision-banana demo", columns=5)
        write_ply(folder / "points.ply", *results.cloud)
