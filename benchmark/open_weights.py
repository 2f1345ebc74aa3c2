# SPDX-License-Identifier: Apache-2.0
"""What this package does with published open weights beside what diffusers' own pipeline does with them.

From the published configurations (test/data/real_configs) alone, on no device: no weights are needed. A row a
fact, with both values and whether they are equal. `python benchmark/open_weights.py` writes the tables into
open_weights.json.
"""

import hashlib
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers.pipelines.flux import pipeline_flux_kontext
from diffusers.pipelines.flux2 import pipeline_flux2_klein
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus
from torch import nn

from vision_banana_ros.generators.backbones import (
    FAMILIES,
    flux2_klein,
    flux_kontext,
    marigold,
    qwen_image_edit,
)
from vision_banana_ros.generators.backbones.family import marigold_task
from vision_banana_ros.generators.backbones.guidance import TOLD
from vision_banana_ros.generators.backbones.noise_schedule import walk

HERE = Path(__file__).resolve().parent
CONFIGS = HERE.parent / "test" / "data" / "real_configs"
OUT = HERE / "open_weights.json"
SIZES = ((384, 512), (768, 1024))
Row = tuple[str, Any, Any]  # the fact, ours, diffusers'


class Vae(nn.Module):
    """Encodes to given latents; the configuration is the real one, statistics of FLUX.2 are random."""

    def __init__(self, config: Any, latents: torch.Tensor) -> None:
        super().__init__()
        self.config, self.latents, self.dtype = config, latents, latents.dtype
        self.bn = nn.BatchNorm2d(4 * latents.shape[1], affine=False)
        generator = torch.Generator().manual_seed(1)
        self.bn.running_mean.normal_(generator=generator)
        self.bn.running_var.uniform_(0.5, 2.0, generator=generator)

    def encode(self, pictures: torch.Tensor, return_dict: bool = True) -> Any:
        latents = self.latents[:, :, None] if pictures.ndim == 5 else self.latents
        distribution = SimpleNamespace(mode=lambda: latents)
        return SimpleNamespace(latent_dist=distribution) if return_dict else (distribution,)


def tables() -> dict[str, Any]:
    """By model: where its configuration is known from, how many weights it has, and the rows."""
    found = {}
    for path in sorted(CONFIGS.glob("*.json")):
        config = json.loads(path.read_text())
        family = FAMILIES[config["family"]]
        configs = {**config, "index": config["model_index"]}
        networks = {
            name: _on_no_device(config["model_index"][name][1], config[name])
            for name in (family.networks.DENOISER, "vae")
        }
        family.networks.check(configs)
        rows = list(_OF[family.name](configs, networks))
        found[path.stem] = {
            "source": config["source"],
            "million weights": {
                name: round(sum(w.numel() for w in net.parameters()) / 1e6) for name, net in networks.items()
            },
            "rows": [
                {"what": what, "ours": ours, "diffusers": theirs, "equal": ours == theirs}
                for what, ours, theirs in rows
            ],
        }
    return found


def _on_no_device(kind: str, config: dict[str, Any]) -> Any:
    with torch.device("meta"):
        return getattr(diffusers, kind).from_config(config)


