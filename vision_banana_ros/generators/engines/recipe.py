# SPDX-License-Identifier: Apache-2.0
"""Everything that an engine depends on, and its cache key."""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.bundle import GRAPHS, Bundle
from vision_banana_ros.generators.engines.cuda import find_device
from vision_banana_ros.generators.engines.library import Library, open_library, options
from vision_banana_ros.generators.own.device_decode import DECODE_GRAPHS
from vision_banana_ros.generators.own.fixed_shapes import frame_dimensions

PRECISIONS = ("fp32", "tf32")
QUESTIONS = (1, 3, 8)  # at least, mostly and at most in one run of an engine
COLORS = (2, 24, 64)  # rows of a semantic palette; a run needs memory for rows times pixels
# TensorRT-RTX compiles for the GPU when the engine is loaded, so its engines are tied to none
PORTABLE = "any"
TURING = "7.5"  # the one GPU that TensorRT-RTX's portable engines leave out


@dataclass(frozen=True)
class Recipe:
    """The recipe of an engine. Engines with equal recipes are interchangeable."""

    bundle: str
    graph: str
    graph_sha256: str  # the ONNX file, its weights included
    library: str
    version: str  # in full: an engine of 10.9.0.33 is none for 10.9.0.34
    gpu: str
    capability: str
    driver: str
    precision: str
    # at least, mostly and at most, of what the graph leaves open; and of the frame
    sizes: dict[str, list[int]]
    options: dict[str, bool]

    @cached_property
    def key(self) -> str:
        """SHA-256 of all fields except the bundle's name, which has no effect."""
        fields = {name: value for name, value in asdict(self).items() if name != "bundle"}
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()

    @property
    def target(self) -> str:
        """The compute capability that the builder needs; empty if it detects it."""
        return TURING if self.library == "tensorrt_rtx" and self.capability == TURING else ""

    def fields(self) -> dict[str, Any]:
        """All fields that the key of the engine is made of."""
        return asdict(self)

    def differences(self, fields: dict[str, Any]) -> list[str]:
        """The differences between an engine's fields and this recipe, in words, one per field."""
        return [
            f"{name} was {_short(fields.get(name))}, is {_short(value)}"
            for name, value in self.fields().items()
            if name != "bundle" and fields.get(name) != value
        ]


def graphs(bundle: Bundle) -> list[str]:
    """The graphs that engines are built of: the three of every bundle, and the decoders of this one."""
    return [*GRAPHS, *(graph for graph in DECODE_GRAPHS.values() if graph in bundle.manifest.files)]


def recipes(bundle: Bundle, executor: str, precision: str = "fp32") -> list[Recipe]:
    """What has to be built to run a bundle with this executor on this machine, in the order of `graphs`.

    InputError where the library or, for TensorRT, the GPU is not there, the precision is not to be had, or
    the bundle has no graphs that engines are built of.
    """
    if bundle.editor_runner:
        raise InputError(
            f"No engines are built of '{bundle.manifest.name}': it is an imported editor, "
            f"which {bundle.editor_runner} runs. "
            "Leave the executor to auto."
        )
    if precision not in PRECISIONS:
        raise InputError(
            f"There is no precision '{precision}' for engines: choose one of {', '.join(PRECISIONS)}."
        )
    library = open_library(executor)
    gpu, capability, driver = _target(library)
    words = bundle.manifest.text_length
    frame = {name: [length] * 3 for name, length in frame_dimensions(bundle.manifest.size).items()}
    sizes = {
        "frame": list(bundle.manifest.size),
        **frame,
        "questions": list(QUESTIONS),
        "words": [words] * 3,
        "colors": list(COLORS),
    }
    return [
        Recipe(
            bundle=bundle.manifest.name,
            graph=graph,
            graph_sha256=bundle.manifest.files[graph],
            library=executor,
            version=library.version,
            gpu=gpu,
            capability=capability,
            driver=driver,
            precision=precision,
            sizes=sizes,
            options=options(library, precision),
        )
        for graph in graphs(bundle)
    ]


def _target(library: Library) -> tuple[str, str, str]:
    if library.executor == "tensorrt":
        device = find_device()
        return device.name, device.capability, device.driver
    try:
        turing = find_device().capability == TURING
    except InputError:  # built ahead, on a machine without a GPU
        turing = False
    return PORTABLE, TURING if turing else PORTABLE, PORTABLE


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return f"'{text[:12]}…'" if len(text) == 64 else f"'{text}'"
