# SPDX-License-Identifier: Apache-2.0
"""An editor's exported graphs by ONNX Runtime, without torch. Options: "cpu" or "cuda"."""

import os
from collections.abc import Sequence

import numpy as np
import onnxruntime

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.backbones.guidance import Denoise, Guidance, guided
from vision_banana_ros.generators.backbones.memory import require_memory
from vision_banana_ros.generators.backbones.noise_schedule import Step, walk
from vision_banana_ros.generators.backbones.prompt_cache import Prompt
from vision_banana_ros.generators.bundle import Bundle

GRAPHS = ("frame_encoder.onnx", "denoiser.onnx", "picture_decoder.onnx")
PROVIDERS = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}


class OnnxRunner:
    """Runs the three graphs. where: a key of PROVIDERS."""

    def __init__(self, bundle: Bundle, where: str) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = len(os.sched_getaffinity(0))
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers = list(dict.fromkeys([PROVIDERS[where], PROVIDERS["cpu"]]))
        try:
            sessions = [
                onnxruntime.InferenceSession(bundle.path / graph, options, providers=providers)
                for graph in GRAPHS
            ]
        except Exception as error:  # ONNX Runtime's own exceptions share no public base class
            raise InputError(
                f"ONNX Runtime cannot load the graphs of bundle '{bundle.path}' ({error}): import the model"
                " again."
            ) from error
        if sessions[1].get_providers()[0] != PROVIDERS[where]:  # it goes on with the CPU without a word
            raise InputError(
                f"onnxruntime's {PROVIDERS[where]} does not start: install the driver, CUDA"
                " and cuDNN that it names."
            )
        self._encoder, self._denoiser, self._decoder = sessions
        self.name = f"onnxruntime {where}"

    def paint(
        self,
        image: np.ndarray,
        prompts: Sequence[Prompt],
        steps: Sequence[Step],
        start: np.ndarray | None,
        guidance: Guidance | None = None,
    ) -> np.ndarray:
        """Runs the sampling steps with ONNX Runtime; see `Runner`."""
        frame = self._encoder.run(None, {"image": image})[0]
        first = frame if start is None else start
        denoise = guided(guidance, lambda prompt: self._denoise(frame, prompt))
        latents = [walk(steps, first, denoise(prompt)).astype(np.float32) for prompt in prompts]
        return np.concatenate([self._decoder.run(None, {"x": x})[0] for x in latents])

    def _denoise(self, frame: np.ndarray, prompt: Prompt) -> Denoise:
        given = {"frame": frame, **{name: values[None] for name, values in prompt.items()}}

        def denoise(x: np.ndarray, time: float) -> np.ndarray:
            return self._denoiser.run(
                None, {"x": x.astype(np.float32), "time": np.array([time], np.float32), **given}
            )[0]

        return denoise


def load_onnx(bundle: Bundle, options: Sequence[str] = ()) -> OnnxRunner:
    """InputError for unknown options, and where the build, the GPU or a graph is missing."""
    unknown = [option for option in options if option not in PROVIDERS]
    if unknown:
        raise InputError(
            f"onnxruntime has no option '{unknown[0]}' for an editor: give {' or '.join(PROVIDERS)}."
        )
    best = "cuda" if PROVIDERS["cuda"] in onnxruntime.get_available_providers() else "cpu"
    where = next(iter(options), best)
    if PROVIDERS[where] not in onnxruntime.get_available_providers():
        raise InputError(
            f"This build of onnxruntime has no {PROVIDERS[where]}: `pip install"
            " onnxruntime-gpu` in its place."
        )
    if where == "cpu" and bundle.manifest.backbone["precision"] == "bf16":
        raise InputError(
            f"The graphs of bundle '{bundle.path}' compute in bf16, which a CPU does not:"
            " import the model with fp32."
        )
    weights = sum(file.stat().st_size for file in bundle.path.glob("*.onnx*"))  # what lies beside a graph too
    if where == "cpu":
        require_memory(f"'{bundle.manifest.name}'", weights, "cpu", "or use a smaller model")
    return OnnxRunner(bundle, where)