def _klein(configs: dict[str, Any], networks: dict[str, Any]) -> Iterator[Row]:
    family, module, index = FAMILIES["flux2_klein"], flux2_klein, configs["index"]
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler.from_config(configs["scheduler"])
    pipeline = diffusers.Flux2KleinPipeline(
        scheduler, networks["vae"], None, None, networks["transformer"], is_distilled=index["is_distilled"]
    )
    defaults = _defaults(pipeline.__call__)
    encoding = _defaults(pipeline._get_qwen3_prompt_embeds)
    channels = networks["transformer"].config.in_channels
    yield "size: multiple of", family.multiple, pipeline.vae_scale_factor * 2
    for size in SIZES:
        shape = module.latent_shape(configs, size)
        latents, ids = pipeline.prepare_latents(1, channels // 4, *size, torch.float32, "cpu", None)
        yield f"{_of(size)}: tokens and channels", list(shape), list(latents.shape[1:])
        steps, _ = family.painted(index)
        mu = pipeline_flux2_klein.compute_empirical_mu(latents.shape[1], steps)
        yield f"{_of(size)}: shift", _round(module.shift(configs["scheduler"], steps, shape)), _round(mu)
        yield (
            f"{_of(size)}: times of {steps} steps",
            *_times(module, configs, steps, shape, scheduler, pipeline_flux2_klein, mu),
        )
        grid = (size[0] // 16, size[1] // 16)
        frame = pipeline._prepare_image_ids([torch.zeros(1, channels, *grid)])
        words = pipeline._prepare_text_ids(torch.zeros(1, encoding["max_sequence_length"], 1))
        theirs = _table(networks["transformer"], torch.cat([words, ids, frame], dim=1)[0])
        yield f"{_of(size)}: places of words, answer and frame", _our_table(module, configs, grid), theirs
    yield (
        "steps and guidance of base weights",
        list(family.undistilled),
        [defaults["num_inference_steps"], defaults["guidance_scale"]],
    )
    pipeline._guidance_scale = defaults["guidance_scale"]
    yield "is guided", family.painted(index)[1] > 1, pipeline.do_classifier_free_guidance
    yield "guidance is told", False, networks["transformer"].config.guidance_embeds
    picture = torch.zeros(1, 3, 32, 48)
    given = torch.randn(1, 32, 4, 6, generator=torch.Generator().manual_seed(0))
    pipeline.vae = Vae(networks["vae"].config, given)
    theirs = pipeline._pack_latents(pipeline._encode_vae_image(picture, None))
    yield (
        "latents as tokens, by the VAE's running statistics",
        _digest(module.Encoder(pipeline.vae).encode(picture)),
        _digest(theirs),
    )
    yield "layers taken of the text encoder", list(module._LAYERS), list(encoding["hidden_states_layers"])
    yield "an instruction's tokens", module._MAX_TOKENS, encoding["max_sequence_length"]
    width = len(module._LAYERS) * configs["text_encoder"]["hidden_size"]
    yield "width of the text", module.prompt_shapes(configs)["text"][1], width


def _kontext(configs: dict[str, Any], networks: dict[str, Any]) -> Iterator[Row]:
    family, module = FAMILIES["flux_kontext"], flux_kontext
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler.from_config(configs["scheduler"])
    pipeline = diffusers.FluxKontextPipeline(
        scheduler, networks["vae"], None, None, None, None, networks["transformer"]
    )
    defaults = _defaults(pipeline.__call__)
    yield "size: multiple of", family.multiple, pipeline.vae_scale_factor * 2
    yield (
        "the usual size is one that it was made for",
        True,
        family.size[::-1] in pipeline_flux_kontext.PREFERRED_KONTEXT_RESOLUTIONS,
    )
    yield "steps", family.painted(configs["index"])[0], defaults["num_inference_steps"]
    yield "guidance that it is told", configs["index"].get(TOLD, module.GUIDANCE), defaults["guidance_scale"]
    yield "guidance is told", True, networks["transformer"].config.guidance_embeds
    for size in SIZES:
        grid, shape = (size[0] // 16, size[1] // 16), module.latent_shape(configs, size)
        packed = pipeline._pack_latents(
            torch.zeros(1, 16, 2 * grid[0], 2 * grid[1]), 1, 16, 2 * grid[0], 2 * grid[1]
        )
        yield f"{_of(size)}: tokens and channels", list(shape), list(packed.shape[1:])
        yield from _by_tokens(
            module, configs, defaults["num_inference_steps"], size, scheduler, pipeline_flux_kontext
        )
        answer, frame = (pipeline._prepare_latent_image_ids(1, *grid, "cpu", torch.float32) for _ in range(2))
        frame[..., 0] = 1
        words = torch.zeros(defaults["max_sequence_length"], 3)
        theirs = _table(networks["transformer"], torch.cat([words, answer, frame]))
        yield f"{_of(size)}: places of words, answer and frame", _our_table(module, configs, grid), theirs
    picture = torch.zeros(1, 3, 32, 48)
    given = torch.randn(1, 16, 4, 6, generator=torch.Generator().manual_seed(0))
    pipeline.vae = Vae(networks["vae"].config, given)
    theirs = pipeline._pack_latents(pipeline._encode_vae_image(picture, None), 1, 16, 4, 6)
    yield (
        "latents as tokens, shifted and scaled",
        _digest(module.Encoder(pipeline.vae).encode(picture)),
        _digest(theirs),
    )
    yield "an instruction's tokens", module._MAX_TOKENS, defaults["max_sequence_length"]
    widths = [configs["text_encoder_2"]["d_model"], configs["text_encoder"]["hidden_size"]]
    yield (
        "widths of the text and its summary",
        [shape[-1] for shape in module.prompt_shapes(configs).values()],
        widths,
    )


def _qwen(configs: dict[str, Any], networks: dict[str, Any]) -> Iterator[Row]:
    family, module, source = FAMILIES["qwen_image_edit"], qwen_image_edit, pipeline_qwenimage_edit_plus
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler.from_config(configs["scheduler"])
    pipeline = diffusers.QwenImageEditPlusPipeline(
        scheduler, networks["vae"], None, None, None, networks["transformer"]
    )
    defaults = _defaults(pipeline.__call__)
    yield (
        "size: multiples of this are also multiples of the pipeline's",
        0,
        family.multiple % (pipeline.vae_scale_factor * 2),
    )
    usual = [round(side) for side in source.calculate_dimensions(source.VAE_IMAGE_SIZE, 4 / 3)]
    yield "the usual size, of frames 4:3", list(family.size[::-1]), usual
    for size in SIZES:
        grid, shape = (size[0] // 16, size[1] // 16), module.latent_shape(configs, size)
        packed = pipeline._pack_latents(
            torch.zeros(1, 16, 2 * grid[0], 2 * grid[1]), 1, 16, 2 * grid[0], 2 * grid[1]
        )
        yield f"{_of(size)}: tokens and channels", list(shape), list(packed.shape[1:])
        yield from _by_tokens(module, configs, 40, size, scheduler, source)
        seen = source.calculate_dimensions(source.CONDITION_IMAGE_SIZE, size[1] / size[0])
        yield (
            f"{_of(size)}: what the encoder sees",
            list(module._seen(size)),
            [round(side) for side in seen][::-1],
        )
    told = module._CHAT % module._PLACE
    chat = pipeline.prompt_template_encode.format("Picture 1: <|vision_start|><|image_pad|><|vision_end|>{}")
    yield "what frames an instruction", _text(told), _text(chat)
    yield "tokens of it that are dropped", module._DROPPED, pipeline.prompt_template_encode_start_idx
    yield "guidance is told", False, networks["transformer"].config.guidance_embeds
    yield "guidance where it is asked for", 4.0, defaults["true_cfg_scale"]
    picture = torch.zeros(1, 3, 32, 48)
    given = torch.randn(1, 16, 4, 6, generator=torch.Generator().manual_seed(0))
    pipeline.vae = Vae(networks["vae"].config, given)
    theirs = pipeline._pack_latents(pipeline._encode_vae_image(picture[:, :, None], None), 1, 16, 4, 6)
    yield (
        "latents as tokens, by mean and deviation",
        _digest(module.Encoder(pipeline.vae).encode(picture)),
        _digest(theirs),
    )
    yield (
        "width of the text",
        networks["transformer"].config.joint_attention_dim,
        configs["text_encoder"]["hidden_size"],
    )


def _marigold(configs: dict[str, Any], networks: dict[str, Any]) -> Iterator[Row]:
    family, module, index = FAMILIES["marigold"], marigold, configs["index"]
    scheduler = diffusers.DDIMScheduler.from_config(configs["scheduler"])
    kind = getattr(diffusers, index["_class_name"])
    settings = {
        name: value
        for name, value in index.items()
        if not isinstance(value, list) and not name.startswith("_")
    }
    pipeline = kind(networks["unet"], networks["vae"], scheduler, None, None, **settings)
    steps = family.painted(index)[0]
    yield "what it paints", marigold_task(index), "depth" if "Depth" in index["_class_name"] else "normals"
    yield "size: multiple of", family.multiple, pipeline.vae_scale_factor
    yield "longer side of the usual size", max(family.size), pipeline.default_processing_resolution
    yield "steps", steps, pipeline.default_denoising_steps
    for size in SIZES:
        shape = [
            networks["vae"].config.latent_channels,
            *(side // pipeline.vae_scale_factor for side in size),
        ]
        yield f"{_of(size)}: latents", list(module.latent_shape(configs, size)), shape
    for count in (1, steps, 10):
        ours = module.schedule(configs["scheduler"], count, ())
        x, generator = torch.ones(1, 1, 1, 2, dtype=torch.float64), torch.Generator().manual_seed(0)
        answers = torch.randn(count, 1, 1, 1, 2, generator=generator, dtype=torch.float64)
        scheduler.set_timesteps(count)
        yield f"times of {count} steps", [step.time for step in ours], [float(t) for t in scheduler.timesteps]
        theirs = x
        for t, answer in zip(scheduler.timesteps, answers, strict=True):
            theirs = scheduler.step(answer, t, theirs).prev_sample
        given = iter(answers)
        walked = walk(ours, x, lambda x, time, given=given: next(given))
        yield f"where {count} steps end", _round(walked.flatten()), _round(theirs.flatten())
    given = torch.randn(1, 4, 4, 6, generator=torch.Generator().manual_seed(0))
    pipeline.vae = Vae(networks["vae"].config, given)
    picture = torch.zeros(1, 3, 32, 48)
    theirs, _ = pipeline.prepare_latents(picture, None, None, 1, 1)
    yield "latents, scaled", _digest(module.Encoder(pipeline.vae).encode(picture)), _digest(theirs)
    yield (
        "width of the empty text",
        module.prompt_shapes(configs)["text"][1],
        configs["text_encoder"]["hidden_size"],
    )


_OF = {"flux2_klein": _klein, "flux_kontext": _kontext, "qwen_image_edit": _qwen, "marigold": _marigold}


def _by_tokens(
    module: Any, configs: dict[str, Any], steps: int, size: tuple[int, int], scheduler: Any, source: Any
) -> Iterator[Row]:
    """Shift and times of the families whose shift depends on the number of tokens alone."""
    shape, config = module.latent_shape(configs, size), scheduler.config
    names = ("base_image_seq_len", "max_image_seq_len", "base_shift", "max_shift")
    mu = source.calculate_shift(shape[0], *(config[name] for name in names))
    yield f"{_of(size)}: shift", _round(module.shift(configs["scheduler"], steps, shape)), _round(mu)
    yield (
        f"{_of(size)}: times of {steps} steps",
        *_times(module, configs, steps, shape, scheduler, source, mu),
    )


def _times(
    module: Any, configs: dict[str, Any], steps: int, shape: Any, scheduler: Any, source: Any, mu: float
) -> tuple[Any, Any]:
    ours = [step.time for step in module.schedule(configs["scheduler"], steps, shape)]
    given, _ = source.retrieve_timesteps(
        scheduler, steps, "cpu", sigmas=np.linspace(1.0, 1 / steps, steps), mu=mu
    )
    return _round(ours), _round(given / 1000)


def _our_table(module: Any, configs: dict[str, Any], grid: tuple[int, int]) -> str:
    transformer = _on_no_device(
        module.DENOISER_CLASS.__name__, {**configs["transformer"], "num_layers": 1, "num_single_layers": 1}
    )
    denoiser = module.Denoiser(transformer, grid)
    return _digest(torch.cat([denoiser.words, denoiser.places]))


def _table(transformer: Any, ids: torch.Tensor) -> str:
    return _digest(torch.cat([part.float() for part in transformer.pos_embed(ids)], dim=1))


def _defaults(function: Any) -> dict[str, Any]:
    return {name: parameter.default for name, parameter in inspect.signature(function).parameters.items()}


def _digest(values: torch.Tensor) -> str:
    """A shape and a checksum of numbers, which no table could show."""
    rounded = np.round(values.numpy().astype(np.float64), 5) + 0.0  # no negative zeros
    return f"{'x'.join(map(str, values.shape))} {hashlib.sha256(rounded.tobytes()).hexdigest()[:12]}"


def _text(text: str) -> str:
    return f"{len(text)} letters, {hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _round(value: Any) -> Any:
    return round(value, 5) if isinstance(value, float) else [round(float(v), 5) for v in value]


def _of(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


if __name__ == "__main__":
    kept = json.loads(OUT.read_text()) if OUT.is_file() else {}
    command = {"command": "python benchmark/open_weights.py", "diffusers": diffusers.__version__}
    OUT.write_text(json.dumps({**kept, "configurations": {**command, "models": tables()}}, indent=1) + "\n")
