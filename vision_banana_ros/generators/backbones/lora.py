# SPDX-License-Identifier: Apache-2.0
"""Merges a LoRA file into the denoiser of an editor, after checking that it was made for that denoiser."""

from pathlib import Path
from typing import Any

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.backbones.diffusers_folder import Folder, read_header, read_json
from vision_banana_ros.generators.backbones.prompt_cache import require_packages
from vision_banana_ros.generators.bundle import sha256_of

COMPARISON = "comparison.json"


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
    layers = _check(state, _shapes(folder, networks.DENOISER), lora, networks.DENOISER)
    kind = torch.bfloat16 if _stored(folder, networks.DENOISER) == "BF16" else torch.float32
    denoiser = networks.DENOISER_CLASS.from_pretrained(
        folder.path / networks.DENOISER, torch_dtype=kind, local_files_only=True, use_safetensors=True
    )
    scales = {"network_alphas": alphas[0]} if alphas else {}
    pipeline.load_lora_into_transformer(
        state, transformer=denoiser, adapter_name="tuned", metadata=metadata, **scales
    )
    denoiser.fuse_lora()
    denoiser.unload_lora()
    denoiser.save_pretrained(out, safe_serialization=True)
    return layers


def comparison_of(lora: Path) -> dict[str, Any] | None:
    """What `vision-banana tune` measured of this very file beside its teacher (COMPARISON, next to it).

    None where it did not.
    """
    file = lora.parent / COMPARISON
    if not file.is_file():
        return None
    found = read_json(file)
    return found if found.pop("lora", None) == sha256_of(lora) else None


def _shapes(folder: Folder, component: str) -> dict[str, tuple[int, ...]]:
    return {
        name: tuple(entry["shape"])
        for file in folder.weights(component)
        for name, entry in read_header(file).items()
        if name != "__metadata__"
    }


def _stored(folder: Folder, component: str) -> str:
    header = read_header(folder.weights(component)[0])
    return next(entry["dtype"] for name, entry in header.items() if name != "__metadata__")


def _check(state: dict[str, Any], base: dict[str, tuple[int, ...]], lora: Path, component: str) -> int:
    """How many layers a LoRA changes.

    InputError where one of them is not in the base, or of another shape there.
    """
    downs = {}
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
        if not fits:
            raise InputError(
                f"'{lora}' was made for another base: its '{layer}' is {tuple(value.shape)}, this model's"
                " layer is "
                f"{wanted[0]}x{wanted[1]}. Take the LoRA for this size of the model."
            )
        downs[layer] = True
    if not downs:
        raise InputError(f"'{lora}' changes nothing: it holds no LoRA.")
    return len(downs)
