# SPDX-License-Identifier: Apache-2.0
"""What an imported editor will be asked while it is measured, encoded before that in one go.

It answers no other words.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from vision_banana_ros.evaluation.legend_permutations import legends_of
from vision_banana_ros.generators.backbones import FAMILIES
from vision_banana_ros.generators.backbones.prompt_cache import cache_of, encode_here
from vision_banana_ros.generators.bundle import Bundle, Manifest, open_bundle
from vision_banana_ros.perception import Perceiver, Question
from vision_banana_ros.tasks.profiles import profile


def encode_ahead(
    path: Path, perceiver: Perceiver, asked: Iterable[Question], say: Callable[[str], None]
) -> None:
    """Encodes the prompts that the bundle in `path` lacks; does nothing unless it is an imported editor.

    Raises:
        InputError: If the bundle has no text encoder, or a prompt is too long for it.
    """
    generator = perceiver.generator
    manifest = generator.manifest
    if not (isinstance(manifest, Manifest) and manifest.backbone):
        return
    questions = [*asked, *(Question.semantic(legend) for legend in legends_of(manifest.legend))]
    wanted = perceiver.asked([question for question in questions if question.task in manifest.tasks])
    encode_missing(open_bundle(path), wanted, say)


def encode_missing(bundle: Bundle, questions: Iterable[Question], say: Callable[[str], None]) -> None:
    """Encodes what an imported editor does not know of these questions yet, in its own words.

    InputError where its text encoder is not there, or does not read one of them.
    """
    manifest = bundle.manifest
    family = FAMILIES[manifest.backbone["family"]]
    if not family.words or family.encoder_sees_image:
        return
    chosen = profile(manifest.codec, manifest.backbone["words"])
    known = set(cache_of(bundle).instructions())
    wanted = dict.fromkeys(chosen.asked(question).instruction for question in questions)
    if missing := [text for text in wanted if text not in known]:
        say(f"encoding {len(missing)} questions ...")
        encode_here(bundle, missing)
