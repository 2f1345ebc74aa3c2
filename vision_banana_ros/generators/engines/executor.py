# SPDX-License-Identifier: Apache-2.0
"""Runs a bundle with engines: the common part of the executors `tensorrt` and `tensorrt_rtx`."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.bundle import GRAPHS, Bundle
from vision_banana_ros.generators.engines.cache import EngineCache
from vision_banana_ros.generators.engines.cuda import CudaError, Stream, find_device
from vision_banana_ros.generators.engines.cuda_graph import PICTURES, Chain, Engine, EngineError, Ticket
from vision_banana_ros.generators.engines.errors import EngineMissing
from vision_banana_ros.generators.engines.library import open_library
from vision_banana_ros.generators.engines.recipe import COLORS, PRECISIONS, QUESTIONS, recipes
from vision_banana_ros.generators.errors import ExecutorLost
from vision_banana_ros.generators.own.device_decode import DECODE_GRAPHS, OUTPUTS

MOST = QUESTIONS[-1]


class EngineExecutor:
    """Runs a bundle's engines on the first GPU. Owned by one thread.

    Nothing is built here: InputError (EngineMissing, EngineRefused) if an engine is not ready, or the
    library, the GPU or its memory is missing. At run time: ExecutorLost.
    """

    any_size = False

    def __init__(self, bundle: Bundle, kind: str, precision: str = "fp32") -> None:
        self.name = f"{kind} {precision}"
        library = open_library(kind)
        device = find_device()
        data = _load(bundle, kind, precision)
        self._open: list[Stream | Chain] = []
        try:
            stream = Stream()
            self._open.append(stream)
            image, text, answer = (Engine(library, graph, data[graph]) for graph in GRAPHS)
            decoders = {
                task: Engine(library, graph, data[graph])
                for task, graph in DECODE_GRAPHS.items()
                if graph in data
            }
            self._text = Chain(stream, [text])
            self._frame = Chain(stream, [image, answer], decoders)
            self._open += [self._text, self._frame]
        except (CudaError, EngineError) as error:
            self.close()
            cure = "end other programs that use the GPU" if error.out_of_memory else "build its engines again"
            raise InputError(
                f"The executor {kind} cannot start on {device.name}: {error}. To mend it, {cure}."
            ) from error
        self.decodes = tuple(decoders)  # the tasks that `read` decodes on the GPU

    def encode_image(self, image: np.ndarray) -> list[np.ndarray]:
        """Returns the frame itself, because it is encoded in the same run as the questions."""
        return [image]

    def encode_text(self, pieces: np.ndarray, colors: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Tokenized instructions, (N, T, ...) -> (N, T, C) float32."""
        parts = []
        with self._serving():
            for some in _portions(len(pieces)):
                arrays = {"pieces": pieces[some], "colors": colors[some], "mask": mask[some]}
                parts.append(self._text.submit(arrays, len(pieces[some])).result()["text"])
        return np.concatenate(parts)

    def answer(self, features: Sequence[np.ndarray], text: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """The frame, (N, T, C) encoded prompts and (N, T) mask -> (N, H, W, 3) float32 in 0..1."""
        parts = []
        with self._serving():
            for some in _portions(len(text)):
                parts.append(self._submit(features[0], text[some], mask[some]).result()[PICTURES])
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def read(
        self,
        features: Sequence[np.ndarray],
        text: np.ndarray,
        mask: np.ndarray,
        asked: Sequence[tuple[str, Mapping[str, np.ndarray]]],
    ) -> list[list[np.ndarray]]:
        """As `answer`, but decoded on the GPU, so that numbers leave it instead of pictures.

        asked: for each question its task and what `device_decode.decode_inputs` gives for it. Returns for
        each question what `decode.OUTPUTS` names, or the picture alone where the task is not one of `decodes`
        or its legend is too long.
        """
        answers: list[list[np.ndarray]] = []
        with self._serving():
            for some in _portions(len(text)):
                tasks = [task if self._decodes(task, more) else None for task, more in asked[some]]
                palettes = {
                    f"{i}/{name}": value
                    for i, (_, more) in enumerate(asked[some])
                    for name, value in more.items()
                    if tasks[i]
                }
                made = self._submit(features[0], text[some], mask[some], tasks, palettes).result()
                answers += [
                    [made[PICTURES][i]] if task is None else [made[f"{i}/{name}"] for name in OUTPUTS[task]]
                    for i, task in enumerate(tasks)
                ]
        return answers

    def submit(self, image: np.ndarray, text: np.ndarray, mask: np.ndarray) -> Ticket:
        """As `answer`, for at most `MOST` questions, without waiting.

        The next frame may be submitted before the result is taken.

        `Ticket.result()["rgb"]` is the answer; it raises CudaError where the GPU failed meanwhile.
        """
        with self._serving():
            return self._submit(image, text, mask)

    def captured(self, questions: int) -> bool:
        """Whether this number of questions runs as one CUDA graph; known after the first answer."""
        return self._frame.captured.get(questions, False)

    def close(self) -> None:
        """Frees the GPU memory. The executor must not be used afterwards."""
        while self._open:
            self._open.pop().close()

    def _decodes(self, task: str, more: Mapping[str, np.ndarray]) -> bool:
        return task in self.decodes and all(len(palette) <= COLORS[-1] for palette in more.values())

    def _submit(
        self,
        image: np.ndarray,
        text: np.ndarray,
        mask: np.ndarray,
        tasks: Sequence[str | None] = (),
        palettes: Mapping[str, np.ndarray] | None = None,
    ) -> Ticket:
        return self._frame.submit(
            {"image": image, "text": text, "mask": mask, **(palettes or {})}, len(text), tasks
        )

    @contextlib.contextmanager
    def _serving(self) -> Iterator[None]:
        if not self._open:
            raise ExecutorLost(f"The executor {self.name} was closed: load the generator again.")
        try:
            yield
        except (CudaError, EngineError) as error:
            self.close()
            what = "its GPU ran out of memory" if error.out_of_memory else "its GPU failed"
            raise ExecutorLost(
                f"The executor {self.name} cannot go on, {what}: {error}. Free the GPU and configure the"
                " node again, or use the "
                "executor onnxruntime."
            ) from error


def load_with(kind: str, bundle: Bundle, options: Sequence[str]) -> EngineExecutor:
    """The executor `kind` with its options: a precision, by default fp32."""
    unknown = [option for option in options if option not in PRECISIONS]
    if unknown:
        raise InputError(f"{kind} has no option '{unknown[0]}': give {' or '.join(PRECISIONS)}.")
    return EngineExecutor(bundle, kind, options[0] if options else PRECISIONS[0])


def _load(bundle: Bundle, kind: str, precision: str) -> dict[str, bytes]:
    cache = EngineCache()
    try:
        return {recipe.graph: cache.load(recipe) for recipe in recipes(bundle, kind, precision)}
    except EngineMissing as error:
        raise EngineMissing(
            f"{error} Run `vision-banana engine build {bundle.path} --executor {kind} --precision"
            f" {precision}`."
        ) from error


def _portions(count: int) -> list[slice]:
    return [slice(start, start + MOST) for start in range(0, count, MOST)]
