# SPDX-License-Identifier: Apache-2.0
"""Runs a chain of engines on the GPU as one CUDA graph, with one copy to the device and one back.

Intermediate results stay on the device. Host buffers are double-buffered, so that a frame can be submitted
during the inference of the previous one: `submit` only waits for the frame before that.
"""

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from vision_banana_ros.generators.engines.cuda import Arena, CudaError, Stream
from vision_banana_ros.generators.engines.library import Library, log, out_of_memory

PICTURES = "rgb"  # (N, H, W, 3), what the last engine of a chain paints and decoders read one by one
PROGRAMS_KEPT = 8  # numbers and kinds of questions that stay prepared; the least recently used goes first
_ALIGNMENT = 256  # bytes, what cudaMalloc guarantees for the start of a block
_OPEN = -1

Shapes = Mapping[str, tuple[int, ...]]


class EngineError(RuntimeError):
    """TensorRT could not load or run an engine."""

    def __init__(self, what: str, errors: list[str]) -> None:
        super().__init__(f"{what} ({errors[-1] if errors else 'no reason given'})")
        self.out_of_memory = out_of_memory(errors)


class Engine:
    """A deserialised engine. `data` must come from the cache, because loading executes it."""

    def __init__(self, library: Library, name: str, data: bytes) -> None:
        self.name = name
        self._trt: ModuleType = library.trt
        self._log = log(library.trt)
        self._runtime = library.trt.Runtime(self._log)
        self._engine = self._runtime.deserialize_cuda_engine(data)
        if self._engine is None:
            raise EngineError(f"{library.title} cannot load the engine of {name}", self._log.errors)
        names = [self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)]
        self.inputs = [n for n in names if self._engine.get_tensor_mode(n) == self._trt.TensorIOMode.INPUT]
        self.outputs = [n for n in names if n not in self.inputs]

    def shape(self, tensor: str, questions: int) -> tuple[int, ...]:
        """Of a tensor in which nothing but the number of questions is open."""
        return tuple(questions if d == _OPEN else d for d in self._engine.get_tensor_shape(tensor))

    def dtype(self, tensor: str) -> np.dtype:
        """The NumPy type of a tensor of the engine."""
        return np.dtype(self._trt.nptype(self._engine.get_tensor_dtype(tensor)))

    def bind(self, shapes: Shapes, addresses: Mapping[str, int], stream: Stream) -> "Bound":
        """A new context for these input shapes.

        A captured graph is only valid while its context is unchanged.
        """
        context = self._context()
        if context is None:
            raise EngineError(f"There is no context for the engine of {self.name}", self._log.errors)
        done = [context.set_input_shape(name, shapes[name]) for name in self.inputs]
        done += [context.set_tensor_address(name, addresses[name]) for name in (*self.inputs, *self.outputs)]
        if not all(done):
            raise EngineError(
                f"The engine of {self.name} does not take inputs of {dict(shapes)}", self._log.errors
            )
        return Bound(self, context, int(stream))

    def errors(self) -> list[str]:
        """The errors that TensorRT reported."""
        return self._log.errors

    def _context(self) -> Any:
        strategies = getattr(self._trt, "DynamicShapesKernelSpecializationStrategy", None)
        if strategies is None:
            return self._engine.create_execution_context()
        # TensorRT-RTX compiles for a shape when it first meets it. In the background, a graph captured
        # meanwhile would keep the slow kernels for ever; so here, at once.
        config = self._engine.create_runtime_config()
        config.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER
        return self._engine.create_execution_context(config)


@dataclass(frozen=True, slots=True)
class Bound:
    """An engine with its shapes and addresses."""

    engine: Engine
    context: Any
    stream: int

    @property
    def capturable(self) -> bool:
        """Whether the execution can be captured into a CUDA graph."""
        # TensorRT-RTX's; TensorRT's engines of fixed shape are
        asks = getattr(self.context, "is_stream_capturable", None)
        return asks is None or bool(asks(self.stream))

    def enqueue(self) -> None:
        """Queues one execution on the stream."""
        if not self.context.execute_async_v3(self.stream):
            raise EngineError(f"The engine of {self.engine.name} did not run", self.engine.errors())


