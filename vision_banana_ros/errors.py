# SPDX-License-Identifier: Apache-2.0
"""The exception for invalid input, whose message is meant for users."""

MAX_SAID = 600
"""Characters of a sentence: what came in may be quoted in it, and may be a megabyte."""


def shortened(text: str) -> str:
    """A text without its middle, if it is longer than MAX_SAID."""
    return text if len(text) <= MAX_SAID else f"{text[: MAX_SAID // 2]} ... {text[-MAX_SAID // 2 :]}"


class InputError(ValueError):
    """Invalid input. The message says in a sentence what is wrong and what to do.

    The middle of a message that quotes too much is left out.
    """

    def __str__(self) -> str:
        return shortened(super().__str__())
