# SPDX-License-Identifier: Apache-2.0
"""Launch file, parameter file and rviz file name only what the node has. launch and launch_ros stand in as recorders."""

import runpy
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from xml.etree import ElementTree

import pytest
import yaml

from vision_banana_ros.node.parameters import PARAMETERS
from vision_banana_ros.node.topics.fastdds import PROFILES
from vision_banana_ros.node.topics.inputs import _TYPES as INPUTS
from vision_banana_ros.node.topics.messages import TYPES

ROOT = Path(__file__).resolve().parent.parent
CONFIG = yaml.safe_load((ROOT / "config" / "vision_banana.yaml").read_text())
BY_LAUNCH = {"bundle", "executor", "autostart", "build_only"}


class Recorder(SimpleNamespace):
    """Stands for an action or a substitution and keeps what it was made with."""

    def __init__(self, *args, **kwargs):
        super().__init__(args=args, **kwargs)


@pytest.fixture
def launched(monkeypatch):
    """What generate_launch_description returned: (declared arguments by name, the node's action)."""
    places = {
        "launch": ["LaunchDescription"],
        "launch.actions": ["DeclareLaunchArgument"],
        "launch.substitutions": ["LaunchConfiguration"],
        "launch_ros": [],
        "launch_ros.actions": ["LifecycleNode"],
        "launch_ros.parameter_descriptions": ["ParameterValue"],
        "ament_index_python.packages": [],
    }
    for place, names in places.items():
        module = ModuleType(place)
        for name in names:
            setattr(module, name, type(name, (Recorder,), {}))
        monkeypatch.setitem(sys.modules, place, module)
    sys.modules["ament_index_python.packages"].get_package_share_directory = lambda package: str(ROOT)
    script = runpy.run_path(str(ROOT / "launch" / "vision_banana.launch.py"))
    actions = script["generate_launch_description"]().args[0]
    declared = {a.args[0]: a for a in actions if type(a).__name__ == "DeclareLaunchArgument"}
    (node,) = [a for a in actions if type(a).__name__ == "LifecycleNode"]
    return declared, node


def test_the_launch_file_starts_the_installed_executable_under_the_nodes_name(launched):
    _, node = launched
    package = ElementTree.parse(ROOT / "package.xml").getroot().findtext("name")
    assert node.package == package
    assert f"{node.executable} = " in (ROOT / "setup.py").read_text()
    assert node.name == "vision_banana"


def test_the_launch_files_parameters_remaps_and_arguments_exist(launched):
    declared, node = launched
    file, given = node.parameters
    assert file.args == ("params_file",) and Path(declared["params_file"].default_value) == ROOT / "config/vision_banana.yaml"
    assert set(given) == BY_LAUNCH and set(given) <= set(PARAMETERS)
    assert {name for name, _ in node.remappings} == {*INPUTS, "camera_info"}
    for name, value in given.items():
        assert value.value_type is type(PARAMETERS[name].default)
    used = {value.args[0].args[0] for value in given.values()} | {"params_file", node.namespace.args[0]}
    used |= {target.args[0] for _, target in node.remappings if not isinstance(target, list)}
    assert used == set(declared)
    assert all(argument.description for argument in declared.values())


def flat(values, prefix=""):
    """Parameters by their whole names, as ROS reads them."""
    found = {}
    for name, value in values.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found


def test_the_parameter_file_names_every_parameter_with_its_default():
    values = flat(CONFIG["/**"]["ros__parameters"])
    assert values == {name: p.default for name, p in PARAMETERS.items() if name not in BY_LAUNCH}
    for name, value in values.items():
        assert type(value) is type(PARAMETERS[name].default), name  # ROS tells 2 from 2.0


def test_the_rviz_file_shows_the_nodes_own_topics():
    config = yaml.safe_load((ROOT / "rviz" / "vision_banana.rviz").read_text())
    topics = {
        display["Topic"]["Value"]: display["Class"].rsplit("/", 1)[1]
        for display in config["Visualization Manager"]["Displays"]
        if "Topic" in display
    }
    assert len(topics) >= 4
    for topic, shown_as in topics.items():
        assert TYPES[topic.lstrip("/")].__name__ == shown_as


def test_the_middlewares_profile_is_where_the_node_looks_for_it():
    segment = ElementTree.parse(ROOT / "config" / PROFILES).getroot().find(".//{*}segment_size")
    assert int(segment.text) > 640 * 480 * 44  # all outputs of a frame


def test_what_the_package_declares_is_what_its_files_import():
    package = ElementTree.parse(ROOT / "package.xml").getroot()
    declared = {element.text for element in package.findall("exec_depend")}
    needed = {"rclpy", "launch", "launch_ros", "ament_index_python", "vision_banana_interfaces"}
    for path in (ROOT / "vision_banana_ros" / "node").rglob("*.py"):
        for line in path.read_text().splitlines():
            words = line.split()
            if words[:1] == ["from"] and words[1].endswith((".msg", ".srv")):
                needed.add(words[1].rsplit(".", 1)[0])
    assert needed <= declared
