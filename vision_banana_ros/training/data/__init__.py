# SPDX-License-Identifier: Apache-2.0
"""Training data: rendered views, questions about them, captions and edits, and batches of these."""
