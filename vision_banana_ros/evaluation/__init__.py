# SPDX-License-Identifier: Apache-2.0
"""How good answers are: scores a task, fixed test splits, and the report of a bundle."""
