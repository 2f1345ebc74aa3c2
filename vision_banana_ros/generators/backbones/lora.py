# SPDX-License-Identifier: Apache-2.0
"""Merges a LoRA file into the denoiser of an editor, after checking that it was made for that denoiser."""

import shutil
import warnings
from pathlib import Path
from typing import Any

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.backbones.diffusers_folder import (
    Folder,
    read_header,
    read_json,
    tensor_places,
)
from vision_banana_ros.generators.backbones.prompt_cache import require_packages
from vision_banana_ros.generators.checksums import sha256_of

COMPARISON = "comparison.json"
_NAME = "tuned"


def fuse(folder: Folder, lora: Path, out: Path) -> int:
    """Write the denoiser of `folder` with `lora` added to `out`; returns how many layers it changes.

    InputError for a file that is no safetensors, for LoKr and DoRA, and for one made for another base.
    """
    if not lora.is_file():
        raise InputError(f"There is no LoRA file '{lora}'.")
    if lora.suffix != ".safetensors":
        raise InputError(
            f"'{lora}' is no .safetensors file; other formats can run any code when they are opened."
            " Convert or download it."
        )
    read_header(lora)
    networks = folder.family.networks
    if networks.LORA_PIPELINE is None:
        raise InputError(f"{folder.family.name} takes no LoRA: tune and import its whole denoiser.")
    require_packages(("peft",))
    import diffusers
    import torch

    pipeline = getattr(diffusers, networks.LORA_PIPELINE)
    try:
        state, *alphas, metadata = pipeline.lora_state_dict(
            str(lora.parent),
            weight_name=lora.name,
            use_safetensors=True,
            local_files_only=True,
            return_lora_metadata=True,
            return_alphas=True,  # which FLUX.1 alone keeps apart
        )
    except (KeyError, ValueError, RuntimeError, AttributeError) as error:
        raise InputError(
            f"'{lora}' cannot be read as a LoRA ({error}): it was made for another base or by an unknown"
            " tool."
        ) from error
    weights = folder.weights(networks.DENOISER)
    halves = _check(state, _shapes(weights), lora, networks.DENOISER)
    # On no device: only how strongly each layer counts is asked of it, by diffusers' own reading of the file.
    with torch.device("meta"):
        denoiser = networks.DENOISER_CLASS.from_config(folder.config(networks.DENOISER))
    scales = {"network_alphas": alphas[0]} if alphas else {}
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "for .* copying from a non-meta parameter"
        )  # nor is it meant to be copied
        pipeline.load_lora_into_transformer(
            state, transformer=denoiser, adapter_name=_NAME, metadata=metadata, **scales
        )
    deltas = {
        f"{layer}.weight": (denoiser.get_submodule(layer).scaling[_NAME], *pair)  # type: ignore[index]
        for layer, pair in halves.items()
    }
    out.mkdir(parents=True, exist_ok=True)
    for file in folder.files(networks.DENOISER):
        shutil.copyfile(file, out / file.name)
    for file in weights:
        _add(out / file.name, deltas)
    return len(deltas)


def comparison_of(lora: Path) -> dict[str, Any] | None:
    """What `vision-banana tune` measured of this very file beside its teacher (COMPARISON, next to it).

    None where it did not.
    """
    file = lora.parent / COMPARISON
    if not file.is_file():
        return None
    found = read_json(file)
    return found if found.pop("lora", None) == sha256_of(lora) else None


def _shapes(files: list[Path]) -> dict[str, tuple[int, ...]]:
    return {
        name: tuple(entry["shape"])
        for file in files
        for name, entry in read_header(file).items()
        if name != "__metadata__"
    }


def _add(file: Path, deltas: dict[str, tuple[float, Any, Any]]) -> None:
    """Adds scale * up @ down to the layers of a safetensors file, in place and one after the other.

    Summed in float32 and rounded once, for a delta that was rounded to bfloat16 first loses much of itself.
    """
    import torch

    kinds = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}
    content = torch.from_file(str(file), shared=True, size=file.stat().st_size, dtype=torch.uint8)
    for name, place in tensor_places(file).items():
        if name not in deltas:
            continue
        if place.kind not in kinds:
            raise InputError(f"'{name}' of {file.name} is stored as {place.kind}, to which no LoRA is added.")
        scale, down, up = deltas[name]
        layer = content[place.first : place.last]
        values = layer.clone().view(kinds[place.kind]).view(place.shape).float()
        values += scale * (up.float() @ down.float())
        layer.copy_(values.to(kinds[place.kind]).view(-1).view(torch.uint8))


def _check(
    state: dict[str, Any], base: dict[str, tuple[int, ...]], lora: Path, component: str
) -> dict[str, list[Any]]:
    """The layers that a LoRA changes, each with its two halves, down and up.

    InputError where one of them is not in the base, or of another shape there.
    """
    halves: dict[str, list[Any]] = {}
    for name, value in state.items():
        name = name.removeprefix(f"{component}.")
        if name.endswith(".alpha"):
            continue
        if not name.endswith((".lora_A.weight", ".lora_B.weight")):
            raise InputError(
                f"'{lora}' holds '{name}', which is no LoRA's: only lora_A and lora_B are"
                " known (no LoKr, no DoRA)."
            )
        layer, _, half = name.removesuffix(".weight").rpartition(".")
        wanted = base.get(f"{layer}.weight")
        if wanted is None:
            raise InputError(
                f"'{lora}' was made for another base: it changes '{layer}', which this model does not have."
            )
        fits = value.shape[1] == wanted[1] if half == "lora_A" else value.shape[0] == wanted[0]
        if not fits or value.ndim != 2:
            raise InputError(
                f"'{lora}' was made for another base: its '{layer}' is {tuple(value.shape)}, "
                "this model's layer is "
                f"{'x'.join(map(str, wanted))}. Take the LoRA for this size of the model."
            )
        halves.setdefault(layer, [None, None])[("lora_A", "lora_B").index(half)] = value
    if not halves:
        raise InputError(f"'{lora}' changes nothing: it holds no LoRA.")
    if lacking := [layer for layer, (down, up) in halves.items() if down is None or up is None]:
        raise InputError(f"'{lora}' was cut off: it holds one half of '{lacking[0]}'.")
    return halves
