# SPDX-License-Identifier: Apache-2.0
"""From an instruction to a text encoder's token numbers, by the tables that lie in its folder."""

from pathlib import Path
from typing import Any

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.backbones.diffusers_folder import TOKENS, check_tokenizer, read_json


def read_tokenizer(folder: Path) -> tuple[Any, int]:
    """The tokenizer of a folder and the number of its padding token.

    Its tables are tokenizer.json, or vocab.json and merges.txt, which is all that Qwen's models come with.
    InputError where neither is there.
    """
    check_tokenizer(folder)
    try:
        if (folder / TOKENS).is_file():
            from tokenizers import Tokenizer

            tokenizer = Tokenizer.from_file(str(folder / TOKENS))
        else:
            from transformers import Qwen2TokenizerFast

            tokenizer = Qwen2TokenizerFast.from_pretrained(folder, local_files_only=True).backend_tokenizer
    except Exception as error:  # the packages raise nothing more precise
        raise InputError(
            f"The tokenizer in '{folder}' cannot be read ({error}): download it again."
        ) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    settings = (
        read_json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").is_file() else {}
    )
    pad = settings.get("pad_token") or "<|endoftext|>"
    padding = tokenizer.token_to_id(pad["content"] if isinstance(pad, dict) else str(pad))
    return tokenizer, 0 if padding is None else padding


def to_ids(
    tokenizer: Any, frame: str, instruction: str, most: int, padding: int, untold: str
) -> tuple[list[int], list[int]]:
    """Token numbers, padded on the right to `most`, and a mask.

    Frame: what stands around the instruction, with {} in its place.

    InputError for an instruction that is empty (but for `untold`, which is meant to say nothing), too long,
    or holds the tokenizer's own marks.
    """
    if not instruction.strip() and instruction != untold:
        raise InputError("The instruction is empty: say in words what to paint.")
    if "<|" in instruction or "|>" in instruction:
        raise InputError(
            "The instruction holds '<|' or '|>', which are marks of the text encoder: leave them out."
        )
    numbers = tokenizer.encode(frame.format(instruction) if frame != "{}" else instruction).ids
    if len(numbers) > most:
        raise InputError(
            f"The instruction has {len(numbers)} tokens with what frames it; this text encoder reads {most}. "
            "Shorten the expression or ask for fewer classes at once."
        )
    return numbers + [padding] * (most - len(numbers)), [1] * len(numbers) + [0] * (most - len(numbers))
