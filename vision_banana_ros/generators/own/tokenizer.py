# SPDX-License-Identifier: Apache-2.0
"""From an instruction in plain words to the arrays that the text encoder reads. NumPy only, no vocabulary file.

A word is the sum of hashed pieces: itself and its letter trigrams. So no wording is out of vocabulary, and a plural or a
misspelling lands near its word. A colour, however it is written (name, hex, triple), also carries its value as three
numbers: the network copies a colour that it is told instead of learning the decimal system.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.tasks.colors import parse_color

MAX_CHARACTERS = 4000
PIECES = 12  # hashed pieces a word: itself and up to eleven trigrams

_NUMBER = r"\s*(\d{1,3})\s*"
_TOKEN = re.compile(rf"(?:rgb)?[(\[]{_NUMBER},{_NUMBER},{_NUMBER}[)\]]|(#[0-9a-f]{{6}}\b|#[0-9a-f]{{3}}\b)|([^\W_]+)|([,.;?])")


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """One instruction as the text encoder reads it.

    pieces: (T, PIECES) int64, hashed pieces of each token, 0 where there is none.
    colors: (T, 4) float32, red green blue in 0..1 and 1 where the token is a colour, else zeros.
    mask: (T,) float32, 1 where there is a token.
    """

    pieces: np.ndarray
    colors: np.ndarray
    mask: np.ndarray


def tokenize(instruction: str, length: int, buckets: int) -> Prompt:
    """Cut an instruction into at most `length` tokens; the first one is the place where the encoder sums up.

    Raises InputError for an instruction that is empty or longer than the encoder reads.
    """
    words = _words(instruction)
    if len(words) + 1 > length:
        raise InputError(
            f"The instruction has {len(words)} words and signs; this generator reads {length - 1}. "
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
    if not instruction.strip():
        raise InputError("The instruction is empty: say in words what to paint.")
    if len(instruction) > MAX_CHARACTERS:
        raise InputError(f"The instruction has {len(instruction)} characters; at most {MAX_CHARACTERS} are read. Shorten it.")
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
    # 0 is the padding and 1 the summary token.
    return tuple(2 + crc32(piece.encode()) % (buckets - 2) for piece in [word, *trigrams][:PIECES])
