# SPDX-License-Identifier: Apache-2.0
"""A common interface to TensorRT 10 and 11 and TensorRT-RTX: from a graph to the bytes of an engine.

Networks are strongly typed: the graph defines the precision of each layer. That is optional in TensorRT 10
and the only mode in 11. Precision flags, calibrators and layer precisions are not used.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import Any

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.engines.errors import BuildOutOfMemory
from vision_banana_ros.generators.own.fixed_shapes import frame_dimensions

MAJORS = {"tensorrt": (10, 11), "tensorrt_rtx": (1,)}
_INSTALL = {
    "tensorrt": "pip install tensorrt (it fetches its libraries from NVIDIA's own index; JetPack brings it"
    " along)",
    "tensorrt_rtx": "pip install tensorrt_rtx_cu13",
}
_OPEN = -1
_FRAME = frame_dimensions((16, 16))  # names of the dimensions that follow from the frame's size
_FULL = ("outofmemory", "out of memory", "out_of_memory", "bad_alloc")


@dataclass(frozen=True, slots=True)
class Library:
    """An installed TensorRT."""

    executor: str  # "tensorrt" or "tensorrt_rtx"
    trt: ModuleType
    version: str

    @property
    def title(self) -> str:
        """The name of the library with its version."""
        return f"{'TensorRT-RTX' if self.executor == 'tensorrt_rtx' else 'TensorRT'} {self.version}"


@lru_cache
def open_library(executor: str) -> Library:
    """The library of an executor.

    Raises InputError if it is not installed, broken, or of an unknown version.
    """
    if executor not in MAJORS:
        raise InputError(
            f"The executor '{executor}' needs no engine: engines are for {' and '.join(MAJORS)}."
        )
    try:
        trt = importlib.import_module(executor)
        version = str(trt.__version__)
    except Exception as error:  # the package raises whatever its shared libraries fail with
        raise InputError(
            f"The executor {executor} cannot be used, its package does not load ({error}):"
            f" {_INSTALL[executor]}, "
            "or use the executor onnxruntime."
        ) from error
    if not version.split(".")[0].isdigit() or int(version.split(".")[0]) not in MAJORS[executor]:
        known = " or ".join(f"{major}.x" for major in MAJORS[executor])
        raise InputError(
            f"The executor {executor} works with version {known}; {version} is installed."
            " Install one of those."
        )
    return Library(executor, trt, version)


def log(trt: ModuleType) -> Any:
    """A logger that keeps what TensorRT says of errors in `errors`, newest last, and prints nothing."""

    class Log(trt.ILogger):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR):
                self.errors.append(" ".join(str(message).split()))

    return Log()


def out_of_memory(errors: list[str]) -> bool:
    """Whether that is what TensorRT's errors are about."""
    return any(sign in message.lower() for message in errors for sign in _FULL)


def options(library: Library, precision: str) -> dict[str, bool]:
    """The builder's flags that are set or cleared, by name; they are part of an engine's key."""
    wanted = {
        # TF32 rounds what convolutions read to 10 bits: only where it was asked for.
        "TF32": precision == "tf32",
        # TensorRT-RTX: nothing is allocated while it runs, or the stream could not be captured.
        "REQUIRE_USER_ALLOCATION": True,
    }
    return {name: value for name, value in wanted.items() if hasattr(library.trt.BuilderFlag, name)}


def compile_graph(
    library: Library,
    graph: Path,
    sizes: Mapping[str, Sequence[int]],
    flags: Mapping[str, bool],
    capability: str,
    progress: Callable[[float], None],
) -> Any:
    """Build an engine of an ONNX file; returns a buffer of bytes. Takes seconds to an hour.

    sizes: at least, mostly and at most, of each dimension that the graph leaves open, by its name. flags: of
    the builder, see `options`. capability: of the GPU to build for ("7.5") where TensorRT-RTX has to be told,
    else empty. progress: called with 0..1 from TensorRT's threads. InputError where the graph or the machine
    cannot.
    """
    trt, messages = library.trt, log(library.trt)
    try:
        builder = trt.Builder(messages)
    # without a GPU TensorRT's constructor returns nothing, which pybind11 calls a TypeError
    except Exception as error:
        why = messages.errors[-1] if messages.errors else str(error)
        raise InputError(
            f"{library.title} does not start ({why}): it builds only where its GPU and driver are."
        ) from error
    network = builder.create_network(strongly_typed(trt))
    parse(library, network, graph, messages)
    config = builder.create_builder_config()
    for name, value in flags.items():
        (config.set_flag if value else config.clear_flag)(getattr(trt.BuilderFlag, name))
    if capability:
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(trt.ComputeCapability, f"SM{capability.replace('.', '')}"), 0)
    fix_sizes(builder, network, config, sizes)
    config.progress_monitor = _monitor(trt, progress)
    engine = builder.build_serialized_network(network, config)
    if engine is not None:
        return engine
    why = messages.errors[-1] if messages.errors else "no reason given"
    if out_of_memory(messages.errors):
        raise BuildOutOfMemory(
            f"There was too little memory to build an engine of {graph.name} ({why}): end other programs"
            " that use the GPU and "
            "build again, or use a smaller bundle."
        )
    raise InputError(
        f"{library.title} cannot build an engine of {graph.name} ({why}): use the executor onnxruntime."
    )


