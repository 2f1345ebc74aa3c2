# SPDX-License-Identifier: Apache-2.0
"""Fine-tunes an open image editor with a LoRA on its denoiser, on rendered scenes or on given pairs.

With start "noise" the loss is the editor's own, flow matching at a random time, for sampling in many steps.
With start "frame" the editor is tuned for one step from the latents of the frame, with a loss on the decoded
image (arXiv 2409.11355, 2609.08084); the original editor with all its steps is evaluated as the teacher. VAE
and text encoder are frozen.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation.figures import tidy
from vision_banana_ros.files import write_bytes, write_whole
from vision_banana_ros.generators.backbones.diffusers_folder import (
    Folder,
    open_folder,
    read_header,
    read_json,
)
from vision_banana_ros.generators.backbones.lora import COMPARISON
from vision_banana_ros.generators.checksums import sha256_of
from vision_banana_ros.tasks.profiles import Profile
from vision_banana_ros.training.editors.editor import Tuned
from vision_banana_ros.training.editors.encodings import Encoded, Encodings, StoredEncodings
from vision_banana_ros.training.editors.examples import TASKS, Lessons
from vision_banana_ros.training.editors.pairs import Pairs
from vision_banana_ros.training.own.checkpoint import reading_run

STATE, LORA, RUN = (
    "state.json",
    "lora.safetensors",
    "run.pt",
)  # the last one contains everything needed to resume
#: Ends of the names of the layers that get a LoRA, in all families that support it.
LAYERS = ("to_q", "to_k", "to_v", "to_out.0", "to_qkv_mlp_proj", "to_out", "proj_out")
#: Fields of a plan that encoded examples depend on.
_OF_EXAMPLES = ("size", "tasks", "start", "views", "pairs", "keep", "seed")
_ENCODINGS, _LOG = "encodings", "tensorboard"  # folders
#: Fields of a plan that may change when a run is resumed.
_FREE = ("steps", "save_every", "measure_every", "held_out")
_TOLD_EVERY_S = 30.0


@dataclass(frozen=True)
class Plan:
    """Configuration of the fine-tuning.

    Attributes:
        size: Height and width of frames and answers in pixels.
        steps: Number of optimiser steps.
        tasks: Names of the tasks.
        start: "noise" or "frame", where sampling starts.
        begin: Folder of a run whose LoRA is the initialisation.
        rank: Rank of the LoRA.
        targets: Ends of the names of the linear layers that get a LoRA.
        rate: Learning rate.
        batch: Examples per step and process, with gradient accumulation.
        views: Number of different scenes.
        save_every: Steps between checkpoints.
        measure_every: Steps between evaluations during training; 0 to evaluate only before and after it.
        precision: Mixed precision of accelerate: "no" or "bf16".
        average: Decay of the moving average of the LoRA, which is evaluated and saved; 0 for the LoRA itself.
        stored: Number of examples that are encoded once, stored and used again; 0 for ever new ones.
        pairs: Folder with pairs.json, the editor's own work.
        keep: Fraction of the editor's own work (`pairs`, or edits of scenes), against forgetting; with pairs,
            0 means pairs only.
        held_out: Number of views for evaluation.
        seed: Random seed.
    """

    size: tuple[int, int]
    steps: int
    tasks: tuple[str, ...] = TASKS
    start: str = "frame"
    begin: Path | None = None
    rank: int = 16
    targets: tuple[str, ...] = LAYERS
    rate: float = 1e-4
    batch: int = 1
    views: int = 1000
    save_every: int = 500
    measure_every: int = 0
    precision: str = "no"
    average: float = 0.0
    stored: int = 0
    pairs: Path | None = None
    keep: float = 0.0
    held_out: int = 8
    seed: int = 0


def tune(
    source: Path, out: Path, profile: Profile, plan: Plan, say: Callable[[str], None] = print
) -> dict[str, Any]:
    """Fine-tunes an editor, or resumes a run; writes lora.safetensors for `vision-banana import --lora`.

    Args:
        source: Folder of the model.
        out: Folder of the run.
        profile: Format of the answers.
        plan: The configuration.
        say: Prints a line of progress.

    Returns:
        Losses, and reports on held-out views "before" and "after"; with start "frame" also of the "teacher".

    Raises:
        InputError: The model does not support LoRA, or the plan is invalid.
    """
    from accelerate import Accelerator

    folder = open_folder(source)
    _check(folder, profile, plan)
    pairs = Pairs(plan.pairs, plan.size) if plan.pairs else None
    if folder.index.get("is_distilled"):
        say("These weights are distilled; their makers say to tune the base model in their place.")
    accelerator = Accelerator(mixed_precision=plan.precision)
    fixed = {"source": folder.path.name, "profile": profile.name, "processes": accelerator.num_processes}
    state = _state(out, plan, fixed)
    torch.manual_seed(plan.seed)
    tuned = Tuned(folder, profile, plan.size, plan.tasks, accelerator)
    if too_long := next(
        (text for text in (pairs.instructions if pairs else ()) if not tuned.reads(text)), ""
    ):
        raise InputError(
            f"The instruction '{too_long[:40]}…' of a pair cannot be read by this model's text encoder: "
            "shorten it."
        )
    adapter = _Adapter(tuned, plan)
    optimizer = torch.optim.AdamW(adapter.weights, lr=plan.rate, weight_decay=0.0)
    if state:
        with reading_run(out):
            kept = torch.load(out / RUN, map_location="cpu", weights_only=True)
            state = json.loads(kept["state"])
            adapter.restore(kept["weights"])
            optimizer.load_state_dict(kept["optimizer"])
    tuned.denoiser, optimizer = accelerator.prepare(tuned.denoiser, optimizer)
    if plan.average:
        adapter.average(plan.average, state.get("step", 0), kept["average"] if state else None)
    many, one, decoded = tuned.painted_steps(), 1, plan.start == "frame"
    own = one if decoded else many
    if not state:
        state = {"step": 0, "losses": [], "before": tuned.measure(plan.held_out, own)}
        if decoded:
            state["teacher"] = tuned.measure(plan.held_out, many)

    losses, process = _Losses(tuned, plan), accelerator.process_index
    lessons = Lessons(profile, plan, pairs, process, tuned.reads)
    examples: Encodings | StoredEncodings = Encodings(tuned, lessons, decoded)
    if plan.stored:
        about = {**fixed, **{name: _plain(plan)[name] for name in _OF_EXAMPLES}, "process": process}
        examples = StoredEncodings(out / _ENCODINGS, about, tuned, lessons, decoded, plan.stored)
        if state["step"] < plan.steps:
            examples.fill(say)
        tuned.release_text_encoder()
    log = _log(out, state["step"]) if accelerator.is_main_process else None
    started, first, told = time.monotonic(), state["step"], -_TOLD_EVERY_S
    while state["step"] < plan.steps:
        loss = 0.0
        for number in range(state["step"] * plan.batch, (state["step"] + 1) * plan.batch):
            noise = np.random.default_rng([plan.seed, process, number, 0, 1])
            part = losses.of(examples[number], noise) / plan.batch
            accelerator.backward(part)
            loss += float(part.detach())
        accelerator.clip_grad_norm_(adapter.weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        adapter.stepped()
        state["step"] += 1
        state["losses"].append(round(loss, 6))
        last = state["step"] == plan.steps
        if last or (plan.measure_every and state["step"] % plan.measure_every == 0):
            with adapter.averaged():
                report = tuned.measure(plan.held_out, own)
            if last:
                state["after"] = report
            else:
                state.setdefault("measured", {})[str(state["step"])] = report
            _log_report(log, report, state["step"])
            if plan.stored:
                tuned.release_text_encoder()
        if not accelerator.is_main_process:
            continue
        if log is not None:
            log.add_scalar("loss", loss, state["step"])
        if state["step"] % plan.save_every == 0 or last:
            out.mkdir(parents=True, exist_ok=True)
            with adapter.averaged():
                adapter.save(out)
            kept = {
                "state": json.dumps(state),
                "weights": adapter.weights,
                "optimizer": optimizer.state_dict(),
                "average": adapter.mean_weights,
            }
            write_whole(out / RUN, partial(torch.save, kept))
            if log is not None:
                log.flush()
            told_of = tidy({**state, **fixed, "plan": _plain(plan)})
            write_bytes(out / STATE, (json.dumps(told_of, indent=1) + "\n").encode())
            if last and plan.start == "frame":
                _compare(out, state, many)
        elapsed = time.monotonic() - started
        if last or elapsed - told > _TOLD_EVERY_S:
            told, recent = elapsed, state["losses"][-100:]
            pace = elapsed / (state["step"] - first)
            say(
                f"step {state['step']} of {plan.steps}: loss {sum(recent) / len(recent):.4f}, "
                f"{pace:.2f} s a step"
            )
    if log is not None:
        log.close()
    return state


def _log(out: Path, step: int) -> Any:
    """A log for TensorBoard that goes on after `step`; None where the package is not installed."""
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        return None
    # Files are named by the second, and a run may be resumed within one.
    return SummaryWriter(str(out / _LOG), purge_step=step + 1, filename_suffix=f".{step}")


def _log_report(log: Any, report: dict[str, Any], step: int) -> None:
    """Every figure of an evaluation, as "normals/mean_deg"."""
    if log is None:
        return
    for task, figures in report.items():
        for name, value in figures.items() if isinstance(figures, dict) else [("", figures)]:
            if isinstance(value, float):
                log.add_scalar(f"held_out/{task}/{name}".rstrip("/"), value, step)


class _Adapter:
    """The LoRA on the denoiser, initialised as in the plan.

    Attributes:
        weights: The trained parameters.
    """

    def __init__(self, tuned: Tuned, plan: Plan) -> None:
        from peft import LoraConfig
        from peft.utils import set_peft_model_state_dict
        from safetensors.torch import load_file

        self._mean: Any = None
        self._networks = tuned.networks
        self._transformer = tuned.denoiser.transformer
        layers = [
            n
            for n, m in self._transformer.named_modules()
            if n.endswith(plan.targets) and isinstance(m, torch.nn.Linear)
        ]
        self._config = LoraConfig(
            r=plan.rank, lora_alpha=plan.rank, target_modules=layers, init_lora_weights="gaussian"
        )
        self._transformer.add_adapter(self._config)
        self.weights = [parameter for parameter in tuned.denoiser.parameters() if parameter.requires_grad]
        for parameter in self.weights:
            parameter.data = parameter.data.float()  # bfloat16 loses small updates
        if plan.begin is not None:
            saved = {n.removeprefix("transformer."): v for n, v in load_file(plan.begin / LORA).items()}
            set_peft_model_state_dict(self._transformer, saved)

    def restore(self, weights: list[Tensor]) -> None:
        """Loads the weights of a checkpoint."""
        for ours, theirs in zip(self.weights, weights, strict=True):
            ours.data.copy_(theirs)

    def average(self, decay: float, step: int, kept: list[Tensor] | None) -> None:
        """Begins a moving average of the weights; a resumed run goes on with the `kept` one."""
        from diffusers.training_utils import EMAModel

        self._mean = EMAModel(self.weights, decay=decay)
        if kept is not None:
            self._mean.optimization_step = step
            for ours, theirs in zip(self._mean.shadow_params, kept, strict=True):
                ours.copy_(theirs)

    def stepped(self) -> None:
        """Takes the weights of an optimiser step into the average."""
        if self._mean is not None:
            self._mean.step(self.weights)

    @property
    def mean_weights(self) -> list[Tensor] | None:
        """The averaged weights, if the plan wants them."""
        return None if self._mean is None else self._mean.shadow_params

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The denoiser has the averaged weights meanwhile."""
        if self._mean is None:
            yield
            return
        self._mean.store(self.weights)
        self._mean.copy_to(self.weights)
        try:
            yield
        finally:
            self._mean.restore(self.weights)

    def save(self, out: Path) -> None:
        """Writes lora.safetensors in diffusers' format."""
        import diffusers
        from peft.utils import get_peft_model_state_dict

        getattr(diffusers, self._networks.LORA_PIPELINE).save_lora_weights(
            out,
            transformer_lora_layers=get_peft_model_state_dict(self._transformer),
            weight_name=LORA,
            transformer_lora_adapter_metadata=self._config.to_dict(),
        )


