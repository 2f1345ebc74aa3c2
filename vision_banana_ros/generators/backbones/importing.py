# SPDX-License-Identifier: Apache-2.0
"""From a folder in diffusers' format to a bundle.

Checked, copied, and with the numbers that running needs worked out ahead.
"""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.backbones.diffusers_folder import (
    INDEX,
    Folder,
    open_folder,
    read_header,
    read_json,
)
from vision_banana_ros.generators.backbones.family import marigold_task
from vision_banana_ros.generators.backbones.guidance import LARGEST, TOLD
from vision_banana_ros.generators.backbones.noise_schedule import STARTS, Step, fields_of
from vision_banana_ros.generators.backbones.prompt_cache import ENCODER, PromptCache, require_packages
from vision_banana_ros.generators.bundle import Bundle, open_bundle, write_manifest
from vision_banana_ros.generators.checksums import sha256_of
from vision_banana_ros.tasks.profiles import profile
from vision_banana_ros.tasks.vocabulary import LEGEND

_SPARE = 100_000_000  # bytes that must be left over


@dataclass(frozen=True)
class Options:
    """How a model is imported. Empty fields take what its family does.

    transformer: a folder whose denoiser takes the place of the model's own. steps, start: of painting; start
    is one of STARTS. guidance: classifier-free; 1 is none. told: the guidance that weights are told which
    were distilled from guided ones. scheduler: fields that take the place of the model's own scheduler's, for
    a LoRA that was made for another schedule. words: instructions of the profile's own. graphs: ONNX graphs
    in place of the weights. precision: of the denoiser's graph. encoder: whether the text encoder comes
    along. copy: whether weights are copied where they could be shared by hard links.
    """

    profile: str
    lora: Path | None = None
    transformer: Path | None = None
    size: tuple[int, int] | None = None
    steps: int | None = None
    guidance: float | None = None
    told: float | None = None
    scheduler: Mapping[str, Any] = field(default_factory=dict)
    start: str = "noise"
    words: Mapping[str, str] = field(default_factory=dict)
    graphs: bool = False
    precision: str = "fp32"
    encoder: bool = True
    copy: bool = False
    licence: str = ""
    depth_range_m: tuple[float, float] = (0.1, 100.0)


def import_model(
    source: Path, out: Path, options: Options, say: Callable[[str], None] = lambda _: None
) -> Bundle:
    """Make the bundle `out` of a model.

    Nothing is left of it where that fails. InputError says what is wrong with the model.
    """
    folder = open_folder(source)
    family = folder.family
    chosen = _check(folder, options)
    size = options.size or family.size
    family.check_size(size)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"'{out}' is already there: give a new folder for the bundle, or delete it first.")
    require_packages(("onnx", "onnxscript") if options.graphs else ())
    networks = family.networks
    configs = _configs(folder, options)
    networks.check(configs)
    _check_latents(folder, configs)
    latents = networks.latent_shape(configs, size)
    steps = _schedule(folder, options, latents)
    _require_room(out, _needed(folder, options, out))

    out.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        made = {
            "from": source.name,
            "pipeline": folder.index["_class_name"],
            **_copy_painting(folder, options, partial, say),
        }
        shapes = networks.prompt_shapes(configs)
        encoder = _copy_encoder(folder, options, partial, say)
        guidance = _guidance(folder, options)
        constant = (
            ""
            if not family.words
            else networks.UNTOLD
            if guidance > 1 and not family.encoder_sees_image
            else None
        )
        if constant is not None:
            say("encoding the constant prompt")
            PromptCache(partial, encoder["digest"], shapes).add(
                constant, next(networks.encode(source, [constant], "cpu"))
            )
        if options.graphs:
            _to_graphs(networks, partial, size, latents, shapes, options.precision, say)
        backbone = {
            "family": family.name,
            "pipeline": folder.index["_class_name"],
            "graphs": options.graphs,
            "precision": options.precision if options.graphs else "",
            "start": options.start,
            "guidance": guidance,
            "untold": networks.UNTOLD if guidance > 1 else "",
            "keeps_length": networks.KEEPS_LENGTH if guidance > 1 else False,
            "schedule": [list(asdict(step).values()) for step in steps],
            "latents": list(latents),
            "prompt": shapes,
            "words": dict(options.words),
            "encoder": encoder,
        }
        say("checksums")
        write_manifest(
            partial,
            {
                **_fields(out.name, folder, options, chosen.tasks, size, len(steps)),
                "backbone": backbone,
                "made": made,
            },
        )
        if out.is_dir():
            out.rmdir()
        partial.chmod(0o755)
        partial.replace(out)
    except Exception as error:
        if _disk_is_full(error):
            raise InputError(
                f"The disk of '{out.parent}' is full: nothing was imported. Make room there, or give"
                " another --out."
            ) from error
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return open_bundle(out)


