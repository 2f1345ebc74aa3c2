# SPDX-License-Identifier: Apache-2.0
"""The exception for invalid input, whose message is meant for users."""

MAX_SAID = 600
"""Characters of a sentence: what came in may be quoted in it, and may be a megabyte."""


def shortened(text: str) -> str:
    """A text that a terminal and a log may be shown.

    Without its middle, if it is longer than MAX_SAID, and with control characters written out.
    """
    part = text if len(text) <= MAX_SAID else f"{text[: MAX_SAID // 2]} ... {text[-MAX_SAID // 2 :]}"
    if part.isprintable():
        return part
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in part)


class InputError(ValueError):
    """Invalid input. The message says in a sentence what is wrong and what to do.

    It is `shortened`, as it may quote anything.
    """

    def __str__(self) -> str:
        return shortened(super().__str__())
