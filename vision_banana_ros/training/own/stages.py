# SPDX-License-Identifier: Apache-2.0
"""What is trained, and on what: the three stages of one network.

base      pictures from captions and edits of pictures, many steps (rectified flow).
instruct  the same, with vision tasks mixed in at a low ratio; still many steps, still one network.
distill   answers in one step, the frame in place of the noise; pictures go on being rehearsed in many steps.

Without a teacher, `distill` is plain supervised training of one step, and says so.
"""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.own.network import PATCH, VisionBananaUNet
from vision_banana_ros.training.data.batches import Batch, Recipe, pixels
from vision_banana_ros.training.data.questions import RANDOM_LEGENDS
from vision_banana_ros.training.own import rectified_flow
from vision_banana_ros.training.own.decoded_loss import copied_wrongly, decoded_error, rarity

STAGES = ("base", "instruct", "distill")
#: Channels at 1/4, 1/8, 1/16 of the picture: 13.6 M parameters for 2 CPU cores, 28.6 M for a GPU, 1.9 M to try things out.
CHANNELS = {"small": (48, 128, 256), "large": (64, 192, 384), "tiny": (16, 32, 64)}
#: Share of batches that hold questions. The paper says "a very low ratio" and no number; ours is the lowest at which
#: runs of minutes, not of months, learn the answers.
MIX = {"base": 0.0, "instruct": 0.25, "distill": 0.85}
LEARNING_RATE = {"base": 2e-3, "instruct": 1e-3, "distill": 1e-3}
FROM_CHANCE = 2e-3  # the learning rate of weights that start from chance
#: Times that a pixel of a mask counts at most as much as one of the background, as a run begins and from its middle on: what is
#: never painted is not learnt, and what is always painted marks things that are not there.
MOST_LIT = (4.0, 2.0)
#: Times that copying counts in the guide beside what is decoded. The picture's own error pays for the mean of likely colours; the
#: choice between them has to outweigh it.
COPYING = 2.0
WALKED = 0.1  # share of questions that a distilled network still answers from noise, so that it can take more steps


@dataclass(frozen=True, slots=True)
class Plan:
    """What to train and for how long. Sizes are (height, width), multiples of 16; each has an equal share of the time."""

    stage: str
    minutes: float
    steps: int | None = None  # in place of the clock, for runs that are to be compared
    sizes: tuple[tuple[int, int], ...] = ((96, 128), (144, 192))
    views: int = 4  # frames a batch
    rounds: int = 1  # fives of questions a frame
    learning_rate: float | None = None  # None: the stage's own
    seed: int = 0
    workers: int = 1
    channels: tuple[int, int, int] = CHANNELS["small"]
    encoder_depth: tuple[int, int, int] = (2, 2, 3)
    answer_depth: tuple[int, int, int] = (2, 2, 3)
    mix: float | None = None  # None: the stage's own, and questions alone for one step without a teacher
    sources: dict[str, float] = field(default_factory=lambda: {"procedural": 1.0})
    random_legends: float = RANDOM_LEGENDS
    tasks: tuple[str, ...] | None = None  # a specialist's; None: all
    guide: float = 0.2  # weight of the decoded error beside the picture's in one step
    compiled: bool = False
    start: str | None = None  # the run whose weights this one starts from
    teacher: str | None = None  # the run of many steps that they come from

    def __post_init__(self) -> None:
        if self.stage not in STAGES:
            raise InputError(f"There is no stage '{self.stage}'; there are {', '.join(STAGES)}.")

    @property
    def rate(self) -> float:
        if self.learning_rate is not None:
            return self.learning_rate
        return LEARNING_RATE[self.stage] if self.start else FROM_CHANCE

    @property
    def share(self) -> float:
        if self.mix is not None:
            return self.mix
        return 1.0 if self.stage == "distill" and not self.teacher else MIX[self.stage]

    @property
    def method(self) -> str:
        """What the card says about how the weights were made."""
        if self.stage != "distill":
            return f"{self.stage}: rectified flow in many steps"
        return (
            "distilled to one step from a teacher of many"
            if self.teacher
            else "trained on true answers in one step, without a teacher"
        )

    def progress(self, seconds: float, step: int) -> float:
        """How much of the run is over, 0..1 and beyond."""
        return step / self.steps if self.steps else seconds / (60 * self.minutes)

    def size_at(self, progress: float) -> tuple[int, int]:
        return self.sizes[min(int(progress * len(self.sizes)), len(self.sizes) - 1)]

    def recipe(self, size: tuple[int, int], network: VisionBananaUNet, seed: int) -> Recipe:
        """What its batches are made of at a size."""
        return Recipe(
            size=size,
            views=self.views,
            rounds=self.rounds,
            mix=self.share,
            sources=self.sources,
            random_legends=self.random_legends,
            tasks=self.tasks,
            text_length=network.config.text_length,
            text_buckets=network.config.text_buckets,
            trim=not self.compiled,
            seed=seed,
        )

    def build(self, start_from: Path | None) -> VisionBananaUNet:
        """The network to begin with: weights in diffusers' format, or chance."""
        if start_from is not None:
            return VisionBananaUNet.from_pretrained(start_from)
        return VisionBananaUNet(self.channels, self.encoder_depth, self.answer_depth)