def _disk_is_full(error: Exception) -> bool:
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)


def _check(folder: Folder, options: Options) -> Any:
    family = folder.family
    chosen = profile(options.profile, options.words)
    fitting = [
        name
        for name in family.profiles
        if not name.startswith("marigold") or marigold_task(folder.index) in name
    ]
    if options.profile not in fitting:
        raise InputError(
            f"The profile {options.profile} does not fit {folder.index['_class_name']}: give"
            f" {' or '.join(fitting)}."
        )
    if family.encoder_sees_image and (options.graphs or not options.encoder):
        raise InputError(
            f"The text encoder of {folder.index['_class_name']} looks at every frame, so the robot needs"
            " it, and torch to run it: "
            "import the model without --graphs and --no-encoder, or choose one whose encoder reads words"
            " alone, such as FLUX.2-klein."
        )
    if options.start not in STARTS:
        raise InputError(
            f"A painting cannot start from '{options.start}': choose one of {', '.join(STARTS)}."
        )
    if options.guidance is not None and not 1 <= options.guidance <= LARGEST:
        raise InputError(f"A guidance of {options.guidance:g} cannot be: give 1 (none) to {LARGEST:g}.")
    if options.told is not None and not folder.config(family.networks.DENOISER).get("guidance_embeds"):
        raise InputError(f"{folder.index['_class_name']} is told no guidance: leave --told-guidance away.")
    if options.told is not None and not 1 <= options.told <= LARGEST:
        raise InputError(f"A guidance of {options.told:g} cannot be told: give 1 to {LARGEST:g}.")
    if options.guidance is not None and options.guidance > 1 and not family.words:
        raise InputError(
            f"{folder.index['_class_name']} takes no words, so nothing can be guided: leave --guidance away."
        )
    if options.steps is not None and not 1 <= options.steps <= 100:
        raise InputError(f"{options.steps} steps cannot be: give 1 to 100.")
    if options.precision not in ("fp32", "bf16"):
        raise InputError(f"Graphs are exported in fp32 or bf16, not in {options.precision}.")
    if options.lora is not None and options.transformer is not None:
        raise InputError(
            "Give either a LoRA or a whole transformer, not both: a LoRA fits the transformer"
            " that it was made for."
        )
    return chosen


def _configs(folder: Folder, options: Options) -> dict[str, dict[str, Any]]:
    family = folder.family
    weighted = [
        name
        for name in (*family.painting, *family.encoding)
        if not name.startswith(("tokenizer", "processor"))
    ]
    configs = {name: folder.config(name) for name in weighted}
    configs["index"] = folder.index
    if options.transformer is not None:
        configs[family.networks.DENOISER] = read_json(_config_of(options.transformer))
    return configs


def _config_of(transformer: Path) -> Path:
    if not (transformer / "config.json").is_file():
        raise InputError(
            f"'{transformer}' holds no transformer (config.json is missing): give the folder"
            " with its safetensors."
        )
    return transformer / "config.json"


def _check_latents(folder: Folder, configs: dict[str, dict[str, Any]]) -> None:
    """The VAE's weights themselves, for a configuration can be of another model than the file beside it."""
    shapes = {
        name: entry["shape"]
        for file in folder.weights("vae")
        for name, entry in read_header(file).items()
        if name != "__metadata__"
    }
    first = shapes.get("decoder.conv_in.weight")
    wanted = configs["vae"].get("latent_channels", configs["vae"].get("z_dim"))
    if first is None:
        raise InputError(f"The VAE of '{folder.path}' holds no decoder: download the whole model.")
    if wanted is not None and first[1] != wanted:
        raise InputError(
            f"The VAE's weights have {first[1]} latent channels, its configuration says {wanted}: download"
            " both from one model."
        )


def _schedule(folder: Folder, options: Options, latents: tuple[int, ...]) -> list[Step]:
    if options.start == "frame" and options.steps not in (None, 1):
        raise InputError("A painting that starts from the frame takes one step: leave --steps away.")
    steps = 1 if options.start == "frame" else options.steps or folder.family.painted(folder.index)[0]
    config = folder.config("scheduler")
    kind = folder.index["scheduler"][1]
    if unknown := sorted(set(options.scheduler) - fields_of(kind)):
        raise InputError(f"A {kind} has no field {', '.join(unknown)}: leave it away.")
    try:
        return folder.family.networks.schedule({**config, **options.scheduler}, steps, latents)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise InputError(
            f"The scheduler's fields make no schedule of {steps} steps ({error}): check them."
        ) from error


def _guidance(folder: Folder, options: Options) -> float:
    """What was asked for.

    Else what the weights were made for, but none where a tuned model paints in one step.
    """
    if options.guidance is not None:
        return options.guidance
    return 1.0 if options.start == "frame" else folder.family.painted(folder.index)[1]


