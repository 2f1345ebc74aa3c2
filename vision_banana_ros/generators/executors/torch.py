# SPDX-License-Identifier: Apache-2.0
"""torch: the network with the weights of the bundle's graphs. Needs torch, diffusers and onnx.

Options: "eager", "compiled" (torch.compile) or "graph" (one CUDA graph for encoding and answering); "fp32",
"fp16" or "bf16". The output heads are always fp32, because bf16 has only two steps per 8-bit code near white.
"""

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.bundle import Bundle
from vision_banana_ros.generators.errors import ExecutorLost
from vision_banana_ros.generators.executors import Features

WAYS = ("eager", "compiled", "graph")
PRECISIONS = ("fp32", "fp16", "bf16")
_TRIALS = 3  # before a CUDA graph is captured, as torch asks for


def load(bundle: Bundle, options: Sequence[str] = ()) -> "TorchExecutor":
    """Raises InputError for unknown options, or if a package, the GPU or the network is missing."""
    unknown = [option for option in options if option not in (*WAYS, *PRECISIONS)]
    if unknown:
        raise InputError(f"torch has no option '{unknown[0]}': give {', '.join((*WAYS, *PRECISIONS))}.")
    missing = [name for name in ("torch", "diffusers", "onnx") if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"The torch executor needs {', '.join(missing)}: run `pip install -r requirements/train.txt`."
        )
    way = next((option for option in options if option in WAYS), "eager")
    precision = next((option for option in options if option in PRECISIONS), "fp32")
    return TorchExecutor(bundle, way, precision)


class TorchExecutor:
    """Runs the network on the first CUDA device, or on the CPU.

    way: one of WAYS; precision: one of PRECISIONS.
    """

    def __init__(self, bundle: Bundle, way: str, precision: str) -> None:
        import torch

        self._torch = torch
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if way == "graph" and self._device.type != "cuda":
            raise InputError(
                "A CUDA graph needs a GPU that torch can use: install torch's CUDA build, or"
                " ask for torch:compiled."
            )
        if precision == "fp16" and self._device.type != "cuda":
            raise InputError(
                "fp16 needs a GPU that torch can use: ask for torch:bf16 or torch:fp32 on a CPU."
            )
        self.name = f"torch {way} {self._device.type} {precision}"
        self._dtype = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[precision]
        self.network = network_of(bundle, self._dtype).to(self._device)
        if way != "eager":
            self.network = self.network.to(memory_format=torch.channels_last)
        compiled = torch.compile if way == "compiled" else lambda function: function
        self._encode: Callable[..., Any] = compiled(self._encode_eagerly)
        self._paint: Callable[..., Any] = compiled(self._paint_eagerly)
        self._graphs: dict[tuple[int, ...], _Graph] | None = {} if way == "graph" else None
        self.any_size = self._graphs is None

    def encode_image(self, image: np.ndarray) -> Features:
        """Encodes a frame, (H, W, 3) uint8 RGB, to features."""
        if self._graphs is not None:
            return (image,)  # the graph of `answer` encodes it: one launch a frame
        with self._torch.inference_mode():
            return self._encode(self._torch.from_numpy(image).to(self._device))

    def encode_text(self, pieces: np.ndarray, colors: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Encodes tokenised prompts.

        (N, T, 12) int64, (N, T, 4) colours and (N, T) mask to (N, T, C) float32.
        """
        with self._torch.inference_mode():
            given = (self._torch.from_numpy(values).to(self._device) for values in (pieces, colors, mask))
            hashed, values, kept = given
            encoded = self.network.encode_text(hashed, values.to(self._dtype), kept.to(self._dtype))
            return encoded.float().cpu().numpy()

    def answer(self, features: Features, text: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Paints N answers, (N, H, W, 3) float32 in [0, 1], from features and encoded prompts."""
        torch = self._torch
        asked = torch.from_numpy(text).to(self._dtype), torch.from_numpy(mask).to(self._dtype)
        try:
            with torch.inference_mode():
                if self._graphs is None:
                    return self._paint(features, *(values.to(self._device) for values in asked)).cpu().numpy()
                inputs = (torch.from_numpy(features[0]), *asked)
                graph = self._graphs.get(text.shape)
                if graph is None:
                    graph = self._graphs[text.shape] = _Graph(
                        self._answer_all, [values.to(self._device) for values in inputs]
                    )
                return graph.run(inputs)
        except (torch.OutOfMemoryError, torch.AcceleratorError) as error:
            raise ExecutorLost(
                f"The executor {self.name} cannot go on, its GPU failed: {error}. Free its memory and"
                " configure the node again, or "
                "use the executor onnxruntime."
            ) from error

    def _encode_eagerly(self, image: Any) -> Any:
        x = (image.permute(2, 0, 1)[None].float() / 127.5 - 1).to(self._dtype)
        return self.network.add_sample(self.network.encode_image(x), x)

    def _paint_eagerly(self, features: Any, text: Any, mask: Any) -> Any:
        time = self._torch.ones(text.shape[0], device=text.device)
        painted = self.network.answer(features, time, text, mask)
        return (painted.permute(0, 2, 3, 1) / 2 + 0.5).clamp(0, 1)

    def _answer_all(self, image: Any, text: Any, mask: Any) -> Any:
        return self._paint_eagerly(self._encode_eagerly(image), text, mask)


class _Graph:
    """A function captured as one CUDA graph, with its device buffers and pinned host buffers."""

    def __init__(self, function: Callable[..., Any], inputs: list[Any]) -> None:
        import torch

        self._inputs = [values.clone() for values in inputs]
        self._staged = [torch.empty_like(values, device="cpu", pin_memory=True) for values in inputs]
        self._stream = torch.cuda.Stream()
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            for _ in range(_TRIALS):
                function(*self._inputs)
        self._stream.synchronize()
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, stream=self._stream):
            self._output = function(*self._inputs)
        self._result = torch.empty_like(self._output, device="cpu", pin_memory=True)

    def run(self, inputs: Sequence[Any]) -> np.ndarray:
        import torch

        with torch.cuda.stream(self._stream):
            for values, staged, placed in zip(inputs, self._staged, self._inputs, strict=True):
                staged.copy_(values)
                placed.copy_(staged, non_blocking=True)
            self._graph.replay()
            self._result.copy_(self._output, non_blocking=True)
        self._stream.synchronize()
        return self._result.numpy().copy()