class Painting(nn.Module):
    """The whole network as one call, as compilers and several processes need it."""

    def __init__(self, network: VisionBananaUNet) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        image: Tensor,
        of: Tensor,
        pieces: Tensor,
        colors: Tensor,
        mask: Tensor,
        sample: Tensor | None = None,
        time: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """F frames and N prompts -> N pictures, (N, 3, H, W) in -1..1, and the scores of the colours that they are copied from.

        Without a sample: in one step from the frame."""
        features = self.network.encode_image(image)
        if sample is None:
            features = self.network.add_sample(features, image)
        fine, middle, coarse = (level[of] for level in features)
        if sample is not None:
            fine, middle, coarse = self.network.add_sample((fine, middle, coarse), sample)
        if time is None:
            time = torch.ones(len(of), device=image.device)
        return self.network.paint((fine, middle, coarse), time, self.network.encode_text(pieces, colors, mask), mask)


def losses(painting: nn.Module, batch: Batch, plan: Plan, progress: float = 1.0) -> Tensor:
    """The losses of a batch's samples, (N,), as the stage has them when so much of the run is over."""
    image, target = pixels(batch.image), pixels(batch.target)
    prompt = batch.of, batch.pieces, batch.colors, batch.mask
    in_one_step = plan.stage == "distill" and batch.asks and (not plan.teacher or float(torch.rand(())) >= WALKED)
    if in_one_step:
        answer, scores = painting(image, *prompt)
        return _one_step_loss(answer.float(), scores, target, batch, plan.guide, most_lit(progress))
    time = rectified_flow.draw_times(len(target), target.device)
    answer, _ = painting(image, *prompt, rectified_flow.between(target, torch.randn_like(target), time), time)
    return rectified_flow.loss(answer.float(), target, time)


def most_lit(progress: float) -> float:
    """MOST_LIT when so much of a run, 0..1, is over."""
    first, last = MOST_LIT
    return max(last, first + 2 * (last - first) * progress)


def _one_step_loss(answer: Tensor, scores: Tensor, target: Tensor, batch: Batch, guide: float, most: float) -> Tensor:
    masks = torch.tensor([task in ("referring", "instances") for task in batch.tasks], device=answer.device)
    # Small things would be lost among the background: what is to be painted counts as much as all that is to stay black, up to
    # a limit. Without one it would always pay to mark something.
    lit = (target.amax(1, keepdim=True) > -1) & masks[:, None, None, None]
    share = lit.float().mean((1, 2, 3), keepdim=True)
    more = (1 / share.clamp(min=0.01) - 2).clamp(0, most - 1)
    times = 1 + more * lit
    if classes := [i for i, task in enumerate(batch.tasks) if task == "semantic"]:
        rows = torch.tensor(classes, device=answer.device)
        rare = rarity(target[rows], batch.palette[rows])[:, None]
        times = times.index_copy(0, rows, rare / rare.mean((1, 2, 3), keepdim=True))
    loss = ((answer - target).abs() * times).mean((1, 2, 3))
    if not guide:
        return loss
    # A quarter of the pixels, others each time: the guide's gradient is the same on average, at a quarter of its cost.
    row, column = torch.randint(2, (2,)).tolist()
    thin = (..., slice(row, None, 2), slice(column, None, 2))
    wrong = decoded_error(answer[thin], target[thin], batch.tasks, batch.palette, times[thin][:, 0])
    row, column = torch.randint(PATCH, (2,)).tolist()
    thin = (..., slice(row, None, PATCH), slice(column, None, PATCH))
    return loss + guide * (wrong + COPYING * copied_wrongly(scores, target[thin], batch.colors, times[thin][:, 0]))
