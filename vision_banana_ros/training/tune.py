# SPDX-License-Identifier: Apache-2.0
"""Teach an open image editor this package's answers: a LoRA on its denoiser, on rendered scenes or on given pairs.

start "noise": flow matching, the editor's own loss (velocity at a random point between noise and answer), for many steps. start
"frame": one step from the frame's own latents, with the loss on the decoded picture (arXiv 2409.11355, 2609.08084). The VAE and the
text encoder stay as they are; instructions are embedded once, before anything else is loaded.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation.scores import DepthScore, NormalsScore, SemanticScore
from vision_banana_ros.generators.backbones.folder import open_folder, read_json
from vision_banana_ros.scenes import View, make_world, render, sample_camera
from vision_banana_ros.tasks.profiles import Profile
from vision_banana_ros.training.questions import LEGEND

TASKS = ("depth", "normals", "semantic")
STATE = "state.json"
LORA = "lora.safetensors"
_HELD_OUT = 800_000  # first seed of the worlds that are measured and never trained on
#: Layers that take a LoRA, in every family that takes one.
_LAYERS = ("to_q", "to_k", "to_v", "to_out.0", "to_qkv_mlp_proj", "to_out", "proj_out")


@dataclass(frozen=True)
class Plan:
    """pairs: a folder with pairs.json in place of scenes, or mixed in at `pairs_share`: the editor's own data, to stay an editor."""

    size: tuple[int, int]
    steps: int
    tasks: tuple[str, ...] = TASKS
    start: str = "frame"
    rank: int = 16
    rate: float = 1e-4
    batch: int = 1
    views: int = 1000
    save_every: int = 500
    precision: str = "no"
    pairs: Path | None = None
    pairs_share: float = 0.0
    held_out: int = 8
    seed: int = 0


@dataclass(frozen=True)
class Example:
    """A frame (H, W, 3) uint8, an instruction, and the picture that answers it, (H, W, 3) float32 in 0..1."""

    frame: np.ndarray
    instruction: str
    answer: np.ndarray


