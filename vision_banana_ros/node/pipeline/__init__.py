# SPDX-License-Identifier: Apache-2.0
"""One frame's way through the node: it waits in the mailbox, the worker asks the generator, depth is postprocessed."""
