# SPDX-License-Identifier: Apache-2.0
"""The node's services: the ROS server, its handlers, and the prompts that they change, keep and encode."""