class Layout:
    """The layout of arrays in a block of memory."""

    def __init__(self, arrays: Mapping[str, tuple[tuple[int, ...], np.dtype]]) -> None:
        self._places: dict[str, tuple[int, tuple[int, ...], np.dtype]] = {}
        end = 0
        for name, (shape, dtype) in arrays.items():
            start = math.ceil(end / _ALIGNMENT) * _ALIGNMENT
            self._places[name] = (start, shape, dtype)
            end = start + math.prod(shape) * dtype.itemsize
        self.size = max(end, 1)

    def addresses(self, base: int) -> dict[str, int]:
        """The address of each tensor, for a base address."""
        return {name: base + start for name, (start, _, _) in self._places.items()}

    def views(self, block: np.ndarray) -> dict[str, np.ndarray]:
        """The arrays in a block of bytes."""
        return {
            name: block[start : start + math.prod(shape) * dtype.itemsize].view(dtype).reshape(shape)
            for name, (start, shape, dtype) in self._places.items()
        }


@dataclass(frozen=True, slots=True)
class Decoder:
    """An engine that decodes the picture `rgb` of one question.

    Its other tensors are `<question>/<tensor>` outside.
    """

    engine: Engine
    question: int

    def outside(self, tensor: str) -> str:
        """The name of a decoder's tensor outside of its graph."""
        return f"{self.question}/{tensor}"


class Ticket:
    """The answers of a submitted frame."""

    def __init__(self, stream: Stream, slot: "_Slot", outputs: Layout) -> None:
        self._stream = stream
        self._slot: _Slot | None = slot
        self._outputs = outputs
        self._arrays: dict[str, np.ndarray] = {}

    def result(self) -> dict[str, np.ndarray]:
        """Waits, and returns the outputs by name, as copies."""
        if self._arrays:
            return self._arrays
        if self._slot is None:
            raise EngineError("The answer was not taken before the executor was closed", [])
        self._stream.wait(self._slot.event)
        self._arrays = {name: view.copy() for name, view in self._outputs.views(self._slot.output).items()}
        self._slot.pending = None
        self._slot = None
        return self._arrays

    def lose(self) -> None:
        """The buffers are about to be freed."""
        self._slot = None


class _Slot:
    """One of the two host buffers."""

    def __init__(self, arena: Arena, input_size: int, output_size: int) -> None:
        self.input = arena.pinned(input_size)
        self.output = arena.pinned(output_size)
        self.event = arena.event()
        self.pending: Ticket | None = None


class _Program:
    """The chain for one number and kind of questions: its memory, contexts and graph."""

    def __init__(
        self,
        stream: Stream,
        engines: Sequence[Engine],
        decoders: Sequence[Decoder],
        shapes: Shapes,
        questions: int,
    ) -> None:
        self._stream = stream
        self._engines = engines
        self._decoders = decoders
        self._bound: list[Bound] = []
        self._graph: Any = None
        tensors = _tensors(engines, decoders, shapes, questions)
        made = {name for engine in engines for name in engine.outputs} | {
            d.outside(n) for d in decoders for n in d.engine.outputs
        }
        read = {name for engine in engines for name in engine.inputs}
        if len(decoders) == questions:
            read.add(PICTURES)  # or else somebody wants them
        self._shapes = {name: shape for name, (shape, _) in tensors.items()}
        self._inputs = Layout({name: what for name, what in tensors.items() if name not in made})
        inner = Layout({name: what for name, what in tensors.items() if name in made and name in read})
        self._outputs = Layout(
            {name: what for name, what in tensors.items() if name in made and name not in read}
        )
        self._arena = Arena()
        try:
            self._input, inside, self._output = (
                self._arena.allocate(layout.size) for layout in (self._inputs, inner, self._outputs)
            )
            self._slots = [_Slot(self._arena, self._inputs.size, self._outputs.size) for _ in range(2)]
        except CudaError:
            self._arena.close()
            raise
        self._addresses = (
            self._inputs.addresses(self._input)
            | inner.addresses(inside)
            | self._outputs.addresses(self._output)
        )

    @property
    def captured(self) -> bool:
        return self._graph is not None

    def submit(self, arrays: Mapping[str, np.ndarray]) -> Ticket:
        slot = self._slots[0]
        self._slots.reverse()
        if slot.pending is not None:
            slot.pending.result()  # what it would overwrite is taken out first
        for name, view in self._inputs.views(slot.input).items():
            np.copyto(view, arrays[name])
        self._stream.copy_in(self._input, slot.input)
        # after the copy: run on what happens to be in memory, a look-up would read out of bounds
        if not self._bound:
            self._bind()
        if self._graph is None:
            self._enqueue()
        else:
            self._stream.launch(self._graph)
        self._stream.copy_out(slot.output, self._output)
        self._stream.record(slot.event)
        slot.pending = Ticket(self._stream, slot, self._outputs)
        return slot.pending

    def finish(self) -> None:
        """Takes out what is under way."""
        for slot in self._slots:
            if slot.pending is not None:
                slot.pending.result()

    def close(self) -> None:
        """Frees everything. Answers that were not taken are lost."""
        for slot in self._slots:
            if slot.pending is not None:
                slot.pending.lose()
        self._arena.close()
        self._bound.clear()

    def _bind(self) -> None:
        self._bound = [engine.bind(self._shapes, self._addresses, self._stream) for engine in self._engines]
        for d in self._decoders:
            picture = self._shapes[PICTURES][1:]
            start = (
                self._addresses[PICTURES]
                + d.question * math.prod(picture) * d.engine.dtype(PICTURES).itemsize
            )
            names = [name for name in (*d.engine.inputs, *d.engine.outputs) if name != PICTURES]
            shapes = {name: self._shapes[d.outside(name)] for name in names} | {PICTURES: picture}
            addresses = {name: self._addresses[d.outside(name)] for name in names} | {PICTURES: start}
            self._bound.append(d.engine.bind(shapes, addresses, self._stream))
        self._enqueue()  # the first run may allocate and compile, which no capture allows
        self._stream.synchronize()
        if all(each.capturable for each in self._bound):
            try:
                self._graph = self._arena.graph(self._stream.capture(self._enqueue))
            except (CudaError, EngineError) as error:
                if error.out_of_memory:
                    raise

    def _enqueue(self) -> None:
        for each in self._bound:
            each.enqueue()


