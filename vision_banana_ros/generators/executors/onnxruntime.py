# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime: the default executor on the CPU, and on a GPU if its GPU build is installed.

Options: the provider, "cpu", "cuda" or "tensorrt" (default: the best one available); and the precision,
"fp32" or "int8". On a CPU the default is the faster one, by measurement (`measured`), if the bundle has int8
graphs (they are only exported if they are accurate). Of a bundle without stored answers int8 is used on a CPU
that has instructions for it.
"""

import os
import platform
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.bundle import GRAPHS, INT8_GRAPHS, REFERENCE, Bundle
from vision_banana_ros.generators.errors import ExecutorLost
from vision_banana_ros.generators.executors import Features, has_gpu
from vision_banana_ros.generators.executors.precision_choice import fastest
from vision_banana_ros.generators.own.fixed_shapes import frame_dimensions

PROVIDERS = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
#: Without one of these, products of 8-bit numbers are summed in 16 bits and saturate: slower, and wrong.
_INT8_INSTRUCTIONS = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp")


LONGEST_RUN_S = {"cpu": 60.0, "cuda": 300.0, "tensorrt": 3600.0}
"""Of one graph, then it is interrupted. The first run on a GPU compiles, and TensorRT builds its engines
in it."""


class OnnxRuntimeExecutor:
    """Runs a bundle's graphs with one of ONNX Runtime's providers.

    where: a key of PROVIDERS. precision: "fp32" or "int8". why: a sentence on how it was chosen.
    """

    any_size = True

    def __init__(self, bundle: Bundle, where: str, precision: str, why: str = "") -> None:
        self.why = why
        cores = len(os.sched_getaffinity(0))
        # The steps of an int8 graph are too short to be shared among threads; a frame's questions share the
        # cores instead.
        threads = 1 if precision == "int8" else cores
        self._threads = ThreadPoolExecutor(cores) if precision == "int8" else None
        self.name = f"onnxruntime {where} {precision}"
        self._longest_s = LONGEST_RUN_S[where]
        graphs = [INT8_GRAPHS.get(graph, graph) if precision == "int8" else graph for graph in GRAPHS]
        size = bundle.manifest.size

        def opened(graph: str, size: tuple[int, int]) -> onnxruntime.InferenceSession:
            return _session(bundle, graph, _options(threads, size), where)

        self._open = lambda size: (opened(graphs[0], size), opened(graphs[2], size))
        self._text = opened(graphs[1], size)
        image, answer = self._for_size = self._open(size)
        self._sizes = {size: self._for_size}
        self._features = [value.name for value in image.get_outputs()]
        self._asked = {
            value.name: value.shape[1] for value in answer.get_inputs() if value.name in ("text", "mask")
        }
        # On a CPU padding costs time like any word, and a batch saves none: a question at a time, as long as
        # it is.
        self.one_by_one = where == "cpu" and not isinstance(self._asked["text"], int)

    def encode_image(self, image: np.ndarray) -> Features:
        """Encodes a frame, (H, W, 3) uint8 RGB, to features."""
        size = image.shape[0], image.shape[1]
        if size not in self._sizes:
            self._sizes[size] = self._open(size)
        self._for_size = self._sizes[size]
        return self._run(self._for_size[0], {"image": image})

    def named_features(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """The features by the names that the answer graph knows them by."""
        return dict(zip(self._features, self.encode_image(image), strict=True))

    def encode_text(self, pieces: np.ndarray, colors: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Encodes tokenised prompts.

        (N, T, 12) int64, (N, T, 4) colours and (N, T) mask to (N, T, C) float32.
        """
        return self._run(self._text, {"pieces": pieces, "colors": colors, "mask": mask})[0]

    def answer(self, features: Features, text: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Paints N answers, (N, H, W, 3) float32 in [0, 1], from features and encoded prompts."""
        named = dict(zip(self._features, features, strict=True))
        if not self.one_by_one:
            return self._run(self._for_size[1], {**named, "text": text, "mask": mask})[0]

        def paint(i: int) -> np.ndarray:
            words = np.count_nonzero(mask[i])
            one = {"text": text[i : i + 1, :words], "mask": mask[i : i + 1, :words]}
            return self._run(self._for_size[1], {**named, **{name: one[name] for name in self._asked}})[0]

        several = self._threads.map if self._threads and len(text) > 1 else map
        return np.concatenate(list(several(paint, range(len(text)))))

    def _run(self, session: onnxruntime.InferenceSession, given: dict[str, np.ndarray]) -> list[np.ndarray]:
        options = onnxruntime.RunOptions()
        patience = threading.Timer(self._longest_s, lambda: setattr(options, "terminate", True))
        patience.daemon = True
        patience.start()
        try:
            return session.run(None, given, options)
        except Exception as error:  # ONNX Runtime's own exceptions share no public base class
            raise ExecutorLost(
                f"The executor {self.name} was stopped because a graph did not end within"
                f" {self._longest_s:g} s. Use another bundle."
                if options.terminate
                else f"The executor {self.name} cannot go on: {error}. Free memory and configure the node"
                " again."
            ) from error
        finally:
            patience.cancel()


def load(bundle: Bundle, options: Sequence[str] = ()) -> OnnxRuntimeExecutor:
    """Raises InputError for unknown options, or if the build, the GPU or the graphs are missing."""
    unknown = [option for option in options if option not in (*PROVIDERS, "fp32", "int8")]
    if unknown:
        raise InputError(
            f"onnxruntime has no option '{unknown[0]}': give {', '.join(PROVIDERS)}, fp32 or int8."
        )
    where = next((option for option in options if option in PROVIDERS), None) or _best_provider()
    if PROVIDERS[where] not in onnxruntime.get_available_providers():
        raise InputError(
            f"This build of onnxruntime has no {PROVIDERS[where]}: `pip install"
            " onnxruntime-gpu` in its place."
        )
    why = ""
    has_int8 = all(graph in bundle.manifest.files for graph in INT8_GRAPHS.values())
    best = "int8" if where == "cpu" and has_int8 and cpu_counts_in_int8() else "fp32"
    # so that wrong answers are found out
    if where == "cpu" and has_int8 and REFERENCE in bundle.manifest.files:
        loads = {name: partial(OnnxRuntimeExecutor, bundle, where, name) for name in ("int8", "fp32")}
        if not any(option in loads for option in options):
            best, why = fastest(bundle, loads)
    precision = next((option for option in options if option not in PROVIDERS), best)
    if precision == "int8" and where != "cpu":
        raise InputError(
            "A bundle's int8 graphs are for CPUs: ask for onnxruntime:cpu-int8, or for"
            f" onnxruntime:{where}-fp32."
        )
    if precision == "int8" and not has_int8:
        raise InputError(
            f"Bundle '{bundle.path}' has no int8 graphs: ask for fp32, or export it with --int8."
        )
    return OnnxRuntimeExecutor(bundle, where, precision, why)


def _best_provider() -> str:
    if has_gpu():
        return next(
            where
            for where, provider in PROVIDERS.items()
            if provider in onnxruntime.get_available_providers()
        )
    return "cpu"


def cpu_counts_in_int8() -> bool:
    """Whether the CPU has instructions for products of 8-bit integers."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return platform.machine() in ("arm64", "aarch64")
    return any(instruction in flags for instruction in _INT8_INSTRUCTIONS)


def _options(threads: int, size: tuple[int, int]) -> onnxruntime.SessionOptions:
    """Session options for one frame size: if it is known, ONNX Runtime folds what depends on it."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    # Threads that spin while they wait would take a core from the rest of the robot.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    for name, length in frame_dimensions(size).items():
        options.add_free_dimension_override_by_name(name, length)
    return options


def _session(
    bundle: Bundle, graph: str, options: onnxruntime.SessionOptions, where: str
) -> onnxruntime.InferenceSession:
    providers = dict.fromkeys([PROVIDERS[where], PROVIDERS["cpu"]])
    try:
        # From what was checked, and not from the path again; weights beside the graph, which the manifest may
        # not name, are not read.
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
        session = onnxruntime.InferenceSession(bundle.read(graph), options, providers=list(providers))
    except InputError:
        raise
    except Exception as error:  # ONNX Runtime's own exceptions share no public base class
        raise InputError(
            f"ONNX Runtime {onnxruntime.__version__} cannot load {graph} of bundle '{bundle.path}'"
            f" ({error}): "
            "export the bundle again or install the version in requirements/run.txt."
        ) from error
    if session.get_providers()[0] != PROVIDERS[where]:  # it goes on with the CPU without a word
        raise InputError(
            f"onnxruntime's {PROVIDERS[where]} does not start: install the driver, CUDA and"
            " cuDNN that it names."
        )
    return session