def _needed(folder: Folder, options: Options, out: Path) -> int:
    """Bytes that the bundle takes at most while it is made."""
    painting = [file for name in folder.family.painting if name != "scheduler" for file in folder.files(name)]
    encoding = (
        [file for name in folder.family.encoding for file in folder.files(name)]
        if options.encoder and folder.family.words
        else []
    )
    weights = sum(file.stat().st_size for file in painting)
    graphs = (
        (2 if options.precision == "fp32" else 1) * weights if options.graphs else 0
    )  # bfloat16 weights double in fp32
    shared = not options.copy and folder.path.stat().st_dev == _existing(out).stat().st_dev
    denoiser = folder.files(folder.family.networks.DENOISER) if options.lora else []  # which is changed
    copied = [*denoiser] if shared else [*painting, *encoding]
    return graphs + sum(file.stat().st_size for file in copied)


def _existing(out: Path) -> Path:
    """The folder in which `out` is, or will be made."""
    return next(parent for parent in (out, *out.absolute().parents) if parent.exists())


def _require_room(out: Path, needed: int) -> None:
    there = _existing(out)
    free = shutil.disk_usage(there).free
    if free < needed + _SPARE:
        raise InputError(
            f"The bundle needs up to {needed / 1e9:.1f} GB, and the disk of '{there}' has {free / 1e9:.1f}"
            " GB left: "
            "make room there, or give another --out."
        )


def _copy_painting(
    folder: Folder, options: Options, partial: Path, say: Callable[[str], None]
) -> dict[str, Any]:
    networks = folder.family.networks
    made: dict[str, Any] = {}
    told = {} if options.told is None else {TOLD: options.told}
    (partial / INDEX).write_text(json.dumps({**folder.index, **told}, indent=2) + "\n")
    for component in (name for name in folder.family.painting if name != "scheduler"):
        say(f"copying {component}")
        if component == networks.DENOISER and options.lora is not None:
            from vision_banana_ros.generators.backbones.lora import fuse

            made["lora"] = options.lora.name
            made["lora_layers"] = fuse(folder, options.lora, partial / component)
        elif component == networks.DENOISER and options.transformer is not None:
            other = Folder(options.transformer.parent, folder.index, folder.family)
            other.weights(options.transformer.name)
            _take(other.files(options.transformer.name), partial / component, options.copy)
            made["transformer"] = str(options.transformer.name)
        else:
            _take(folder.files(component), partial / component, options.copy)
    return made


def _copy_encoder(
    folder: Folder, options: Options, partial: Path, say: Callable[[str], None]
) -> dict[str, Any]:
    """What the manifest says of the text encoder.

    Its digest, by which prompts are known, and its files with checksums.
    """
    sums: dict[str, str] = {}
    for component in folder.family.encoding:
        say(f"reading {component}")
        for file in folder.files(component):
            sums[f"{component}/{file.name}"] = sha256_of(file)
    digest = hashlib.sha256(repr(sorted(sums.items())).encode()).hexdigest()
    if options.encoder and folder.family.words:
        for component in folder.family.encoding:
            say(f"copying {component}")
            _take(folder.files(component), partial / ENCODER / component, options.copy)
    return {"digest": digest, "files": sums}


def _take(files: list[Path], to: Path, copy: bool) -> None:
    """Files into the bundle: weights by hard links unless a copy is wanted or the disk has no links."""
    to.mkdir(parents=True, exist_ok=True)
    for file in files:
        if copy or file.suffix != ".safetensors" or not _linked(file, to / file.name):
            shutil.copyfile(file, to / file.name)


def _linked(file: Path, to: Path) -> bool:
    try:
        os.link(file.resolve(), to)
    except OSError:  # another disk, or one without links
        return False
    return True


def _to_graphs(
    networks: Any,
    partial: Path,
    size: tuple[int, int],
    latents: tuple[int, ...],
    shapes: dict[str, list[int]],
    precision: str,
    say: Callable[[str], None],
) -> None:
    import torch

    from vision_banana_ros.generators.backbones.onnx_graphs import write_graphs

    say("exporting graphs")
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    write_graphs(networks.networks(partial, size, kind), size, latents, shapes, partial)
    for component in ("vae", networks.DENOISER):
        shutil.rmtree(partial / component)
    (partial / INDEX).unlink()


def _fields(
    name: str, folder: Folder, options: Options, tasks: tuple[str, ...], size: tuple[int, int], steps: int
) -> dict[str, Any]:

    return {
        "name": name,
        "description": f"{folder.index['_class_name']} of {folder.path.name}, imported.",
        "licence": options.licence or folder.family.licence,
        "tasks": list(tasks),
        "codec": options.profile,
        "size": size,
        "steps": steps,
        "depth_range_m": options.depth_range_m,
        "legend": LEGEND,
        "text_length": folder.family.max_tokens,
        "text_buckets": 0,
        "network": {},
    }
