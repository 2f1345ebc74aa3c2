# SPDX-License-Identifier: Apache-2.0
"""The node from a Python program: a client, and what the demonstration and the camera command are made of."""

from vision_banana_ros.node.client.api import Found, Refused, VisionBanana

__all__ = ["Found", "Refused", "VisionBanana"]
