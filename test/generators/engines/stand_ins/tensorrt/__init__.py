# SPDX-License-Identifier: Apache-2.0
"""A TensorRT that is none: the Python API that the package uses, of generation 10 or 11 by STAND_IN_TENSORRT
(a version).

It builds "engines" that hold the ONNX file, and runs them with ONNX Runtime at the addresses that it is
given, on the stand-in for CUDA. What TensorRT 11 has removed is not there either. For builds: STAND_IN_STEP_S
makes each step take so long, STAND_IN_FAILS is "memory" (TensorRT's word for a full GPU), "killed" (as the
kernel does) or "refuses"; STAND_IN_RECORD names a file that gets a line for every build.
"""

import ctypes
import json
import os
import re
import signal
import time
from enum import IntEnum

import numpy as np
import onnxruntime
from cuda.bindings import runtime as _cuda

__version__ = os.environ.get("STAND_IN_TENSORRT", "11.4.1.5")
_MAJOR = int(__version__.split(".")[0])
_TYPES = {
    "tensor(float)": np.float32,
    "tensor(int64)": np.int64,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}
STEPS = 10


class ILogger:
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

    def __init__(self):
        pass


class IProgressMonitor:
    def __init__(self):
        pass


class TensorIOMode(IntEnum):
    NONE, INPUT, OUTPUT = range(3)


if _MAJOR == 10:

    class NetworkDefinitionCreationFlag(IntEnum):
        EXPLICIT_BATCH = 0
        STRONGLY_TYPED = 1

    class BuilderFlag(IntEnum):
        FP16, INT8, TF32, BF16, OBEY_PRECISION_CONSTRAINTS = range(5)
else:

    class NetworkDefinitionCreationFlag(IntEnum):
        STRONGLY_TYPED = 1

    class BuilderFlag(IntEnum):
        TF32 = 7


def nptype(dtype):
    return dtype


class Dims(tuple):
    pass


class _Tensor:
    def __init__(self, value):
        self.name = value.name
        self._open = {i: d for i, d in enumerate(value.shape) if not isinstance(d, int)}
        self._shape = Dims(-1 if i in self._open else d for i, d in enumerate(value.shape))
        self.fixed = {}  # name -> length of open dimensions that were set

    @property
    def shape(self):
        return self._shape

    @shape.setter
    def shape(self, dims):
        self.fixed = {name: dims[i] for i, name in self._open.items() if dims[i] != -1}
        self._shape = Dims(dims)

    def get_dimension_name(self, i):
        return self._open.get(i, "")


class _Network:
    def __init__(self, strongly_typed):
        self.strongly_typed = strongly_typed or _MAJOR >= 11
        self.onnx = b""
        self._inputs = []

    num_inputs = property(lambda self: len(self._inputs))

    def get_input(self, i):
        return self._inputs[i]


class _Fault:
    def __init__(self, operator, why):
        self._operator, self._why = operator, why

    def node_operator(self):
        return self._operator

    def node_name(self):
        return "somewhere"

    def desc(self):
        return self._why


class OnnxParser:
    def __init__(self, network, logger):
        self._network, self._faults = network, []

    num_errors = property(lambda self: len(self._faults))

    def get_error(self, i):
        return self._faults[i]

    def parse_from_file(self, path):
        with open(path, "rb") as file:
            self._network.onnx = file.read()
        try:
            session = _session(self._network.onnx)
        except Exception as error:
            found = re.search(r"In Node, .{1,2}[^\"]*\", (\w+),", str(error))
            self._faults.append(_Fault(found.group(1) if found else "?", str(error)))
            return False
        self._network._inputs = [_Tensor(value) for value in session.get_inputs()]
        return True


class _Profile:
    def __init__(self):
        self.shapes = {}

    def set_shape(self, name, *shapes):
        self.shapes[name] = [list(shape) for shape in shapes]


class _Config:
    # nothing else can be set: no calibrator, no default precision
    __slots__ = ("flags", "profiles", "progress_monitor")
    _flag = BuilderFlag

    def __init__(self):
        self.flags = {"TF32"}
        self.profiles = []
        self.progress_monitor = None

    def set_flag(self, flag):
        self.flags.add(self._flag(flag).name)

    def clear_flag(self, flag):
        self.flags.discard(self._flag(flag).name)

    def add_optimization_profile(self, profile):
        self.profiles.append(profile)


