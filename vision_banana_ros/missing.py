# SPDX-License-Identifier: Apache-2.0
"""Error messages for packages that are not installed."""

ROS = (
    "ROS 2 is not there: source /opt/ros/$ROS_DISTRO/setup.bash and your workspace's install/setup.bash"
    " (after `make`: source .venv/bin/activate, then . install/local_setup.sh)"
)
INTERFACES = (
    "vision_banana_interfaces is not built or not sourced: in a workspace's src,"
    " `ln -s vision_banana_ros/vision_banana_interfaces .`, then `colcon build`, then source"
    " install/setup.bash"
)
APT = {"numpy": "python3-numpy", "numba": "python3-numba", "cv2": "python3-opencv"}
PIP_ONLY = ("onnxruntime", "torch")


def cure(error: ImportError) -> str:
    """Says which package an import lacks and how to install it.

    Args:
        error: The ImportError.

    Returns:
        One sentence; the message of Python if this package does not depend on the module.
    """
    module = (error.name or "").partition(".")[0]
    if module == "vision_banana_interfaces":
        return f"{INTERFACES}."
    if module in ("rclpy", "ament_index_python") or module.endswith(("_msgs", "_interfaces")):
        return f"{ROS} ({module} cannot be imported)."
    if module in APT:
        return f"{module} is not installed: `apt install {APT[module]}`."
    if module in PIP_ONLY:
        return (
            f"{module} is not installed: make the virtual environment of docs/how_to/install.md (`python3"
            " -m venv"
            f" --system-site-packages`, then `pip install {module}` in it) and start the node from it."
        )
    return f"{error}."
