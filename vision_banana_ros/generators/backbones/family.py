# SPDX-License-Identifier: Apache-2.0
"""What is known of a family of image editors before any of its weights is loaded.

Imports neither torch nor diffusers.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from vision_banana_ros.errors import InputError


@dataclass(frozen=True)
class Family:
    """One family of editors; the module of the same name builds its networks.

    pipelines: classes of model_index.json. painting, encoding: component -> classes that it may have; the
    first are needed for every frame, the second only to encode instructions. profiles: codec profiles that
    fit, the usual one first. steps: that its usual weights were made for; these are distilled and want no
    classifier-free guidance. undistilled: steps and guidance of weights whose model_index.json does not say
    that they are distilled, where the family tells them apart so. size: height and width that it paints best,
    `multiple` what both must be multiples of. encoder_sees_image: whether the instruction's encoder looks at
    the frame too, so that nothing can be encoded ahead. words: whether it takes instructions at all.
    max_tokens: of an instruction, with what frames it. licence: of the weights that the family is known by.
    """

    name: str
    pipelines: tuple[str, ...]
    painting: Mapping[str, tuple[str, ...]]
    encoding: Mapping[str, tuple[str, ...]]
    profiles: tuple[str, ...]
    steps: int
    size: tuple[int, int]
    multiple: int
    encoder_sees_image: bool
    words: bool
    max_tokens: int
    licence: str
    undistilled: tuple[int, float] | None = None

    @property
    def networks(self) -> ModuleType:
        """The module with `check`, `schedule`, `networks` and `encode`.

        Importing it imports torch and diffusers.
        """
        return importlib.import_module(f"vision_banana_ros.generators.backbones.{self.name}")

    def painted(self, index: Mapping[str, Any]) -> tuple[int, float]:
        """Steps and guidance (1: none) that weights with this model_index.json were made for."""
        if self.undistilled is not None and not index.get("is_distilled"):
            return self.undistilled
        if list(index.get("scheduler", ()))[-1:] == ["LCMScheduler"]:
            return 1, 1.0  # between two of its steps it draws noise
        steps = index.get("default_denoising_steps")
        return (steps if isinstance(steps, int) and 1 <= steps <= 100 else self.steps), 1.0

    def check_size(self, size: tuple[int, int]) -> None:
        """Raises InputError if a resolution (height, width) does not fit this family."""
        if min(size) < self.multiple or any(side % self.multiple for side in size):
            raise InputError(
                f"{self.name} paints sizes that are multiples of {self.multiple}, not {size[0]}x{size[1]}:"
                " choose another."
            )


_FLOW = ("FlowMatchEulerDiscreteScheduler",)

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family(
            name="flux2_klein",
            pipelines=("Flux2KleinPipeline",),
            painting={
                "transformer": ("Flux2Transformer2DModel",),
                "vae": ("AutoencoderKLFlux2",),
                "scheduler": _FLOW,
            },
            encoding={
                "text_encoder": ("Qwen3ForCausalLM",),
                "tokenizer": ("Qwen2TokenizerFast", "Qwen2Tokenizer"),
            },
            profiles=("vision_banana", "open_vision_banana"),
            steps=4,
            size=(384, 512),
            multiple=16,
            encoder_sees_image=False,
            words=True,
            max_tokens=512,
            licence="Apache-2.0 (4B); FLUX non-commercial licence (9B)",
            undistilled=(50, 4.0),  # the "base" weights
        ),
        Family(
            name="flux_kontext",
            pipelines=("FluxKontextPipeline",),
            painting={
                "transformer": ("FluxTransformer2DModel",),
                "vae": ("AutoencoderKL",),
                "scheduler": _FLOW,
            },
            encoding={
                "text_encoder": ("CLIPTextModel",),
                "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
                "text_encoder_2": ("T5EncoderModel",),
                "tokenizer_2": ("T5TokenizerFast", "T5Tokenizer"),
            },
            profiles=("vision_banana", "open_vision_banana"),
            steps=28,
            size=(880, 1184),
            multiple=16,
            encoder_sees_image=False,
            words=True,
            max_tokens=512,
            licence="FLUX.1 [dev] non-commercial licence",
        ),
        Family(
            name="marigold",
            pipelines=(
                "MarigoldDepthPipeline",
                "MarigoldNormalsPipeline",
                "MarigoldPipeline",
            ),  # the last: older ones of both
            painting={
                "unet": ("UNet2DConditionModel",),
                "vae": ("AutoencoderKL",),
                "scheduler": ("DDIMScheduler", "LCMScheduler"),
            },
            encoding={
                "text_encoder": ("CLIPTextModel",),
                "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
            },
            profiles=("marigold_depth", "marigold_normals"),
            steps=4,
            size=(576, 768),
            multiple=8,
            encoder_sees_image=False,
            words=False,
            max_tokens=77,
            licence="Apache-2.0 (CreativeML OpenRAIL-M in some versions; see the card of the weights)",
        ),
        Family(
            name="qwen_image_edit",
            pipelines=("QwenImageEditPlusPipeline",),
            painting={
                "transformer": ("QwenImageTransformer2DModel",),
                "vae": ("AutoencoderKLQwenImage",),
                "scheduler": _FLOW,
                "text_encoder": ("Qwen2_5_VLForConditionalGeneration",),
                "tokenizer": ("Qwen2Tokenizer", "Qwen2TokenizerFast"),
                "processor": ("Qwen2VLProcessor", "Qwen2_5_VLProcessor"),
            },
            encoding={},
            profiles=("vision_banana", "open_vision_banana"),
            steps=8,  # of the distilled weights (Lightning); others want 40 and guidance 4; no file tells
            size=(896, 1184),
            multiple=32,
            encoder_sees_image=True,
            words=True,
            max_tokens=1024,
            licence="Apache-2.0",
        ),
    )
}


def family_of(pipeline: Any) -> Family:
    """The family of a pipeline class. InputError, with the classes that are known, for any other."""
    for family in FAMILIES.values():
        if pipeline in family.pipelines:
            return family
    known = ", ".join(name for family in FAMILIES.values() for name in family.pipelines)
    raise InputError(f"The pipeline class {pipeline!r} is not known here: choose weights of one of {known}.")


def marigold_task(index: Mapping[str, Any]) -> str:
    """What a Marigold with this model_index.json paints, depth or normals. InputError where it is neither.

    Those that were published as MarigoldPipeline do not name it: depth says that it is `scale_invariant`,
    normals say whether they `use_full_z_range`.
    """
    pipeline = str(index["_class_name"])
    by_class = next((task for task in ("depth", "normals") if task in pipeline.lower()), None)
    by_field = "normals" if "use_full_z_range" in index else "depth" if "scale_invariant" in index else None
    painted = index.get("prediction_type") or by_class or by_field
    if painted not in ("depth", "normals") or by_class not in (None, painted):
        raise InputError(
            f"This {pipeline} paints {painted or 'what its index does not name'}, which no profile reads: "
            "choose one of depth or normals."
        )
    return str(painted)
