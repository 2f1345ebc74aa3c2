# SPDX-License-Identifier: Apache-2.0
"""What each choice of the training is worth: one thing changed at a time, everything else and the budget the same.

`python benchmark/ablations.py --steps 4000` trains the variants into runs/ablations (stopped, it goes on there), measures
each on the procedural split and writes ablations.json next to itself; `--write FILE` makes a table of that, between the lines
`<!-- ablations -->` and `<!-- /ablations -->` of the file. With so few steps all figures are low: read rows against one another,
and not as what the generator reaches.
"""

import argparse
import json
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_table import replaced

from vision_banana_ros.cli.train import size
from vision_banana_ros.evaluation.evaluate import evaluate
from vision_banana_ros.evaluation.legend_permutations import measure_legends
from vision_banana_ros.evaluation.retention import measure_retention
from vision_banana_ros.evaluation.splits import open_split
from vision_banana_ros.generators import default_bundle, load_generator
from vision_banana_ros.perception import Perceiver
from vision_banana_ros.training.data.batches import Recipe, Stream
from vision_banana_ros.training.own.loop import load_network
from vision_banana_ros.training.own.run_stages import run_stage
from vision_banana_ros.training.own.sampler import Painter
from vision_banana_ros.training.own.stages import CHANNELS, Painting, Plan, losses

