# SPDX-License-Identifier: Apache-2.0
"""Reasoning models: rewrite a query as a referring expression, and check whether the object is visible."""

from vision_banana_ros.reasoning.rewrite import PassThrough, Rewriter, open_rewriter

__all__ = ["PassThrough", "Rewriter", "open_rewriter"]
