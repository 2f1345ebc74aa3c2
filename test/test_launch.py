# SPDX-License-Identifier: Apache-2.0
"""Launch file, parameter file and rviz file name only what the node has. launch and launch_ros stand in as
recorders."""

import json
import logging
import os
import re
import runpy
import shlex
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from xml.etree import ElementTree

import pytest
import yaml

from vision_banana_ros.node.parameters import PARAMETERS
from vision_banana_ros.node.topics.fastdds import PROFILES
from vision_banana_ros.node.topics.inputs import TYPES as INPUTS
from vision_banana_ros.node.topics.messages import TYPES

ROOT = Path(__file__).resolve().parent.parent
CONFIG = yaml.safe_load((ROOT / "config" / "vision_banana.yaml").read_text())
BY_LAUNCH = {"bundle", "executor", "autostart", "build_only"}


class Recorder(SimpleNamespace):
    """Stands for an action or a substitution and keeps what it was made with."""

    def __init__(self, *args, **kwargs):
        super().__init__(args=args, **kwargs)


@pytest.fixture
def launch_file(monkeypatch):
    """The launch file: (declared arguments by name, a function from arguments to the node's action)."""
    places = {
        "launch": ["LaunchContext", "LaunchDescription"],
        "launch.actions": ["DeclareLaunchArgument", "OpaqueFunction"],
        "launch.logging": [],
        "launch.substitutions": [],
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
    sys.modules["launch.substitutions"].LaunchConfiguration = lambda name: SimpleNamespace(
        perform=lambda context: context.launch_configurations[name]
    )
    sys.modules["launch.logging"].get_logger = logging.getLogger
    script = runpy.run_path(str(ROOT / "launch" / "vision_banana.launch.py"))
    *declared, made_later = script["generate_launch_description"]().args[0]
    defaults = {a.args[0]: a.default_value for a in declared}

    def launch(**arguments):
        (node,) = made_later.function(SimpleNamespace(launch_configurations={**defaults, **arguments}))
        return node

    return {a.args[0]: a for a in declared}, launch


def test_the_launch_file_starts_the_installed_executable_under_the_nodes_name(launch_file):
    node = launch_file[1]()
    package = ElementTree.parse(ROOT / "package.xml").getroot().findtext("name")
    assert node.package == package
    assert f'"scripts/{node.executable}"' in (ROOT / "setup.py").read_text()
    assert os.access(ROOT / "scripts" / node.executable, os.X_OK)
    assert node.name == "vision_banana" and node.prefix is None


def test_the_node_is_started_again_where_that_is_asked_for_and_not_only_built(launch_file):
    launch = launch_file[1]
    assert (
        not launch().respawn and launch(respawn="true").respawn and launch(respawn="true").respawn_delay > 0
    )
    assert not launch(respawn="True", build_only="true").respawn


def test_the_launch_files_parameters_and_remaps_exist_and_its_arguments_are_described(launch_file):
    declared, launch = launch_file
    node = launch(use_sim_time="true", image="/front/image_raw", bundle="small", executor="torch")
    file, texts, switches = node.parameters
    assert Path(file) == ROOT / "config/vision_banana.yaml"
    assert {*texts, *switches} == BY_LAUNCH | {"use_sim_time"} and set(PARAMETERS) >= BY_LAUNCH
    assert all(
        value.value_type is str and type(PARAMETERS[name].default) is str for name, value in texts.items()
    )
    assert switches == {"autostart": True, "build_only": False, "use_sim_time": True}
    remaps = dict(node.remappings)
    assert (
        set(remaps) == {*INPUTS, "camera_info"}
        and remaps["image/compressed"] == "/front/image_raw/compressed"
    )
    assert all(argument.description for argument in declared.values())
    assert all(a.choices is None or a.default_value in a.choices for a in declared.values())


def test_what_the_parameter_file_says_holds_unless_an_argument_says_otherwise(launch_file, tmp_path):
    file = tmp_path / "mine.yaml"
    values = {"bundle": "/mine", "executor": "torch", "autostart": False}
    file.write_text(yaml.safe_dump({"robot": {"vision_banana": {"ros__parameters": values}}}))
    _, texts, switches = launch_file[1](params_file=str(file)).parameters
    assert not texts and not {"bundle", "executor", "autostart"} & switches.keys()
    given = launch_file[1](params_file=str(file), executor="auto", autostart="true").parameters
    assert given[1]["executor"].args == ("auto",) and given[2]["autostart"] is True
    manager = {"lifecycle_manager": {"ros__parameters": {"autostart": False}}}
    file.write_text(yaml.safe_dump({"/**": {"ros__parameters": {"max_age": 1.0}}, **manager}))
    assert launch_file[1](params_file=str(file)).parameters[2]["autostart"] is True


def test_an_argument_that_is_nearly_one_of_the_files_is_told(launch_file, caplog):
    launch_file[1](camera_inf="/x", of_the_robots_own_file="1")
    assert [record.getMessage() for record in caplog.records] == [
        "There is no launch argument 'camera_inf'; is it 'camera_info'?"
    ]


def test_without_the_argument_the_parameter_file_says_whether_time_is_simulated(launch_file):
    assert "use_sim_time" not in launch_file[1]().parameters[-1]


@pytest.mark.parametrize(("namespace", "logger"), [("", "vision_banana"), ("/a/b", "a.b.vision_banana")])
def test_the_log_level_is_that_of_the_node_alone(launch_file, namespace, logger):
    node = launch_file[1](namespace=namespace, log_level="debug")
    assert node.ros_arguments == ["--log-level", f"{logger}:=debug"]


def test_what_is_named_and_not_there_ends_the_launch_with_a_sentence(launch_file, tmp_path):
    with pytest.raises(FileNotFoundError, match="no params_file 'mine.yaml'"):
        launch_file[1](params_file="mine.yaml")
    with pytest.raises(FileNotFoundError, match="docs/how_to/install.md"):
        launch_file[1](venv=str(tmp_path))


def test_the_node_runs_in_the_virtual_environment_that_is_named(launch_file, tmp_path):
    """Whatever its path: launch splits a prefix into words as a shell does."""
    python = tmp_path / "my robot's venv" / "bin" / "python3"
    python.parent.mkdir(parents=True)
    python.touch()
    prefix = launch_file[1](venv=str(python.parents[1])).prefix
    assert shlex.split(prefix) == [str(python)]


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


def test_the_foxglove_layout_shows_the_nodes_own_topics():
    layout = json.loads((ROOT / "foxglove" / "vision_banana.json").read_text())
    panels = layout["configById"]
    shown = {panel["imageMode"]["imageTopic"] for name, panel in panels.items() if name.startswith("Image!")}
    shown |= set(panels["3D!cloud"]["topics"])
    assert shown - {"/image"} and {topic.lstrip("/") for topic in shown - {"/image"}} <= set(TYPES)

    def places(part):
        return [part] if isinstance(part, str) else [*places(part["first"]), *places(part["second"])]

    assert sorted(places(layout["layout"])) == sorted(panels)


def test_the_middlewares_profile_is_where_the_node_looks_for_it():
    segment = ElementTree.parse(ROOT / PROFILES).getroot().find(".//{*}segment_size")
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
    assert not [name for name in declared if name.endswith("-pip")], (
        "pip would change the distribution's own packages"
    )


def test_images_and_jobs_without_rosdep_install_what_the_package_declares():
    """The Dockerfile, CI's job and pixi.toml have lists of their own; package.xml leads them."""
    package = ElementTree.parse(ROOT / "package.xml").getroot()
    depends = {element.text for element in package.findall("exec_depend")}
    pinned = (ROOT / "requirements" / "robot.txt").read_text()
    python = {name for name in depends if name.startswith("python3-") and f"\n{name[8:]}==" not in pinned}
    beside_ros_base = {"vision-msgs", "bondpy"}
    assert "python3-scipy" in python and {name.replace("-", "_") for name in beside_ros_base} <= depends
    for file in ("Dockerfile", ".github/workflows/ci.yml"):
        words = set((ROOT / file).read_text().split())
        assert python <= words, file
        assert {f'"ros-${{ROS_DISTRO}}-{name}"' for name in beside_ros_base} <= words, file
    pixi = (ROOT / "pixi.toml").read_text()
    names = {name.removeprefix("python3-") for name in depends if name.startswith("python3-")}
    names |= {f"ros-jazzy-{name}" for name in beside_ros_base}
    assert not [name for name in names if f"\n{name} = " not in pixi]


def test_the_image_that_is_built_where_none_is_named_is_that_for_a_cpu():
    """Docker builds the last stage of the file; Compose builds what has `build`, whatever its image is."""
    stages = re.findall(r"^FROM \S+ AS (\w+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert stages[-1] == "cpu" and {"gpu", "foxglove"} < set(stages)
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    built = {name: service for name, service in services.items() if "build" in service}
    assert {service["build"]["target"] for service in built.values()} <= set(stages)
    assert all(service["image"].startswith("vision_banana") for service in built.values())
    assert "rviz" in services and "rviz" not in built
