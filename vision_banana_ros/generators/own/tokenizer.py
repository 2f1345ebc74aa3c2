# SPDX-License-Identifier: Apache-2.0
"""Tokenises a prompt for the text encoder. NumPy only, no vocabulary file.

A token is represented by hashes of the word and of its character trigrams, whose embeddings are added. So no
word is out of vocabulary, and plurals and misspellings are close to their word. Colours in any notation
(name, hex, RGB triple) also carry their value as three numbers, so that the network can copy them instead of
learning to parse numbers.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.tasks.colors import parse_color

MAX_CHARACTERS = 4000
PIECES = 12  # hashes per token: the word and up to eleven trigrams

_NUMBER = r"\s*(\d{1,3})\s*"
_TOKEN = re.compile(
    rf"(?:rgb)?[(\[]{_NUMBER},{_NUMBER},{_NUMBER}[)\]]|(#[0-9a-f]{{6}}\b|#[0-9a-f]{{3}}\b)|([^\W_]+)|([,.;?])"
)


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """A tokenised prompt, padded to T tokens.

    Attributes:
        pieces: (T, PIECES) int64 hashes of each token, 0 for padding.
        colors: (T, 4) float32, RGB in 0..1 and 1 if the token is a colour, else zeros.
        mask: (T,) float32, 1 for tokens, 0 for padding.
    """

    pieces: np.ndarray
    colors: np.ndarray
    mask: np.ndarray


def tokenize(instruction: str, length: int, buckets: int) -> Prompt:
    """Tokenises a prompt. The first token is the summary token.

    Args:
        instruction: The prompt.
        length: Number of tokens T of the result.
        buckets: Size of the hashed vocabulary.

    Returns:
        The prompt, padded to `length` tokens.

    Raises:
        InputError: The prompt is empty or too long.
    """
    words = _words(instruction)
    if len(words) + 1 > length:
        raise InputError(
            f"The instruction has {len(words)} words and signs; this generator reads at most {length - 1}. "
            "Shorten the expression or ask for fewer classes at once."
        )
    pieces = np.zeros((length, PIECES), np.int64)
    colors = np.zeros((length, 4), np.float32)
    mask = np.zeros(length, np.float32)
    mask[: len(words) + 1] = 1
    pieces[0, 0] = 1
    for i, (word, color) in enumerate(words, start=1):
        hashed = _pieces(word, buckets)
        pieces[i, : len(hashed)] = hashed
        if color is not None:
            colors[i] = (*(c / 255 for c in color), 1)
    return Prompt(pieces, colors, mask)


def _words(instruction: str) -> list[tuple[str, tuple[int, int, int] | None]]:
    """The words and punctuation marks of a prompt, each with its colour (0-255) if it is one."""
    if not instruction.strip():
        raise InputError("The instruction is empty: say in words what to paint.")
    if len(instruction) > MAX_CHARACTERS:
        raise InputError(
            f"The instruction has {len(instruction)} characters; at most {MAX_CHARACTERS} are read. "
            "Shorten it."
        )
    words: list[tuple[str, tuple[int, int, int] | None]] = []
    for red, green, blue, code, word, sign in _TOKEN.findall(instruction.lower()):
        if red:
            words.append(("#", (min(int(red), 255), min(int(green), 255), min(int(blue), 255))))
        elif code:
            words.append(("#", parse_color(code)))
        else:
            words.append((word or sign, _named_color(word) if word else None))
    return words


@lru_cache(maxsize=4096)
def _named_color(word: str) -> tuple[int, int, int] | None:
    try:
        return parse_color(word)
    except InputError:
        return None


@lru_cache(maxsize=4096)
def _pieces(word: str, buckets: int) -> tuple[int, ...]:
    framed = f"<{word}>"
    trigrams = [framed[i : i + 3] for i in range(len(framed) - 2)] if len(word) > 2 else []
    # 0 is padding, 1 the summary token.
    return tuple(2 + crc32(piece.encode()) % (buckets - 2) for piece in [word, *trigrams][:PIECES])
