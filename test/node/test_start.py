# SPDX-License-Identifier: Apache-2.0
"""Parameter files that people give at the start."""

import pytest
from rclpy.context import Context

from vision_banana_ros.cli.main import main
from vision_banana_ros.errors import InputError
from vision_banana_ros.node.parameter_files import files_for_others
from vision_banana_ros.node.ros_start import start_ros

NODE = "/robot/vision_banana"


@pytest.mark.parametrize(("content", "why"), [(None, "opening"), ("max_age: 1.0\n", "line 1")])
def test_a_parameter_file_that_ros_cannot_read_is_told_with_how_one_begins(content, why, tmp_path):
    file = tmp_path / "mine.yaml"
    if content:
        file.write_text(content)
    with pytest.raises(InputError) as refused:
        start_ros(["node", "--ros-args", "--params-file", str(file)], Context())
    said = str(refused.value)
    assert "mine.yaml" in said and why in said and "begins with /**: and ros__parameters:" in said, said


def test_the_camera_ends_with_that_sentence(capsys):
    assert main(["camera", "7", "--ros-args", "--params-file", "nowhere.yaml"]) == 2
    assert "nowhere.yaml" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    [
        "/**: {ros__parameters: {max_age: 1.0}}",
        "/*/vision_banana: {ros__parameters: {max_age: 1.0}}",
        "/**/vision_banana: {ros__parameters: {max_age: 1.0}}",
        "/robot/vision_banana: {ros__parameters: {max_age: 1.0}}",
        "robot: {other: {ros__parameters: {a: 1}}, vision_banana: {ros__parameters: {max_age: 1.0}}}",
        "a: [",  # ROS refuses it
    ],
)
def test_a_parameter_file_for_this_node_needs_no_word(content, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(content)
    assert not list(files_for_others(["--ros-args", "--params-file", str(file)], NODE))


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("vision_banana: {ros__parameters: {max_age: 1.0}}", "/vision_banana"),
        ("robot: {vision_bananna: {ros__parameters: {a: 1}}}", "/robot/vision_bananna"),
        ("/*: {ros__parameters: {max_age: 1.0}}", "/*"),
        ("", "no node"),
    ],
)
def test_a_parameter_file_for_other_nodes_alone_is_named(content, named, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(content)
    (said,) = files_for_others(["--ros-args", "--params-file", str(file), "-p", "a:=1"], NODE)
    assert f"'{file}' names {named} and not {NODE}" in said
