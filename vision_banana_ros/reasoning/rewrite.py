# SPDX-License-Identifier: Apache-2.0
"""The interface of reasoning models.

A generator finds "the red mug on the table". It does not know what "what I could drink from" means, and it
was hardly trained to return an empty mask. The paper (arXiv 2604.20329) uses a language model for both.
"""

from typing import Protocol

import numpy as np


class Rewriter(Protocol):
    """Both methods take (H, W, 3) uint8 RGB, may take seconds, and raise InputError if there is no answer."""

    def rewrite(self, query: str, image: np.ndarray) -> str:
        """The query as a referring expression for one object that is visible in the image."""
        ...

    def present(self, thing: str, image: np.ndarray) -> bool | None:
        """Whether the object is in the image; None if unknown."""
        ...


class PassThrough:
    """No model: the query is the expression."""

    def rewrite(self, query: str, image: np.ndarray) -> str:
        """Returns the query unchanged."""
        return query

    def present(self, thing: str, image: np.ndarray) -> bool | None:
        """Returns None: it is not known whether the object is visible."""
        return None


def open_rewriter(url: str, model: str, timeout_s: float, allow_http: bool = False) -> Rewriter:
    """The model of an OpenAI-compatible API, or `PassThrough` for an empty url.

    Raises InputError if it is invalid.
    """
    if not url.strip():
        return PassThrough()
    from vision_banana_ros.reasoning.openai import ChatCompletions

    return ChatCompletions(url, model, timeout_s, allow_http)
