# SPDX-License-Identifier: Apache-2.0
"""How long a test waits for what should come, seconds. No test waits for these to pass.

A shared machine may be slow: a wait that ends too early fails a test of code that works.
"""

PATIENCE_S = 300.0
COMPILED_S = 1800.0
"""For what may be the first to compile on a new and loaded machine: the first configure of all tests."""
