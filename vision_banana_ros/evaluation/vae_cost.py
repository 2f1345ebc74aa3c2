# SPDX-License-Identifier: Apache-2.0
"""What an editor's VAE alone costs.

True answers painted, encoded, decoded and read again, on rendered scenes.

No denoiser paints more exactly than its VAE carries, so this is a floor under the errors of anything tuned
from the model.
"""

from pathlib import Path
from typing import Any

import numpy as np

from vision_banana_ros.evaluation.depth_alignment import depth_in_metres
from vision_banana_ros.evaluation.scores import DepthScore, NormalsScore, SemanticScore
from vision_banana_ros.generators.backbones.diffusers_folder import open_folder
from vision_banana_ros.generators.backbones.prompt_cache import require_packages
from vision_banana_ros.scenes import make_world, render, sample_camera
from vision_banana_ros.tasks.profiles import Profile
from vision_banana_ros.tasks.vocabulary import LEGEND

_FIRST_SEED = 900_000  # of worlds that no training draws
MASK_COLOR = (255, 0, 0)


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

    depths, angles, classes, masks = DepthScore(far_m), NormalsScore(), SemanticScore(tuple(LEGEND)), _Masks()
    metre_errors: list[np.ndarray] = []
    for seed in range(_FIRST_SEED, _FIRST_SEED + views):
        world = make_world(seed)
        view = render(world, sample_camera(world, np.random.default_rng(seed), size[1], size[0]), seed)
        if "depth" in profile.tasks:
            read = _depth(profile, carried(profile.encode("depth", view.depth_m)), view.depth_m, far_m)
            depths.add(read, view.depth_m)
            metre_errors.append(_errors_m(read, view.depth_m, far_m))
        if "normals" in profile.tasks:
            answer = profile.decode("normals", carried(profile.encode("normals", view.normals)))
            angles.add(answer.normals, view.normals)
        if "semantic" in profile.tasks:
            answer = profile.decode(
                "semantic", carried(profile.encode("semantic", view.labels, legend=LEGEND)), legend=LEGEND
            )
            classes.add(answer.labels, view.labels)
        if "referring" in profile.tasks:
            for instance in np.unique(view.instances[view.instances > 0])[:3]:
                truth = view.instances == instance
                answer = profile.decode(
                    "referring",
                    carried(profile.encode("referring", truth, color=MASK_COLOR)),
                    color=MASK_COLOR,
                )
                masks.add(answer.mask, truth)
    results: dict[str, Any] = {"depth": depths, "normals": angles, "semantic": classes, "referring": masks}
    figures: dict[str, Any] = {
        "views": views,
        **{task: score.result() for task, score in results.items() if task in profile.tasks},
    }
    if metre_errors:
        figures["depth"]["median_error_m"] = float(np.median(np.concatenate(metre_errors)))
        figures["depth"]["aligned"] = not profile.metric
    return figures


def _depth(profile: Profile, painted: np.ndarray, truth_m: np.ndarray, far_m: float) -> np.ndarray:
    answer = profile.decode("depth", painted)
    return (
        answer.depth_m
        if profile.metric
        else depth_in_metres(answer.depth_relative, truth_m, profile.depth_kind, far_m)
    )


def _errors_m(depth_m: np.ndarray, truth_m: np.ndarray, far_m: float) -> np.ndarray:
    """What cannot be read counts as infinitely wrong."""
    known = (truth_m > 0) & (truth_m <= far_m)
    errors = np.abs(depth_m[known] - truth_m[known])
    return np.where(np.isfinite(errors), errors, np.inf)


class _Masks:
    """Intersection over union of masks, all pixels of all masks together."""

    def __init__(self) -> None:
        self._both = self._any = 0

    def add(self, mask: np.ndarray, truth: np.ndarray) -> None:
        self._both += int((mask & truth).sum())
        self._any += int((mask | truth).sum())

    def result(self) -> dict[str, float]:
        return {"ciou": self._both / self._any if self._any else float("nan")}
