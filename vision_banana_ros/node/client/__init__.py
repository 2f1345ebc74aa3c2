# SPDX-License-Identifier: Apache-2.0
"""The client side of the node: the Python client, the recorder of the demo, and the camera publisher."""

from vision_banana_ros.node.client.api import Found, Refused, VisionBanana

__all__ = ["Found", "Refused", "VisionBanana"]
