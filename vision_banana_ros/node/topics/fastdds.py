# SPDX-License-Identifier: Apache-2.0
"""Configuration of Fast DDS for large images, before ROS starts."""

import os
from importlib.metadata import PackageNotFoundError, version

from vision_banana_ros.files import find_shared
from vision_banana_ros.node.topics.shared_memory import no_room

PROFILES = "config/fastdds.xml"
FIRST_WITH_FAST_DDS_3 = 9
"""Major version of rclpy in Kilted. Humble and Jazzy, before it, read the variable by its old name only;
later releases warn about the old name."""
VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")


def carry_large_images() -> str:
    """Configures Fast DDS with a shared-memory segment that is large enough for images.

    Call it before rclpy.init.

    The default segment has 512 KiB: of 640x480 colour images published at 10 Hz, a best-effort subscriber
    received 8 of 50, and all of them with the larger segment; that of the sender matters. Custom profiles of
    the user are not changed, and other middleware ignores the variable.

    Returns:
        A sentence where the segment has no room, "" otherwise. Fast DDS itself then says "No such file or
        directory" and goes on by UDP.
    """
    profiles = find_shared(PROFILES)
    if profiles is not None and not any(os.environ.get(name) for name in VARIABLES):
        os.environ[_variable()] = str(profiles)
    ours = any(os.environ.get(name) == str(profiles) for name in VARIABLES)
    fast_dds = os.environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps").startswith("rmw_fastrtps")
    return no_room() if ours and fast_dds else ""


def _variable() -> str:
    try:
        major = int(version("rclpy").split(".")[0])
    # a build of rclpy's own without metadata: most likely a new one
    except (PackageNotFoundError, ValueError):
        major = FIRST_WITH_FAST_DDS_3
    return VARIABLES[major < FIRST_WITH_FAST_DDS_3]