class Builder:
    def __init__(self, logger):
        if os.environ.get("STAND_IN_NO_GPU"):
            raise TypeError("pybind11::init(): factory function returned nullptr")
        self._logger = logger

    def create_network(self, flags):
        assert all(1 << flag in (1, 2) for flag in range(2)), "of a flag that is not known"
        return _Network(bool(flags & 1 << NetworkDefinitionCreationFlag.STRONGLY_TYPED))

    def create_builder_config(self):
        return _Config()

    def create_optimization_profile(self):
        return _Profile()

    def build_serialized_network(self, network, config):
        monitor, fails = config.progress_monitor, os.environ.get("STAND_IN_FAILS")
        _record(
            strongly_typed=network.strongly_typed,
            flags=sorted(config.flags),
            version=__version__,
            pid=os.getpid(),
        )
        monitor.phase_start("Building engine", None, 2)
        for phase in ("Cloning network graph", "Timing tactics"):
            monitor.phase_start(phase, "Building engine", STEPS)
            for step in range(STEPS):
                time.sleep(float(os.environ.get("STAND_IN_STEP_S", "0")))
                if fails == "killed" and phase == "Timing tactics" and step == 5:
                    os.kill(os.getpid(), signal.SIGKILL)
                monitor.step_complete(phase, step)
            monitor.phase_finish(phase)
        if fails == "memory":
            self._logger.log(
                ILogger.ERROR,
                "[defaultAllocator.cpp::allocate::31] Error Code 1: Cuda Runtime (out of memory)",
            )
            return None
        if fails == "refuses":
            self._logger.log(
                ILogger.ERROR, "Error Code 10: Could not find any implementation for node conv2d"
            )
            return None
        monitor.phase_finish("Building engine")
        shapes = config.profiles[0].shapes if config.profiles else {}
        fixed = {name: length for tensor in network._inputs for name, length in tensor.fixed.items()}
        header = {"stand-in": __version__, "shapes": shapes, "fixed": fixed}
        return memoryview(json.dumps(header).encode() + b"\n" + network.onnx)


class Runtime:
    def __init__(self, logger):
        self._logger = logger

    def deserialize_cuda_engine(self, data):
        header, _, onnx = bytes(data).partition(b"\n")
        try:
            fields = json.loads(header)
        except ValueError:
            fields = {}
        if fields.get("stand-in") != __version__:
            self._logger.log(
                ILogger.ERROR, "Serialization assertion header.magicTag == kEXPECTED_MAGIC_TAG failed"
            )
            return None
        return _Engine(fields["shapes"], fields["fixed"], onnx)


class _Engine:
    def __init__(self, shapes, fixed, onnx):
        self._shapes = shapes
        parts = {name: name.rpartition("*") for name in fixed}
        # of "16*rows": rows
        self._units = {unit: fixed[name] // int(times or 1) for name, (times, _, unit) in parts.items()}
        self.session = _session(onnx, fixed)
        self._inputs = {value.name: value for value in self.session.get_inputs()}
        self._tensors = self._inputs | {value.name: value for value in self.session.get_outputs()}

    num_io_tensors = property(lambda self: len(self._tensors))

    def get_tensor_name(self, i):
        return list(self._tensors)[i]

    def get_tensor_mode(self, name):
        return TensorIOMode.INPUT if name in self._inputs else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name):
        return _TYPES[self._tensors[name].type]

    def get_tensor_shape(self, name):
        return Dims(d if isinstance(d, int) else self._length(d) for d in self._tensors[name].shape)

    def _length(self, name):
        """Of an open dimension, where it follows from those that were fixed, as TensorRT infers it."""
        times, _, unit = name.rpartition("*")
        return int(times or 1) * self._units[unit] if unit in self._units else -1

    def get_tensor_profile_shape(self, name, profile):
        assert profile == 0 and name in self._inputs
        return [Dims(shape) for shape in self._shapes[name]]

    def create_execution_context(self):
        return _Context(self)


class _Context:
    def __init__(self, engine):
        self._engine = engine
        self._shapes = {}
        self._addresses = {}

    def set_input_shape(self, name, shape):
        allowed = self._engine._shapes.get(name)
        if allowed is None:
            fits = tuple(shape) == tuple(self._engine.get_tensor_shape(name))
        else:
            fits = all(low <= d <= high for low, d, high in zip(allowed[0], shape, allowed[2], strict=True))
        self._shapes[name] = tuple(shape)
        return fits

    def set_tensor_address(self, name, address):
        self._addresses[name] = address
        return address % 256 == 0  # TensorRT asks for that

    def execute_async_v3(self, stream_handle):
        names = [value.name for value in self._engine.session.get_outputs()]
        addresses, shapes = dict(self._addresses), dict(self._shapes)

        def run():
            feeds = {
                name: _at(addresses[name], shapes[name], self._engine.get_tensor_dtype(name))
                for name in shapes
            }
            for name, value in zip(names, self._engine.session.run(None, feeds), strict=True):
                _at(addresses[name], value.shape, value.dtype)[...] = value

        _cuda.calls.append("execute")
        _cuda.enqueue(stream_handle, run)
        return True


def _at(address, shape, dtype):
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer((ctypes.c_uint8 * size).from_address(address), dtype).reshape(shape)


def _session(onnx, fixed=()):
    options = onnxruntime.SessionOptions()
    for name in fixed:
        options.add_free_dimension_override_by_name(name, fixed[name])
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    return onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])


def _record(**what):
    if path := os.environ.get("STAND_IN_RECORD"):
        with open(path, "a") as file:
            file.write(json.dumps(what) + "\n")