class _Losses:
    """The loss of an example, depending on where sampling starts."""

    def __init__(self, tuned: Tuned, plan: Plan) -> None:
        self._tuned, self._start = tuned, plan.start

    def of(self, example: Encoded, rng: np.random.Generator) -> Tensor:
        """The loss of an example; `rng` draws its time and noise."""
        tuned, frame, prompt, goal = self._tuned, example.frame, example.prompt, example.answer
        if self._start == "frame":
            return (tuned.in_one_step(frame, prompt) - goal[None]).abs().mean()
        noise = torch.from_numpy(rng.standard_normal(tuple(goal.shape), np.float32)).to(tuned.device)
        time = torch.full((1,), tuned.noise_level(rng, tuple(goal.shape[1:])), device=tuned.device)
        x = (1 - time) * goal + time * noise
        return ((tuned.velocity(x, frame, time, prompt) - (noise - goal)) ** 2).mean()


def _check(folder: Folder, profile: Profile, plan: Plan) -> None:
    name = folder.family.name
    if folder.family.encoder_sees_image:
        raise InputError(
            f"{name} cannot be tuned here, for its text encoder looks at every frame: choose another model."
        )
    if folder.family.networks.LORA_PIPELINE is None:
        raise InputError(f"{name} takes no LoRA: choose another model.")
    folder.family.check_size(plan.size)
    if plan.start not in ("noise", "frame"):
        raise InputError(f"Tuning starts from noise or frame, not from '{plan.start}'.")
    unknown = [task for task in plan.tasks if task not in TASKS or task not in profile.tasks]
    if unknown or not plan.tasks:
        raise InputError(
            f"Tuning by the profile {profile.name} knows the tasks {', '.join(TASKS)}: "
            f"choose of them, not {unknown}."
        )
    if not 0 <= plan.keep <= 1:
        raise InputError(f"A share of {plan.keep:g} cannot be: give 0 to 1.")
    names = [
        each.removesuffix(".weight")
        for file in folder.weights(folder.family.networks.DENOISER)
        for each in read_header(file)
    ]
    none = [target for target in plan.targets if not any(each.endswith(target) for each in names)]
    if not plan.targets or (none and plan.targets != LAYERS):  # no family has all of those
        raise InputError(
            f"No layer of {name} is called {', '.join(none) or 'nothing'}: choose of {', '.join(LAYERS)}."
        )
    if not 0 <= plan.average < 1:
        raise InputError(f"A decay of {plan.average:g} averages nothing: give 0 for none, or such as 0.999.")
    if plan.stored < 0:
        raise InputError(f"{plan.stored} examples cannot be stored: give 0 for none, or a number.")
    if plan.begin is not None and not (plan.begin / LORA).is_file():
        raise InputError(f"'{plan.begin}' holds no {LORA}: give the folder that `vision-banana tune` wrote.")
    if plan.begin is not None:
        _fits(plan.begin, plan, ("size", "rank", "targets"))
        if (theirs := read_json(plan.begin / STATE).get("profile")) != profile.name:
            raise InputError(
                f"The run in '{plan.begin}' was tuned by the profile {theirs}, not {profile.name}: "
                "ask for that one."
            )


