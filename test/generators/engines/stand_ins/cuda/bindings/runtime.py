# SPDX-License-Identifier: Apache-2.0
"""A GPU that is none: the calls of CUDA's runtime that the package makes, on the host's memory.

What is put on a stream happens when somebody waits for it and not before, so an answer that is read too
early, or an input that is overwritten too early, is wrong here too. While a stream is captured nothing
happens at all, and waiting is an error.
"""

import ctypes
import os
from enum import IntEnum
from types import SimpleNamespace


class cudaError_t(IntEnum):
    cudaSuccess = 0
    cudaErrorInvalidValue = 1
    cudaErrorMemoryAllocation = 2
    cudaErrorInsufficientDriver = 35
    cudaErrorIllegalAddress = 700
    cudaErrorStreamCaptureUnsupported = 900


class cudaMemcpyKind(IntEnum):
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2


class cudaStreamCaptureMode(IntEnum):
    cudaStreamCaptureModeThreadLocal = 1


class Handle:
    def __init__(self):
        self.work = []  # of a stream or a graph
        self.graph = None  # that a stream is captured into

    def __int__(self):
        return id(self)


OK = cudaError_t.cudaSuccess
DEVICE = {"name": "Stand-in GPU", "major": 8, "minor": 7, "driver": 12060}
calls = []  # names, in order
fail_with = {}  # name of a call -> error of its next use
_handles = {}
_memory = {}


def _begin(name):
    calls.append(name)
    return fail_with.pop(name, OK)


def _new():
    handle = Handle()
    _handles[int(handle)] = handle
    return handle


def enqueue(stream, job):
    """What a kernel launch does; `stream` is a handle or its number."""
    handle = _handles[int(stream)]
    (handle.work if handle.graph is None else handle.graph.work).append(job)


def _run(handle):
    while handle.work:
        handle.work.pop(0)()


def cudaGetErrorString(error):
    return OK, error.name.encode()


def cudaDriverGetVersion():
    return OK, DEVICE["driver"]


def cudaGetDeviceProperties(device):
    if os.environ.get("STAND_IN_NO_GPU"):
        return cudaError_t.cudaErrorInsufficientDriver, None
    return OK, SimpleNamespace(
        name=DEVICE["name"].encode() + b"\0", major=DEVICE["major"], minor=DEVICE["minor"]
    )


def _allocate(name, size):
    error = _begin(name)
    if error:
        return error, None
    buffer = (ctypes.c_uint8 * (size + 256))()
    ctypes.memset(buffer, 0x5A, size + 256)  # nothing may count on zeros
    address = -(-ctypes.addressof(buffer) // 256) * 256
    _memory[address] = buffer
    return OK, address


def _free(name, address):
    calls.append(name)
    return (OK if _memory.pop(address, None) is not None else cudaError_t.cudaErrorInvalidValue,)


def cudaMalloc(size):
    return _allocate("cudaMalloc", size)


def cudaHostAlloc(size, flags):
    return _allocate("cudaHostAlloc", size)


def cudaFree(address):
    return _free("cudaFree", address)


def cudaFreeHost(address):
    return _free("cudaFreeHost", address)


def cudaStreamCreateWithFlags(flags):
    return _begin("cudaStreamCreateWithFlags"), _new()


def cudaEventCreateWithFlags(flags):
    return OK, _new()


def cudaStreamDestroy(stream):
    _handles.pop(int(stream))
    return (OK,)


cudaEventDestroy = cudaStreamDestroy


def cudaMemcpyAsync(target, source, size, kind, stream):
    error = _begin(f"copy {'in' if kind == cudaMemcpyKind.cudaMemcpyHostToDevice else 'out'}")
    if not error:
        enqueue(stream, lambda: ctypes.memmove(target, source, size))
    return (error,)


def cudaEventRecord(event, stream):
    event.work = [lambda: _run(stream)]
    return (_begin("cudaEventRecord"),)


def cudaEventSynchronize(event):
    error = _begin("cudaEventSynchronize")
    if not error:
        _run(event)
    return (error,)


def cudaStreamSynchronize(stream):
    error = _begin("cudaStreamSynchronize")
    if stream.graph is not None:
        return (cudaError_t.cudaErrorStreamCaptureUnsupported,)
    if not error:
        _run(stream)
    return (error,)


def cudaStreamBeginCapture(stream, mode):
    stream.graph = _new()
    return (_begin("cudaStreamBeginCapture"),)


def cudaStreamEndCapture(stream):
    graph, stream.graph = stream.graph, None
    return _begin("cudaStreamEndCapture"), graph


def cudaGraphInstantiate(graph, flags):
    executable = _new()
    executable.work = list(graph.work)
    return _begin("cudaGraphInstantiate"), executable


def cudaGraphDestroy(graph):
    _handles.pop(int(graph))
    return (OK,)


cudaGraphExecDestroy = cudaGraphDestroy


def cudaGraphLaunch(executable, stream):
    error = _begin("cudaGraphLaunch")
    if not error:
        for job in executable.work:
            enqueue(stream, job)
    return (error,)


def allocated():
    """How many blocks of memory nobody has freed."""
    return len(_memory)
