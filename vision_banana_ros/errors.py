# SPDX-License-Identifier: Apache-2.0
"""The one exception that a user is meant to read."""

MAX_SAID = 600
"""Characters of a sentence: what came in may be quoted in it, and may be a megabyte."""


class InputError(ValueError):
    """Input that cannot be used. The message is a sentence that says what is wrong and what to do; its middle is left out where it
    quotes too much."""

    def __str__(self) -> str:
        text = super().__str__()
        return text if len(text) <= MAX_SAID else f"{text[: MAX_SAID // 2]} ... {text[-MAX_SAID // 2 :]}"