def _state(out: Path, plan: Plan, fixed: dict[str, Any]) -> dict[str, Any]:
    """The state of a run to resume; empty for a new run.

    Raises:
        InputError: The run has another configuration.
    """
    if not all((out / name).is_file() for name in (STATE, RUN)):
        return {}
    _fits(out, plan, [name for name in _plain(plan) if name not in _FREE])
    state = read_json(out / STATE)
    for name, ours in fixed.items():
        if ours != state.get(name):
            raise InputError(
                f"The run in '{out}' has another {name}, {state.get(name)}, not {ours}: ask for that one."
            )
    return state


def _fits(run: Path, plan: Plan, names: Sequence[str]) -> None:
    ours, theirs = _plain(plan), read_json(run / STATE).get("plan", {})
    for name in names:
        if ours[name] != theirs.get(name):
            raise InputError(
                f"The run in '{run}' has another {name}, {theirs.get(name)}, not {ours[name]}: "
                "ask for that one."
            )


def _compare(out: Path, state: dict[str, Any], steps: int) -> None:
    """Writes the comparison of teacher and student for the model card."""
    reports = {"teacher": state["teacher"], "student": state["after"]}
    (out / COMPARISON).write_text(
        json.dumps({"lora": sha256_of(out / LORA), "steps": steps, **tidy(reports)}, indent=1) + "\n"
    )


def _plain(plan: Plan) -> dict[str, Any]:
    return json.loads(json.dumps(asdict(plan), default=str))
