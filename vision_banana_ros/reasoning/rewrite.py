# SPDX-License-Identifier: Apache-2.0
"""What reasoning is asked: a plain expression for a query, and whether a thing is there.

A generator finds "the red mug on the table". It does not know which thing "what I could drink from" means, and it was hardly
taught to answer with an empty mask. The paper (arXiv 2604.20329) has a language model do both.
"""

from typing import Protocol

import numpy as np


class Rewriter(Protocol):
    """Both take (H, W, 3) uint8 RGB, may take seconds, and raise InputError where no answer can be had."""

    def rewrite(self, query: str, image: np.ndarray) -> str:
        """The query as a plain expression of one thing that can be seen in the image."""
        ...

    def present(self, thing: str, image: np.ndarray) -> bool | None:
        """Whether the thing is in the image; None where that is not known."""
        ...


class PassThrough:
    """No model: the query is the expression, and what is there remains for the generator to say."""

    def rewrite(self, query: str, image: np.ndarray) -> str:
        """Returns the query unchanged."""
        return query

    def present(self, thing: str, image: np.ndarray) -> bool | None:
        """Returns None: it is not known whether the object is visible."""
        return None


def open_rewriter(url: str, model: str, timeout_s: float, allow_http: bool = False) -> Rewriter:
    """The model of an OpenAI-compatible endpoint, or for an empty url `PassThrough`.

    InputError where it cannot be used.
    """
    if not url.strip():
        return PassThrough()
    from vision_banana_ros.reasoning.openai import ChatCompletions

    return ChatCompletions(url, model, timeout_s, allow_http)
