# SPDX-License-Identifier: Apache-2.0
"""ros2 launch vision_banana_ros vision_banana.launch.py image:=/camera/image_raw camera_info:=/camera/camera_info"""

import os

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchDescription

PACKAGE = "vision_banana_ros"
ARGUMENTS = {
    "image": ("image", "The camera's images; image/compressed follows it. Best a rectified topic."),
    "camera_info": ("camera_info", "The camera's CameraInfo."),
    "bundle": ("", "Folder of the generator's bundle; empty: the one installed with the package."),
    "executor": ("auto", "What runs the generator."),
    "namespace": ("", "Namespace of the node and its topics."),
    "autostart": ("true", "Configure and activate at once; false: a lifecycle manager will."),
    "build_only": ("false", "Build the engine that executor asks for, then end."),
    "params_file": (
        os.path.join(get_package_share_directory(PACKAGE), "config", "vision_banana.yaml"),
        "All other parameters.",
    ),
}


def generate_launch_description() -> LaunchDescription:
    """One node with its remaps and parameters."""
    given = {name: LaunchConfiguration(name) for name in ARGUMENTS}
    node = LifecycleNode(
        package=PACKAGE,
        executable="vision_banana_node",
        name="vision_banana",
        namespace=given["namespace"],
        output="screen",
        parameters=[
            given["params_file"],
            {
                "bundle": ParameterValue(given["bundle"], value_type=str),
                "executor": ParameterValue(given["executor"], value_type=str),
                "autostart": ParameterValue(given["autostart"], value_type=bool),
                "build_only": ParameterValue(given["build_only"], value_type=bool),
            },
        ],
        remappings=[
            ("image", given["image"]),
            ("image/compressed", [given["image"], "/compressed"]),
            ("camera_info", given["camera_info"]),
        ],
    )
    declared = [DeclareLaunchArgument(name, default_value=default, description=text) for name, (default, text) in ARGUMENTS.items()]
    return LaunchDescription([*declared, node])