def strongly_typed(trt: ModuleType) -> int:
    """The flag of a network whose precisions are those of its graph; 0 where that is the only kind."""
    flag = getattr(getattr(trt, "NetworkDefinitionCreationFlag", None), "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def parse(library: Library, network: Any, graph: Path, messages: Any) -> None:
    """Reads an ONNX graph into a network. Raises InputError with the operators that are not supported."""
    parser = library.trt.OnnxParser(network, messages)
    if parser.parse_from_file(str(graph)):
        return
    faults = [parser.get_error(i) for i in range(parser.num_errors)]
    what = "; ".join(
        f"{fault.node_operator()} at '{fault.node_name()}': {' '.join(fault.desc().split())[:300]}"
        for fault in faults
    )
    raise InputError(
        f"{library.title} cannot read {graph.name} (operator {what or 'unknown'}): "
        "export the bundle again with this version of vision_banana_ros, or use the executor onnxruntime."
    )


def fix_sizes(builder: Any, network: Any, config: Any, sizes: Mapping[str, Sequence[int]]) -> None:
    """Says how large the dimensions can be that the graph leaves open."""
    profile = builder.create_optimization_profile()
    has_open = False
    for tensor in (network.get_input(i) for i in range(network.num_inputs)):
        names = {i: tensor.get_dimension_name(i) for i, d in enumerate(tensor.shape) if d == _OPEN}
        for name in names.values():
            if name not in sizes:
                raise InputError(
                    f"The graph's input '{tensor.name}' leaves the dimension '{name}' open:"
                    " export the bundle again."
                )
        # An engine is for frames of one size; what is the same in any case is no matter of profiles.
        if fixed := {i: sizes[name][0] for i, name in names.items() if name in _FRAME}:
            tensor.shape = tuple(fixed.get(i, d) for i, d in enumerate(tensor.shape))
            names = {i: name for i, name in names.items() if i not in fixed}
        if names:
            has_open = True
            lowest_to_most = (
                tuple(sizes[names[i]][k] if i in names else d for i, d in enumerate(tensor.shape))
                for k in range(3)
            )
            profile.set_shape(tensor.name, *lowest_to_most)
    if has_open:
        config.add_optimization_profile(profile)


class Progress:
    """Converts TensorRT's nested phases to one monotonic number."""

    def __init__(self, report: Callable[[float], None]) -> None:
        self._report = report
        self._lock = Lock()  # phases are reported from several threads
        self._phases: dict[str, tuple[str | None, int]] = {}  # name -> parent, steps
        self._done: dict[str, float] = {}  # name -> steps done
        self._highest = 0.0

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """Called by TensorRT when a phase starts (`IProgressMonitor.phase_start`)."""
        with self._lock:
            self._phases[name] = (parent, max(steps, 1))
            self._done[name] = 0

    def step(self, name: str, step: int) -> None:
        """Called by TensorRT after each step of a phase (`step_complete`); False cancels the build."""
        with self._lock:
            self._done[name] = step + 1
            self._tell(name)

    def finish(self, name: str) -> None:
        """Called by TensorRT when a phase ends (`phase_finish`)."""
        with self._lock:
            if name in self._phases:
                self._done[name] = self._phases[name][1]
                self._tell(name)
                self._phases.pop(name)

    def _tell(self, name: str | None) -> None:
        """The phase's share of its parent's present step, up to the phase that has no parent."""
        fraction, seen = 0.0, set()
        # names come back, so a phase could be found as its own ancestor
        while name in self._phases and name not in seen:
            seen.add(name)
            parent, steps = self._phases[name]
            fraction = min((self._done[name] + fraction) / steps, 1.0)
            name = parent
        if fraction > self._highest:
            self._highest = fraction
            self._report(fraction)


def _monitor(trt: ModuleType, report: Callable[[float], None]) -> Any:
    progress = Progress(report)

    class Monitor(trt.IProgressMonitor):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            progress.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            progress.step(phase_name, step)
            return True

        def phase_finish(self, phase_name: str) -> None:
            progress.finish(phase_name)

    return Monitor()
