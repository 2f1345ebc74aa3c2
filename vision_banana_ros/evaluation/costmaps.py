# SPDX-License-Identifier: Apache-2.0
"""Nav2's costmap layers, rule by rule, in NumPy: what a preset makes of the frames that the node publishes.

`marked` follows nav2_costmap_2d's ObservationBuffer and VoxelLayer (or ObstacleLayer) without its clearing;
`SemanticTiles` follows ros-navigation/semantic_segmentation_layer. Points are in the costmap's frame: metres,
z up.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Cell = tuple[int, int]
UNSEEN = (0, 0, 0, 0, False)
"""What the semantic layer takes for the costs of a class that is not listed."""


def marked(points: np.ndarray, origin: np.ndarray, source: Mapping[str, Any]) -> np.ndarray:
    """Which points of a cloud mark their cell as lethal.

    Args:
        points: (N, 3) finite points in the costmap's frame.
        origin: (3,) where the sensor is, in the same frame.
        source: The observation source's parameters, such as obstacle_max_range.

    Returns:
        (N,) bool.
    """
    height = points[:, 2]
    distance = np.linalg.norm(points - origin, axis=1)
    high_enough = (height >= source["min_obstacle_height"]) & (height <= source["max_obstacle_height"])
    return (
        high_enough & (distance < source["obstacle_max_range"]) & (distance >= source["obstacle_min_range"])
    )


def cells_of(points: np.ndarray, resolution: float) -> np.ndarray:
    """(N, 3) or (N, 2) points -> (N, 2) whole numbers of the cells below them."""
    return np.floor(np.asarray(points)[:, :2] / resolution).astype(np.int64)


@dataclass
class SemanticTiles:
    """The semantic layer's memory of one observation source.

    source: its parameters, such as class_types. resolution: metres, edge of a cell.
    """

    source: Mapping[str, Any]
    resolution: float = 0.05
    _queues: dict[Cell, dict[int, list[tuple[float, float]]]] = field(default_factory=dict)
    _dominant: dict[Cell, int] = field(default_factory=dict)
    _names: Mapping[int, str] = field(default_factory=dict)

    def add(
        self,
        points: np.ndarray,
        origin: np.ndarray,
        labels: np.ndarray,
        confidence: np.ndarray,
        names: Mapping[int, str],
        stamp_s: float,
    ) -> dict[Cell, int]:
        """Takes one frame.

        Args:
            points: (H, W, 3) in the costmap's frame, NaN kept.
            origin: (3,) where the camera is.
            labels: (H, W) class ids.
            confidence: (H, W) 0 to 255.
            names: What the ids mean, as the LabelInfo says.
            stamp_s: The frame's stamp, seconds.

        Returns:
            The class that each cell was given by this frame, listed or not.
        """
        self._names = names
        chosen = self._one_pixel_a_tile(points.reshape(-1, 3), origin, labels.ravel(), confidence.ravel())
        self._forget(stamp_s)
        for cell, (label, sure) in chosen.items():
            if names.get(label) in self._costs:
                self._push(cell, label, sure, stamp_s)
        return {cell: label for cell, (label, _) in chosen.items()}

    def costs(self) -> dict[Cell, int]:
        """The cost of each cell that has an observation."""
        result = {}
        for cell, label in self._dominant.items():
            base, most, mark, samples, _ = self._costs[self._names[label]]
            seen = self._queues[cell][label]
            mean = sum(sure for _, sure in seen) / len(seen)
            result[cell] = most if len(seen) >= samples and mean > mark else base
        return result

    @property
    def _costs(self) -> dict[str, tuple[int, int, int, int, bool]]:
        keys = ("base_cost", "max_cost", "mark_confidence", "samples_to_max_cost", "dominant_priority")
        kinds = (self.source[kind] for kind in self.source["class_types"])
        return {name: tuple(kind[key] for key in keys) for kind in kinds for name in kind["classes"]}  # type: ignore[misc]

    def _one_pixel_a_tile(
        self, points: np.ndarray, origin: np.ndarray, labels: np.ndarray, confidence: np.ndarray
    ) -> dict[Cell, tuple[int, float]]:
        """Of the pixels over a tile the costliest, or the surest; of equals the first of the image."""
        distance = np.linalg.norm(points - origin, axis=1)
        in_range = (distance > self.source["min_obstacle_distance"]) & (
            distance < self.source["max_obstacle_distance"]
        )
        pixels = np.flatnonzero(np.isfinite(points[:, 2]) & in_range)
        if self.source["use_cost_selection"]:
            cost = np.array([self._costs.get(self._names.get(i, ""), UNSEEN)[1] for i in range(256)])
            worth = cost[labels[pixels]]
        else:
            worth = confidence[pixels].astype(np.int64)
        cells = cells_of(points[pixels], self.resolution)
        order = np.lexsort((pixels, -worth, cells[:, 1], cells[:, 0]))
        ordered = cells[order]
        first = np.ones(len(order), bool)
        first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
        best = order[first]
        return {
            (int(x), int(y)): (int(labels[pixels[i]]), float(confidence[pixels[i]]))
            for i, (x, y) in zip(best, cells[best], strict=True)
        }

    def _push(self, cell: Cell, label: int, sure: float, stamp_s: float) -> None:
        queues = self._queues.setdefault(cell, {})
        queues.setdefault(label, []).append((stamp_s, sure))
        dominant = self._dominant.get(cell)
        if self._costs[self._names[label]][4] or len(queues[label]) > len(
            queues.get(dominant, []) if dominant is not None else []
        ):
            if dominant not in (None, label):
                self._queues[cell] = {label: queues[label]}
            self._dominant[cell] = label

    def _forget(self, now_s: float) -> None:
        """Drops observations older than tile_map_decay_time.

        The class with most of those left becomes dominant.
        """
        oldest = now_s - self.source["tile_map_decay_time"]
        for cell, queues in list(self._queues.items()):
            left = {label: [o for o in seen if o[0] >= oldest] for label, seen in queues.items()}
            left = {label: seen for label, seen in left.items() if seen}
            if not left:
                del self._queues[cell], self._dominant[cell]
                continue
            self._queues[cell] = left
            if self._dominant[cell] not in left:
                self._dominant[cell] = max(left, key=lambda label: len(left[label]))
