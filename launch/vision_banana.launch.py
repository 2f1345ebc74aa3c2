# SPDX-License-Identifier: Apache-2.0
"""ros2 launch vision_banana_ros vision_banana.launch.py image:=/camera/image_raw
camera_info:=/camera/camera_info"""

import shlex
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.logging import get_logger
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchContext, LaunchDescription

PACKAGE, NAME = "vision_banana_ros", "vision_banana"
DEFAULTS = Path(get_package_share_directory(PACKAGE)) / "config" / "vision_banana.yaml"
SWITCH = ["true", "True", "false", "False"]
ARGUMENTS = {
    "image": ("image", "The camera's images; image/compressed follows it. Best a rectified topic."),
    "camera_info": ("camera_info", "The camera's CameraInfo."),
    "bundle": ("", "Folder of the generator's bundle; empty: as params_file says, else the installed one."),
    "executor": ("", "What runs the generator; empty: as params_file says, else auto."),
    "namespace": ("", "Namespace of the node and its topics."),
    "autostart": (
        "",
        "Configure and activate at once; false: a lifecycle manager will; empty: as params_file says, else"
        " true.",
    ),
    "build_only": ("false", "Compile the decoders and build the engine that executor asks for, then end."),
    "use_sim_time": (
        "",
        "true: take the time from /clock, for simulators and bags; empty: as params_file says.",
    ),
    "log_level": ("info", "Of this node: debug, info, warn, error or fatal."),
    "respawn": ("false", "Start the node again, 2 s after it has ended by itself."),
    "params_file": (str(DEFAULTS), "All other parameters."),
    "venv": ("", "Virtual environment to run the node in, for what ROS's Python lacks; empty: none."),
}
CHOICES = {"autostart": ["", *SWITCH], "build_only": SWITCH, "respawn": SWITCH, "use_sim_time": ["", *SWITCH]}


def generate_launch_description() -> LaunchDescription:
    """One node with its remaps and parameters."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text, choices=CHOICES.get(name))
        for name, (default, text) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=_node)])


def _node(context: LaunchContext) -> list[LifecycleNode]:
    """The node, once the arguments are known."""
    _tell_misspelt(context.launch_configurations.keys() - ARGUMENTS.keys())
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    params_file = Path(given["params_file"]).expanduser()
    if not params_file.is_file():
        raise FileNotFoundError(
            f"There is no params_file '{params_file}', and the node would run on its defaults."
        )
    if not given["autostart"] and "autostart" not in _named(params_file):
        given["autostart"] = "true"
    python = Path(given["venv"]).expanduser() / "bin" / "python3"
    if given["venv"] and not python.exists():
        raise FileNotFoundError(
            f"There is no virtual environment at '{given['venv']}':"
            " docs/how_to/install.md says how to make it."
        )
    return [
        LifecycleNode(
            package=PACKAGE,
            executable="vision_banana_node",
            name=NAME,
            namespace=given["namespace"],
            output="screen",
            respawn=given["respawn"].lower() == "true" and given["build_only"].lower() != "true",
            respawn_delay=2.0,
            prefix=shlex.quote(str(python)) if given["venv"] else None,
            parameters=[
                str(params_file),
                # What is here holds whatever the file says, so only what was given is.
                {
                    name: ParameterValue(given[name], value_type=str)
                    for name in ("bundle", "executor")
                    if given[name]
                },
                {
                    name: given[name].lower() == "true"
                    for name in CHOICES
                    if given[name] and name != "respawn"
                },
            ],
            remappings=[
                ("image", given["image"]),
                ("image/compressed", f"{given['image']}/compressed"),
                ("camera_info", given["camera_info"]),
            ],
            ros_arguments=["--log-level", f"{_logger(given['namespace'])}:={given['log_level']}"],
        )
    ]


def _named(params_file: Path) -> set[str]:
    """The parameters that a file sets of the node, and not of others, such as a lifecycle manager."""
    names: set[str] = set()

    def look(content: Any, node: str) -> None:
        if isinstance(content, dict):
            if node.rpartition("/")[2] in (NAME, "*", "**"):
                names.update(content.get("ros__parameters") or ())
            for key, below in content.items():
                look(below, str(key))

    with suppress(yaml.YAMLError, UnicodeError):  # ROS will refuse it, and say why
        look(yaml.safe_load(params_file.read_text(encoding="utf-8")), "")
    return names


def _tell_misspelt(names: set[str]) -> None:
    """Launch takes arguments that no file declares in silence.

    Those of a file that includes this one are among them.
    """
    for name in sorted(names):
        for nearest in get_close_matches(name, ARGUMENTS, 1, 0.7):
            get_logger("vision_banana").warning(f"There is no launch argument '{name}'; is it '{nearest}'?")


def _logger(namespace: str) -> str:
    """The name of the node's logger: its full name with points."""
    return ".".join(filter(None, [*namespace.split("/"), "vision_banana"]))
