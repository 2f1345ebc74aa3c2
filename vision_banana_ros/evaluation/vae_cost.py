# SPDX-License-Identifier: Apache-2.0
"""What an editor's VAE alone costs.

True answers painted, encoded, decoded and read again, on rendered scenes.

No denoiser paints more exactly than its VAE carries, so this is a floor under the errors of anything tuned
from the model.
"""

from pathlib import Path
from typing import Any

import numpy as np

from vision_banana_ros.evaluation.cases import Case
from vision_banana_ros.evaluation.evaluate import ask, compared
from vision_banana_ros.evaluation.scores import new_score
from vision_banana_ros.generators.backbones.diffusers_folder import open_folder
from vision_banana_ros.generators.backbones.prompt_cache import require_packages
from vision_banana_ros.scenes import make_world, render, sample_camera
from vision_banana_ros.tasks import TASKS
from vision_banana_ros.tasks.depth import DepthTask
from vision_banana_ros.tasks.profiles import Profile
from vision_banana_ros.tasks.vocabulary import LEGEND

_FIRST_SEED = 900_000  # of worlds that no training draws


def measure(
    source: Path, profile: Profile, size: tuple[int, int], views: int, far_m: float = 100.0
) -> dict[str, Any]:
    """Errors by task over so many views: metres and AbsRel, degrees, IoU.

    Depth of a relative profile is aligned with the truth first, picture by picture. Deterministic.
    """
    require_packages()
    import torch

    folder = open_folder(source)
    folder.family.check_size(size)
    encoder, decoder = folder.family.networks.vae_networks(source, size)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    encoder, decoder = encoder.to(device), decoder.to(device)

    def carried(picture: np.ndarray) -> np.ndarray:
        given = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None].to(device)
        with torch.inference_mode():
            return decoder(encoder.encode(given * 2 - 1))[0].cpu().numpy()

    measured = [task for task in profile.tasks if not TASKS[task].free_colors]
    scores = {task: new_score(task, tuple(LEGEND), far_m) for task in measured}
    metre_errors: list[np.ndarray] = []
    for seed in range(_FIRST_SEED, _FIRST_SEED + views):
        for question, truth in ask(_case(seed, size), LEGEND):
            task = question.task
            if task not in scores:
                continue
            colors: dict[str, Any] = {"legend": question.legend, "color": question.color}
            answer = profile.decode(task, carried(profile.encode(task, truth, **colors)), **colors)
            values = compared(task, answer, truth, profile.depth_kind, far_m)
            scores[task].add(values, truth)
            if task == DepthTask.name:
                metre_errors.append(_errors_m(values, truth, far_m))
    figures: dict[str, Any] = {"views": views, **{task: score.result() for task, score in scores.items()}}
    if metre_errors:
        figures["depth"]["median_error_m"] = float(np.median(np.concatenate(metre_errors)))
        figures["depth"]["aligned"] = not profile.metric
    return figures


def _case(seed: int, size: tuple[int, int]) -> Case:
    """A view with its truth; in place of expressions the masks of up to three instances."""
    world = make_world(seed)
    view = render(world, sample_camera(world, np.random.default_rng(seed), size[1], size[0]), seed)
    masks = tuple(
        (str(instance), view.instances == instance)
        for instance in np.unique(view.instances[view.instances > 0])[:3]
    )
    return Case(
        str(seed), view.image, view.depth_m, normals=view.normals, labels=view.labels, expressions=masks
    )


def _errors_m(depth_m: np.ndarray, truth_m: np.ndarray, far_m: float) -> np.ndarray:
    """What cannot be read counts as infinitely wrong."""
    known = (truth_m > 0) & (truth_m <= far_m)
    errors = np.abs(depth_m[known] - truth_m[known])
    return np.where(np.isfinite(errors), errors, np.inf)
