# SPDX-License-Identifier: Apache-2.0
"""The part of the CUDA runtime that is needed to run engines, through NVIDIA's `cuda-bindings`."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from vision_banana_ros.errors import InputError

_DRIVER_VERSION = Path("/sys/module/nvidia/version")
_PINNED = 0  # cudaHostAllocDefault
# cudaEventBlockingSync | cudaEventDisableTiming: a wait that spins would take a core from the robot
_WAIT_ASLEEP = 1 | 2
_NON_BLOCKING = 1  # cudaStreamNonBlocking: not ordered with the legacy default stream


class CudaError(RuntimeError):
    """A call into CUDA failed."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"{what} ({name})")
        self.out_of_memory = name == "cudaErrorMemoryAllocation"


@dataclass(frozen=True, slots=True)
class Device:
    """The GPU for which engines are built and on which they run."""

    name: str
    capability: str  # "8.7"
    driver: str  # kernel driver and the CUDA version that it offers


def import_runtime() -> ModuleType:
    """`cuda.bindings.runtime`. InputError where it is not installed."""
    try:
        import cuda.bindings.runtime as runtime
    except ImportError as error:
        raise InputError(
            "CUDA's Python package is not installed: pip install cuda-bindings (its major version must be"
            " that of your CUDA: "
            "'cuda-bindings<13' for CUDA 12), or use the executor onnxruntime."
        ) from error
    return runtime


@lru_cache(maxsize=1)
def find_device() -> Device:
    """The first CUDA device. Raises InputError if the driver finds none."""
    runtime = import_runtime()
    try:
        properties = call(runtime.cudaGetDeviceProperties, 0)
        cuda = call(runtime.cudaDriverGetVersion)
    except CudaError as error:
        raise InputError(
            f"There is no GPU that CUDA can use: {error}. Check with `nvidia-smi` that the driver is loaded"
            " and new enough, "
            "or use the executor onnxruntime."
        ) from error
    kernel = _DRIVER_VERSION.read_text().strip() if _DRIVER_VERSION.is_file() else "unknown"
    return Device(
        name=properties.name.decode(errors="replace").strip("\0 "),
        capability=f"{properties.major}.{properties.minor}",
        driver=f"{kernel}, CUDA {cuda // 1000}.{cuda % 1000 // 10}",
    )


def call(function: Callable[..., tuple], *arguments: Any) -> Any:
    """The result of a function of the CUDA runtime. Raises CudaError for an error code."""
    error, *values = function(*arguments)
    if int(error) != 0:
        text = import_runtime().cudaGetErrorString(error)[1]
        raise CudaError(error.name, text.decode() if isinstance(text, bytes) else str(text))
    return values[0] if values else None


class Stream:
    """One CUDA stream."""

    def __init__(self) -> None:
        self._runtime = import_runtime()
        self.handle = call(self._runtime.cudaStreamCreateWithFlags, _NON_BLOCKING)

    def __int__(self) -> int:
        return int(self.handle)

    def copy_in(self, device: int, host: np.ndarray) -> None:
        """Copies an array from host memory to a device address, asynchronously."""
        self._copy(device, host.ctypes.data, host.nbytes, self._runtime.cudaMemcpyKind.cudaMemcpyHostToDevice)

    def copy_out(self, host: np.ndarray, device: int) -> None:
        """Copies from a device address into an array in host memory, asynchronously."""
        self._copy(host.ctypes.data, device, host.nbytes, self._runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost)

    def record(self, event: Any) -> None:
        """Records an event after the work queued so far."""
        call(self._runtime.cudaEventRecord, event, self.handle)

    def wait(self, event: Any) -> None:
        """Blocks until the stream has reached the event."""
        call(self._runtime.cudaEventSynchronize, event)

    def synchronize(self) -> None:
        """Waits until all queued work is done."""
        call(self._runtime.cudaStreamSynchronize, self.handle)

    def capture(self, enqueue: Callable[[], None]) -> Any:
        """Captures the work that `enqueue` puts on the stream as an executable CUDA graph."""
        # Other threads (torch, another executor) may go on calling CUDA meanwhile.
        mode = self._runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        call(self._runtime.cudaStreamBeginCapture, self.handle, mode)
        try:
            enqueue()
        finally:
            graph = call(self._runtime.cudaStreamEndCapture, self.handle)
        try:
            return call(self._runtime.cudaGraphInstantiate, graph, 0)
        finally:
            call(self._runtime.cudaGraphDestroy, graph)

    def launch(self, executable: Any) -> None:
        """Queues an instantiated CUDA graph."""
        call(self._runtime.cudaGraphLaunch, executable, self.handle)

    def close(self) -> None:
        """Destroys the stream."""
        self._runtime.cudaStreamDestroy(self.handle)

    def _copy(self, target: int, source: int, size: int, kind: Any) -> None:
        call(self._runtime.cudaMemcpyAsync, target, source, size, kind, self.handle)


class Arena:
    """Memory, events and graphs with a common lifetime. `close` frees them, in any state."""

    def __init__(self) -> None:
        self._runtime = import_runtime()
        self._frees: list[Callable[[], Any]] = []

    def allocate(self, size: int) -> int:
        """Allocates bytes on the device; returns their address."""
        return int(self.own(call(self._runtime.cudaMalloc, size), self._runtime.cudaFree))

    def pinned(self, size: int) -> np.ndarray:
        """(size,) uint8 in page-locked host memory, for asynchronous copies."""
        address = int(self.own(call(self._runtime.cudaHostAlloc, size, _PINNED), self._runtime.cudaFreeHost))
        return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))

    def event(self) -> Any:
        """A new CUDA event that the arena frees."""
        return self.own(
            call(self._runtime.cudaEventCreateWithFlags, _WAIT_ASLEEP), self._runtime.cudaEventDestroy
        )

    def graph(self, executable: Any) -> Any:
        """Takes ownership of an instantiated CUDA graph."""
        return self.own(executable, self._runtime.cudaGraphExecDestroy)

    def own(self, thing: Any, free: Callable[[Any], Any]) -> Any:
        """Takes ownership of a CUDA object; `free` destroys it with the arena."""
        self._frees.append(lambda: free(thing))
        return thing

    def close(self) -> None:
        """Frees everything in reverse order.

        Error codes are ignored, because a failed GPU cannot free either.
        """
        while self._frees:
            self._frees.pop()()