def _tensors(
    engines: Sequence[Engine], decoders: Sequence[Decoder], shapes: Shapes, questions: int
) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shape and type of everything that an engine reads or makes. shapes: of what comes from outside."""
    every: dict[str, tuple[tuple[int, ...], np.dtype]] = {}
    for engine in engines:
        for name in (*engine.inputs, *engine.outputs):
            every[name] = (shapes.get(name) or engine.shape(name, questions), engine.dtype(name))
    for d in decoders:
        for name in (*d.engine.inputs, *d.engine.outputs):
            if name != PICTURES:
                outside = d.outside(name)
                every[outside] = (
                    shapes.get(outside) or d.engine.shape(name, questions),
                    d.engine.dtype(name),
                )
    return every


class Chain:
    """Engines that run in order on one stream. Not thread-safe.

    decoders: engines by task that decode single pictures of the last engine's output `rgb`, (N, H, W, 3).
    Raises CudaError or EngineError if the GPU or TensorRT fails; the chain can then only be closed.
    """

    def __init__(
        self, stream: Stream, engines: Sequence[Engine], decoders: Mapping[str, Engine] | None = None
    ) -> None:
        self._stream = stream
        self._engines = engines
        self._decoders = decoders or {}
        self._programs: OrderedDict[tuple, _Program] = OrderedDict()
        # number of questions -> whether the last one ran as one CUDA graph
        self.captured: dict[int, bool] = {}

    def submit(
        self, arrays: Mapping[str, np.ndarray], questions: int, tasks: Sequence[str | None] = ()
    ) -> Ticket:
        """Submits the inputs by name; the first call for each number and kind of questions takes longer.

        tasks: for each question the task whose decoder is applied to its picture; None returns the picture as
        `rgb`.
        """
        shapes = {name: array.shape for name, array in arrays.items()}
        key = (questions, tuple(tasks), *sorted(shapes.items()))
        program = self._programs.get(key)
        if program is None:
            while len(self._programs) >= PROGRAMS_KEPT:
                oldest = self._programs.popitem(last=False)[1]
                oldest.finish()
                oldest.close()
            decoders = [Decoder(self._decoders[task], i) for i, task in enumerate(tasks) if task is not None]
            program = self._programs[key] = _Program(self._stream, self._engines, decoders, shapes, questions)
        self._programs.move_to_end(key)
        ticket = program.submit(arrays)
        self.captured[questions] = program.captured
        return ticket

    def close(self) -> None:
        """Frees everything on the device."""
        for program in self._programs.values():
            program.close()
        self._programs.clear()