def tune(source: Path, out: Path, profile: Profile, plan: Plan, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Train and write `out`/lora.safetensors for `vision-banana import --lora`; goes on where `out` was left.

    Returns losses and the errors of decoded answers on held-out scenes, before and after. InputError where the model takes no
    LoRA or the plan cannot be.
    """
    import diffusers
    from accelerate import Accelerator
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict
    from safetensors.torch import load_file

    folder = open_folder(source)
    networks = folder.family.networks
    if networks.LORA_PIPELINE is None:
        raise InputError(f"{folder.family.name} takes no LoRA: choose another model.")
    folder.family.check_size(plan.size)
    if plan.start not in ("noise", "frame"):
        raise InputError(f"Tuning starts from noise or frame, not from '{plan.start}'.")
    accelerator = Accelerator(mixed_precision=plan.precision)
    pairs = read_pairs(plan.pairs, plan.size) if plan.pairs else []
    unknown = [task for task in plan.tasks if task not in TASKS or task not in profile.tasks]
    if unknown or not plan.tasks:
        raise InputError(f"Tuning by the profile {profile.name} knows the tasks {', '.join(TASKS)}: choose of them, not {unknown}.")
    tasks = list(plan.tasks)
    wanted = list(dict.fromkeys([*(_words(profile, task) for task in tasks), *(pair.instruction for pair in pairs)]))
    embedded = networks.encode(source, wanted, str(accelerator.device))
    prompts = {
        text: [torch.from_numpy(arrays[n])[None] for n in networks.PROMPT] for text, arrays in zip(wanted, embedded, strict=True)
    }

    torch.manual_seed(plan.seed)
    kind = torch.bfloat16 if plan.precision == "bf16" else torch.float32
    encoder, denoiser, decoder = (network.requires_grad_(False) for network in networks.networks(source, plan.size, kind))
    layers = [n for n, m in denoiser.transformer.named_modules() if n.endswith(_LAYERS) and isinstance(m, torch.nn.Linear)]
    config = LoraConfig(r=plan.rank, lora_alpha=plan.rank, target_modules=layers, init_lora_weights="gaussian")
    denoiser.transformer.add_adapter(config)
    adapted = [parameter for parameter in denoiser.parameters() if parameter.requires_grad]
    for parameter in adapted:
        parameter.data = parameter.data.float()  # small steps are lost in bfloat16
    optimizer = torch.optim.AdamW(adapted, lr=plan.rate, weight_decay=0.0)
    state: dict[str, Any] = {"step": 0, "losses": []}
    if (out / STATE).is_file():
        state = read_json(out / STATE)
        saved = {n.removeprefix("transformer."): v for n, v in load_file(out / LORA).items()}
        set_peft_model_state_dict(denoiser.transformer, saved)
        optimizer.load_state_dict(torch.load(out / "optimizer.pt", weights_only=True))
    encoder, decoder = encoder.to(accelerator.device), decoder.to(accelerator.device)
    denoiser, optimizer = accelerator.prepare(denoiser, optimizer)
    session = _Session(encoder, denoiser, decoder, prompts, plan, accelerator)
    if "before" not in state:
        state["before"] = session.errors(profile, tasks)

    examples = draw(profile, tasks, plan, pairs, state["step"], accelerator.process_index)
    started = time.monotonic()
    while state["step"] < plan.steps:
        loss = torch.stack([session.loss(next(examples)) for _ in range(plan.batch)]).mean()
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(adapted, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        state["step"] += 1
        state["losses"].append(round(float(loss.detach()), 6))
        last = state["step"] == plan.steps
        if last:
            state["after"] = session.errors(profile, tasks)
        if (state["step"] % plan.save_every == 0 or last) and accelerator.is_main_process:
            out.mkdir(parents=True, exist_ok=True)
            learned = get_peft_model_state_dict(accelerator.unwrap_model(denoiser).transformer)
            getattr(diffusers, networks.LORA_PIPELINE).save_lora_weights(
                out, transformer_lora_layers=learned, weight_name=LORA, transformer_lora_adapter_metadata=config.to_dict()
            )
            torch.save(optimizer.state_dict(), out / "optimizer.pt")
            (out / STATE).write_text(json.dumps({**state, "plan": _plain(plan), "profile": profile.name}, indent=1) + "\n")
            recent = state["losses"][-plan.save_every :]
            pace = (time.monotonic() - started) / max(1, len(recent))
            say(f"step {state['step']} of {plan.steps}: loss {sum(recent) / len(recent):.4f}, {pace:.2f} s a step at most")
    return state


class _Session:
    """The networks and what is done with them."""

    def __init__(
        self, encoder: Any, denoiser: Any, decoder: Any, prompts: dict[str, list[Tensor]], plan: Plan, accelerator: Any
    ) -> None:
        self._encoder, self._denoiser, self._decoder = encoder, denoiser, decoder
        self._prompts, self._plan, self._accelerator = prompts, plan, accelerator
        self._device = accelerator.device
        self._random = torch.Generator().manual_seed(plan.seed)

    def loss(self, example: Example) -> Tensor:
        answer = torch.from_numpy(example.answer).to(self._device)
        with torch.no_grad():
            frame = self._encoder(torch.from_numpy(example.frame).to(self._device))
        with self._accelerator.autocast():
            if self._plan.start == "frame":
                return (self._one_step(frame, example.instruction) - answer[None]).abs().mean()
            with torch.no_grad():
                goal = self._encoder.encode(answer.permute(2, 0, 1)[None] * 2 - 1)
            noise = torch.randn(goal.shape, generator=self._random).to(self._device)
            # Logit-normal times, as flow-matching editors were trained (arXiv 2403.03206).
            time = torch.sigmoid(torch.randn(1, generator=self._random)).to(self._device)
            x = (1 - time) * goal + time * noise
            return ((self._velocity(x, frame, time, example.instruction) - (noise - goal)) ** 2).mean()

    def errors(self, profile: Profile, tasks: Sequence[str]) -> dict[str, float]:
        """Decoded answers in one step from the frame on held-out scenes; only where that is what is tuned."""
        if self._plan.start != "frame":
            return {}
        depths, angles, classes = DepthScore(), NormalsScore(), SemanticScore(tuple(LEGEND))
        pixels = []
        for seed in range(_HELD_OUT, _HELD_OUT + self._plan.held_out):
            view = _view(seed, self._plan.size)
            for task in tasks:
                example = _example(profile, task, view)
                with torch.no_grad():
                    frame = self._encoder(torch.from_numpy(view.image).to(self._device))
                    painted = self._one_step(frame, example.instruction)[0].float().cpu().numpy()
                pixels.append(np.abs(painted - example.answer).mean())
                given: dict[str, Any] = {"legend": LEGEND} if task == "semantic" else {}
                read = profile.decode(task, painted, **given)
                if task == "depth" and profile.metric:
                    depths.add(read.depth_m, view.depth_m)
                elif task == "normals":
                    angles.add(read.normals, view.normals)
                elif task == "semantic":
                    classes.add(read.labels, view.labels)
        found = {"picture": float(np.mean(pixels))}
        if "depth" in tasks and profile.metric:
            found |= {f"depth_{name}": float(depths.result()[name]) for name in ("absrel", "delta1", "readable")}  # type: ignore[arg-type]
        if "normals" in tasks:
            found |= {f"normals_{name}": float(angles.result()[name]) for name in ("mean_deg", "readable")}  # type: ignore[arg-type]
        if "semantic" in tasks:
            found |= {f"semantic_{name}": float(classes.result()[name]) for name in ("miou", "pixel_accuracy")}  # type: ignore[arg-type]
        return found

    def _one_step(self, frame: Tensor, instruction: str) -> Tensor:
        time = torch.ones(1, device=self._device)
        return self._decoder(frame - self._velocity(frame, frame, time, instruction))

    def _velocity(self, x: Tensor, frame: Tensor, time: Tensor, instruction: str) -> Tensor:
        return self._denoiser(x, frame, time, *(part.to(self._device) for part in self._prompts[instruction]))


def draw(
    profile: Profile, tasks: Sequence[str], plan: Plan, pairs: Sequence[Example], done: int = 0, process: int = 0
) -> Iterator[Example]:
    """Examples without end: rendered views, each asked every task, and pairs at their share. The same for the same arguments."""
    share = plan.pairs_share if plan.pairs_share or not pairs else 1.0
    rng = np.random.default_rng([plan.seed, done, process])
    while True:
        if pairs and rng.random() < share:
            yield pairs[int(rng.integers(len(pairs)))]
            continue
        view = _view(int(rng.integers(plan.views)), plan.size)
        for task in rng.permutation(list(tasks)):
            yield _example(profile, str(task), view)


def read_pairs(folder: Path, size: tuple[int, int]) -> list[Example]:
    """Pairs of a folder: pairs.json, {"pairs": [{"image": file, "answer": file, "instruction": text}, ...]}, pictures of any size."""
    entries = read_json(folder / "pairs.json").get("pairs", []) if (folder / "pairs.json").is_file() else None
    if not entries:
        raise InputError(f"'{folder}' holds no pairs.json with a list of pairs: write one, see `vision-banana tune --help`.")
    found = []
    for entry in entries:
        pictures = [_picture(folder, entry.get(name), size) for name in ("image", "answer")]
        if not str(entry.get("instruction", "")).strip():
            raise InputError(f"A pair of '{folder}' has no instruction: say in words what its answer shows.")
        found.append(Example(pictures[0], str(entry["instruction"]), pictures[1].astype(np.float32) / 255))
    return found


def _picture(folder: Path, name: Any, size: tuple[int, int]) -> np.ndarray:
    picture = cv2.imread(str(folder / str(name)))
    if picture is None:
        raise InputError(f"The picture '{name}' of '{folder}' is not there or cannot be read.")
    picture = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_NEAREST)
    return np.ascontiguousarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))


def _view(seed: int, size: tuple[int, int]) -> View:
    world = make_world(seed)
    return render(world, sample_camera(world, np.random.default_rng(seed), size[1], size[0]), seed)


def _words(profile: Profile, task: str) -> str:
    return profile.instruction(task, legend=LEGEND) if task == "semantic" else profile.instruction(task)


def _example(profile: Profile, task: str, view: View) -> Example:
    truth = {"depth": view.depth_m, "normals": view.normals, "semantic": view.labels}[task]
    given: dict[str, Any] = {"legend": LEGEND} if task == "semantic" else {}
    return Example(view.image, _words(profile, task), profile.encode(task, truth, **given).astype(np.float32))


def _plain(plan: Plan) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(plan).items()}
