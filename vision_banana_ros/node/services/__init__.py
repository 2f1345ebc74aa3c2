# SPDX-License-Identifier: Apache-2.0
"""The services of the node.

The ROS server, its handlers, and the prompts that they change, store and encode.
"""
