# SPDX-License-Identifier: Apache-2.0
"""Shows clouds in a window: results of `run`, or a running node live.

Needs Open3D (`pip install open3d`) and a display.

Keys: 1-9 choose what the points are painted with (picture, depth, normals, classes, masks); N and P the next
and the previous frame of a folder; Q closes.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vision_banana_ros.cli.shared.answer_files import LEGEND
from vision_banana_ros.errors import InputError
from vision_banana_ros.files import parse_array, read_bounded, read_json
from vision_banana_ros.missing import cure
from vision_banana_ros.perception import visualization
from vision_banana_ros.perception.mesh_map import open3d_module
from vision_banana_ros.tasks.colors import parse_color
from vision_banana_ros.tasks.normals import picture as normals_picture

LIVE = {"depth": "depth/color", "normals": "normals/color", "classes": "segmentation/overlay"}
"""What the points of a running node can be painted with, and the topics of it."""
MAX_FILE_BYTES = 256_000_000
_SKY = (0.07, 0.07, 0.09)


@dataclass(frozen=True)
class Cloud:
    """points: (N, 3) metres, optical frame. paints: by name (N, 3) uint8 RGB."""

    name: str
    points: np.ndarray
    paints: dict[str, np.ndarray]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    parser.add_argument(
        "input",
        metavar="FOLDER|live",
        help="the --out folder of `vision-banana run`; or live: a running node",
    )
    parser.add_argument("--node", default="/vision_banana", help="the node to watch (default: %(default)s)")
    parser.add_argument("--camera", default="", help="one of several cameras of the node")


def run(args: argparse.Namespace) -> int:
    """Run the verb. Returns the exit status."""
    open3d = open3d_module()
    clouds = None if args.input == "live" else folder_clouds(Path(args.input))
    window = open3d.visualization.VisualizerWithKeyCallback()
    if not window.create_window("vision-banana view", 1280, 960):
        raise InputError(
            "No window can be opened: there is no display. Look at points.ply and sheet.png on"
            " another machine."
        )
    show = Show(open3d, window)
    try:
        if clouds is None:
            _watch(show, window, args.node, args.camera)
        else:
            show.browse(clouds)
    finally:
        window.destroy_window()
    return 0


def folder_clouds(folder: Path) -> list[Cloud]:
    """The clouds of a folder that `vision-banana run` wrote. InputError where it holds none."""
    if not (folder / LEGEND).is_file():
        raise InputError(
            f"'{folder}' holds no results; give the --out folder of `vision-banana run`, or live."
        )
    legend = read_json(folder / LEGEND)
    found = [frame_cloud(each, legend) for each in sorted(folder.iterdir()) if (each / "depth.npy").is_file()]
    if not found:
        raise InputError(
            f"No frame in '{folder}' has depth and points.ply; ask for depth, and for one camera."
        )
    return found


def frame_cloud(folder: Path, legend: dict[str, Any]) -> Cloud:
    """One frame's cloud with all that its points can be painted with.

    InputError where files are missing or do not fit together.
    """
    try:
        depth_m = _numbers(folder / "depth.npy")
        points, picture = _read_points(folder / "points.ply")
        known = np.isfinite(depth_m)
        if depth_m.ndim != 2 or np.count_nonzero(known) != len(points):
            raise ValueError("depth.npy and points.ply are of different runs")
        near, far = visualization.depth_range(depth_m)
        paints = {"picture": picture, "depth": visualization.depth_picture(depth_m, near, far)[known]}
        if (folder / "normals.npy").is_file():
            paints["normals"] = normals_picture(_numbers(folder / "normals.npy"))[known]
        labels = _grey(folder / "labels.png")
        if labels is not None:
            table = np.zeros((256, 3), np.uint8)
            for entry in legend["classes"]:
                table[entry["id"]] = parse_color(entry["color"])
            paints["classes"] = table[labels][known]
        for entry in legend["masks"]:
            if not isinstance(entry["expression"], str) or Path(entry["file"]).name != entry["file"]:
                raise ValueError("legend.json names a mask that is no text, or a file of another folder")
            mask = _grey(folder / entry["file"])
            if mask is not None:
                painted = picture // 2
                painted[mask[known] > 0] = parse_color(entry["color"])
                paints[entry["expression"]] = painted
        if any(paint.shape != points.shape for paint in paints.values()):
            raise ValueError("a picture or normals.npy has other channels than those of vision-banana run")
    except (OSError, ValueError, LookupError, TypeError, MemoryError, cv2.error) as error:
        raise InputError(f"'{folder}' cannot be shown ({error}); run `vision-banana run` again.") from None
    return Cloud(folder.name, points, paints)


def _numbers(path: Path) -> np.ndarray:
    """An array of an .npy file."""
    return parse_array(read_bounded(path, MAX_FILE_BYTES), path)


def _grey(path: Path) -> np.ndarray | None:
    """A picture of numbers; None where there is none."""
    if not path.is_file():
        return None
    return cv2.imdecode(np.frombuffer(read_bounded(path, MAX_FILE_BYTES), np.uint8), cv2.IMREAD_UNCHANGED)


def _read_points(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """What `write_ply` wrote: (N, 3) metres and (N, 3) uint8 colours."""
    head, found, body = read_bounded(path, MAX_FILE_BYTES).partition(b"end_header\n")
    if not found or b"binary_little_endian" not in head or len(body) % 15:
        raise ValueError("points.ply is not of vision-banana run")
    vertices = np.frombuffer(body, np.dtype([("xyz", "<f4", 3), ("rgb", "u1", 3)]))
    return vertices["xyz"].copy(), vertices["rgb"].copy()


def live_cloud(stamp_ns: int, outputs: dict[str, np.ndarray]) -> Cloud:
    """The cloud of the outputs of one frame, as `VisionBanana.frames` gives them."""
    known = np.isfinite(outputs["points"]).all(-1)
    return Cloud(
        str(stamp_ns), outputs["points"][known], {name: outputs[topic][known] for name, topic in LIVE.items()}
    )


class Show:
    """What the window shows: one cloud, painted in one way. The keys change both.

    Args:
        open3d: The module.
        window: Its visualizer with key callbacks.
    """

    def __init__(self, open3d: Any, window: Any):
        self._open3d, self._window = open3d, window
        self._shape = open3d.geometry.PointCloud()
        self._clouds: list[Cloud] = []
        self._at, self._paint = 0, 0
        window.get_render_option().background_color = _SKY
        window.get_render_option().point_size = 2.0
        for number in range(9):
            window.register_key_callback(ord("1") + number, lambda _, number=number: self._choose(number))
        window.register_key_callback(ord("N"), lambda _: self._step(1))
        window.register_key_callback(ord("P"), lambda _: self._step(-1))

    @property
    def cloud(self) -> Cloud:
        """The cloud that is shown."""
        return self._clouds[self._at]

    @property
    def paint(self) -> str:
        """What its points are painted with; the first there is where this cloud lacks what was chosen."""
        names = list(self.cloud.paints)
        return names[self._paint] if self._paint < len(names) else names[0]

    def put(self, cloud: Cloud) -> None:
        """Show this cloud in place of all others."""
        self._clouds, self._at = [cloud], 0
        self._draw()

    def browse(self, clouds: list[Cloud]) -> None:
        """Show clouds until the window is closed."""
        self._clouds = clouds
        self._draw()
        self._window.run()

    def _choose(self, number: int) -> bool:
        if self._clouds and number < len(self.cloud.paints):
            self._paint = number
            self._draw()
        return True

    def _step(self, step: int) -> bool:
        if self._clouds:
            self._at = (self._at + step) % len(self._clouds)
            self._draw()
        return True

    def _draw(self) -> None:
        first = self._shape.is_empty()
        utility = self._open3d.utility
        self._shape.points = utility.Vector3dVector(self.cloud.points.astype(np.float64))
        self._shape.colors = utility.Vector3dVector(self.cloud.paints[self.paint].astype(np.float64) / 255)
        if first:
            self._window.add_geometry(self._shape)
            view = self._window.get_view_control()
            view.set_front((0, 0, -1))
            view.set_up((0, -1, 0))
        else:
            self._window.update_geometry(self._shape)
        names = ", ".join(
            f"{i} {'[' + name + ']' if name == self.paint else name}"
            for i, name in enumerate(self.cloud.paints, 1)
        )
        print(f"{self.cloud.name}: {len(self.cloud.points)} points; {names}", file=sys.stderr)


def _watch(show: Show, window: Any, node: str, camera: str) -> None:
    try:
        from vision_banana_ros.node.client import VisionBanana
        from vision_banana_ros.node.client.api import Refused
    except ImportError as error:
        raise InputError(cure(error)) from None
    try:
        with VisionBanana(node) as banana:
            for stamp_ns, outputs in banana.frames("points", *LIVE.values(), camera=camera):
                show.put(live_cloud(stamp_ns, outputs))
                if not window.poll_events():
                    return
                window.update_renderer()
    except Refused as error:
        raise InputError(str(error)) from None
