# SPDX-License-Identifier: Apache-2.0
"""Where words need thought before a generator can use them.

A language model may rewrite a query and say what is there.
"""

from vision_banana_ros.reasoning.rewrite import PassThrough, Rewriter, open_rewriter

__all__ = ["PassThrough", "Rewriter", "open_rewriter"]
