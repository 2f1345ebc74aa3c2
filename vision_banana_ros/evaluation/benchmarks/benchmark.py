# SPDX-License-Identifier: Apache-2.0
"""What a benchmark is.

A published data set in its published layout, with the protocol that scores an answer to it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vision_banana_ros.evaluation.benchmarks.protocols import Protocol
from vision_banana_ros.perception import Intrinsics


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture with its truth, as the protocol of its benchmark takes it.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        intrinsics: The data set's own, on the grid of the picture; None where it has none.
    """

    image: np.ndarray
    truth: Any
    intrinsics: Intrinsics | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A frame that is not read yet.

    Attributes:
        name: Its own within the data set, and the same on every machine.
        files: What `load` reads.
        load: Reads it. InputError, which names the file, where it cannot be used.
        texts: What is asked about it in words, where that differs from frame to frame.
    """

    name: str
    files: tuple[Path, ...]
    load: Callable[[], Frame]
    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Benchmark:
    """One row of the table, or one split of one.

    Attributes:
        name: What the command calls it.
        title: What the table calls it.
        frames: How many the published split has; 0 not stated.
        open: Lists the frames below a folder, without reading pictures. InputError where the folder is not
            this data set.
        layout: The folder as a tree; everything is named as it is published.
        notes: What somebody must know who compares the row: where the protocol is from, and every deviation.
        size: (height, width) of all pictures, where the data set has a single one.
        texts: How many expressions the published split has, where frames are asked in words; 0 not stated.
        own: Whether each folder is a row of its own: the names of its frames begin with the folder's.
        takes_mapping: Whether `open` takes what other people's classes are scored as, too.
    """

    name: str
    title: str
    protocol: Protocol
    frames: int
    open: Callable[..., list[Entry]]
    source: str
    licence: str
    download: str
    layout: str
    notes: tuple[str, ...]
    size: tuple[int, int] | None = None
    texts: int = 0
    takes_mapping: bool = False
    own: bool = False
