# SPDX-License-Identifier: Apache-2.0
"""The path of a frame through the node: mailbox, worker, inference, depth post-processing."""