MIXES = (0.1, 0.25, 0.5)
TAUGHT = 0.25  # the mixture whose network becomes the teacher
WALK = 4  # steps of an answer of many steps
PAINTED = 8  # steps of a picture from words
SPECIALISTS = ("depth", "normals", "semantic", "referring", "instances")
#: The same work a question, all of it after the instruction is known: nothing is shared between questions.
SEPARATE = {"encoder_depth": (0, 0, 0), "answer_depth": (4, 4, 6)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=4000, help="steps of every run (default 4000)")
    parser.add_argument("--size", type=size, default=(96, 128), metavar="HxW")
    parser.add_argument("--channels", default="small", choices=CHANNELS)
    parser.add_argument("--views", type=int, default=4, help="frames a batch")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--cases", type=int, default=300, help="views of the procedural split that are measured")
    parser.add_argument("--specialists", action="store_true", help="also one network a task, for the same number of steps")
    parser.add_argument("--work", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--write", type=Path, metavar="FILE", help="train nothing: put the table of --out into this file")
    args = parser.parse_args()
    if args.write is not None:
        report = json.loads(args.out.read_text())
        args.write.write_text(replaced(args.write.read_text(), table(report["runs"]), "ablations"))
        return
    plan = Plan(
        "distill",
        minutes=1,
        steps=args.steps,
        sizes=(args.size,),
        views=args.views,
        workers=args.workers,
        channels=CHANNELS[args.channels],
    )
    bench = Bench(args.work, args.size, args.cases)
    base = bench.train("base", replace(plan, stage="base"))
    bench.measure_pictures("base", base)
    for mix in MIXES:
        run = bench.train(f"mixture {mix:g}", replace(plan, stage="instruct", mix=mix), base)
        bench.measure(f"mixture {mix:g}", run, WALK)
        bench.measure_pictures(f"mixture {mix:g}", run)
    teacher = args.work / f"mixture-{TAUGHT:g}"
    for steps in (1, 2, 4):
        bench.measure(f"teacher, {steps} steps", teacher, steps)
    student = bench.train("distilled", plan, teacher)
    for steps in (1, 2, 4):
        bench.measure(f"distilled, {steps} steps", student, steps, from_frame=True)
    bench.measure_pictures("distilled, 1 steps", student)
    for name, changes in {
        "no teacher": {},
        "fixed legend": {"random_legends": 0.0},
        "no guide": {"guide": 0.0},
        "frame encoded anew for each question": SEPARATE,
    }.items():
        run = bench.train(name, replace(plan, **changes))
        bench.measure(name, run, 1, from_frame=True)
        bench.measure_legends(name, run)
        bench.time(name, run)
    for task in SPECIALISTS if args.specialists else ():
        run = bench.train(f"specialist {task}", replace(plan, tasks=(task,)))
        bench.measure(f"specialist {task}", run, 1, from_frame=True, tasks=(task,))
    settings = {name: value for name, value in vars(args).items() if name not in ("work", "out", "write")}
    args.out.write_text(json.dumps(_plain({"settings": settings, "runs": bench.reports}), indent=2, allow_nan=False) + "\n")
    print(table(bench.reports))


class Bench:
    """Trains a variant once, and keeps a report of each."""

    def __init__(self, work: Path, size: tuple[int, int], cases: int) -> None:
        self.work, self.size, self.cases, self.reports = work, size, cases, dict[str, dict[str, Any]]()
        self.judge = Perceiver(load_generator(default_bundle()))  # sees what is in a picture that was painted from words

    def train(self, name: str, plan: Plan, start: Path | None = None) -> Path:
        out = self.work / name.replace(" ", "-")
        print(f"== {name}", flush=True)
        run_stage(plan, out, start)
        return out

    def measure(self, name: str, run: Path, steps: int, from_frame: bool = False, tasks: tuple[str, ...] = SPECIALISTS) -> None:
        painter = Painter(load_network(run), self.size, steps, from_frame, tasks=tasks)
        report = evaluate(Perceiver(painter), open_split("procedural", self.cases))
        self.reports.setdefault(name, {}).update({key: value for key, value in report.items() if key != "worst"})

    def measure_pictures(self, name: str, run: Path) -> None:
        """The flow's loss on captions and edits of held-out worlds, and how well they are painted: what is left of the generator."""
        network, plan = load_network(run), Plan("base", minutes=1)
        torch.manual_seed(0)
        batches = islice(Stream(Recipe(self.size, mix=0.0, held_out=True)), 12)
        with torch.no_grad():
            loss = float(np.mean([losses(Painting(network), batch, plan).mean() for batch in batches]))
        generation = measure_retention(Painter(network, self.size, PAINTED), self.judge)
        self.reports.setdefault(name, {}).update({"pictures_loss": round(loss, 4), "generation": generation})

    def measure_legends(self, name: str, run: Path) -> None:
        painter = Painter(load_network(run), self.size, 1, True)
        self.reports[name]["legends"] = measure_legends(Perceiver(painter), open_split("procedural", min(self.cases, 50)))

    def time(self, name: str, run: Path) -> None:
        """Milliseconds for a frame with one and with five questions, the best of seven."""
        network = load_network(run)
        image = np.zeros((*self.size, 3), np.uint8)
        painter = Painter(network, self.size, 1, True)
        for count in (1, 5):
            best = min(_seconds(painter, image, ["Paint depth."] * count) for _ in range(7))
            self.reports[name][f"ms_for_{count}"] = round(1000 * best, 1)
        self.reports[name]["parameters"] = sum(value.numel() for value in network.parameters())


def _seconds(painter: Painter, image: np.ndarray, instructions: list[str]) -> float:
    start = time.perf_counter()
    painter.paint(image, instructions)
    return time.perf_counter() - start


COLUMNS = {
    "depth d1": ("depth", "delta1"),
    "AbsRel": ("depth", "absrel"),
    "normals deg": ("normals", "mean_deg"),
    "mIoU": ("semantic", "miou"),
    "other legends": ("legends", "miou_others"),
    "cIoU": ("referring", "ciou"),
    "FP": ("referring", "false_positive"),
    "pmF1": ("instances", "pmf1"),
    "pictures, loss": ("pictures_loss",),
    "pictures, score": ("generation", "score"),
    "1 q, ms": ("ms_for_1",),
    "5 q, ms": ("ms_for_5",),
}


def table(reports: dict[str, dict[str, Any]]) -> str:
    """Markdown; a dash where a run has no such figure."""
    lines = ["| run | " + " | ".join(COLUMNS) + " |", "|-" * (len(COLUMNS) + 1) + "|"]
    for name, report in reports.items():
        cells = []
        for path in COLUMNS.values():
            value: Any = report
            for key in path:
                value = value.get(key) if isinstance(value, dict) else None
            cells.append("-" if value is None or np.isnan(value) else f"{value:.3g}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _plain(value: Any) -> Any:
    """JSON knows no NaN: what could not be measured is null."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return None if isinstance(value, float) and np.isnan(value) else value


if __name__ == "__main__":
    main()