def network_of(bundle: Bundle, dtype: Any = None) -> Any:
    """The bundle's network with the weights of its graphs, frozen, on the CPU.

    dtype: that of torch; default: float32.
    """
    import torch

    from vision_banana_ros.generators.own.network import VisionBananaUNet
    from vision_banana_ros.generators.own.weights import read_weights

    if not bundle.manifest.network:
        raise InputError(
            f"Bundle '{bundle.path}' does not describe its network: export it again to run it with torch."
        )
    try:
        network = VisionBananaUNet(**bundle.manifest.network)
    except (TypeError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(
            f"Bundle '{bundle.path}' has a network that this version does not know ({error}): export it"
            " again."
        ) from error
    weights, wanted = read_weights(bundle), network.state_dict()
    missing = sorted(wanted.keys() - weights.keys())
    if missing:
        raise InputError(
            f"The graphs of bundle '{bundle.path}' do not name the weights"
            f" {', '.join(missing[:3])}: export it again."
        )
    network.load_state_dict(
        {name: torch.from_numpy(weights[name]).reshape(value.shape) for name, value in wanted.items()}
    )
    network = network.eval().requires_grad_(False)
    dtype = dtype or torch.float32
    torch.nn.Module.to(network, dtype)  # diffusers' own warns of parts that this network does not have
    if dtype != torch.float32:
        network.time.register_forward_pre_hook(lambda _, given: (given[0].to(dtype),))
        for part in (
            network.answer_norm,
            network.answer_ways,
            network.answer_distance,
            network.answer_coarse,
            network.answer_out,
        ):
            part.float()
    return network
