# SPDX-License-Identifier: Apache-2.0
"""The node's parameters: declared with ranges and descriptions, and read into one unchanging value."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.exceptions import ParameterNotDeclaredException
from rclpy.node import Node
from rclpy.parameter import Parameter

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.executors import ON_GPU
from vision_banana_ros.node.pipeline.output_schedule import Pacing
from vision_banana_ros.node.prompts import read_expressions
from vision_banana_ros.node.topics.messages import GROUPS
from vision_banana_ros.perception.camera import Rectified, Rectify
from vision_banana_ros.perception.obstacles import ObstacleFilter
from vision_banana_ros.reasoning import Rewriter, open_rewriter
from vision_banana_ros.tasks.legend_text import clean_text, read_legend

_FIRST = (
    "depth",
    "points",
    "points_obstacles",
    "detections",
    "segmentation",
    "referring",
    "instances",
    "normals",
)
PRIORITY = tuple(dict.fromkeys([*_FIRST, *GROUPS]))
"""The default priority: a moving robot needs distances first."""


@dataclass(frozen=True)
class Declaration:
    """How a parameter is declared.

    Attributes:
        default: The default value; its type is the parameter's type.
        description: One or two sentences with the unit, shown by `ros2 param describe`.
        range: The smallest and the largest value of a number, both allowed.
        constraints: What else a value has to satisfy, for people; `Settings.read` checks it.
        read_only: Whether the value can be set at start only.
        at_configure: Whether the value is read when the node is configured, so that a change needs a cleanup
            first.
    """

    default: Any
    description: str
    range: tuple[float, float] | None = None
    constraints: str = ""
    read_only: bool = False
    at_configure: bool = False


_OF_ROS = ("use_sim_time", "qos_overrides.", "start_type_description_service")
"""Prefixes of the parameters that rclpy declares itself."""

# ROS cannot infer the type of an empty list, so [""] stands for an empty list of strings.
PARAMETERS: dict[str, Declaration] = {
    "bundle": Declaration(
        "", "Folder of the model bundle. Empty: the bundle installed with the package.", at_configure=True
    ),
    "executor": Declaration(
        "auto",
        "Inference backends, separated by commas and tried in this order. auto:"
        f" {', '.join(ON_GPU)} with an NVIDIA GPU, otherwise onnxruntime.",
        constraints="auto, onnxruntime, torch, tensorrt or tensorrt_rtx, each with options, as in"
        " onnxruntime:int8",
        at_configure=True,
    ),
    "build_only": Declaration(
        False,
        "Compile the decoders for this machine and build the TensorRT engines that executor needs, then"
        " exit, with status 0 if"
        " all is ready.",
        read_only=True,
    ),
    "autostart": Declaration(
        False, "Configure and activate the node at start, without a lifecycle manager.", read_only=True
    ),
    "output_size": Declaration(
        "input",
        "Resolution of all outputs. input: that of the camera image. generator: that of the network, with a"
        " scaled CameraInfo.",
        constraints="input or generator",
    ),
    "legend": Declaration(
        [""],
        "Classes of semantic segmentation in the order of their ids. Empty: the default classes of the"
        " bundle.",
        constraints='each "name" or "name=color", with a CSS color name or #rrggbb; up to 255',
    ),
    "expressions": Declaration(
        [""],
        "Referring expressions that are segmented in every frame. The first one has the value 1 in"
        " referring/mask.",
        constraints="up to 16",
    ),
    "instances_class": Declaration(
        "box",
        "Class name for instance segmentation. Empty: no instance segmentation.",
        constraints="one class name",
    ),
    "encode_prompts": Declaration(
        False,
        "For imported image editors: encode unknown prompts on demand, in a separate CPU process (about a"
        " minute per prompt);"
        " needs the text encoder in the bundle. False: the service reply names the command to run.",
    ),
    "rectify": Declaration(
        "auto",
        "auto: raw images are rectified by their CameraInfo before inference. never: a raw image of a lens"
        " with distortion has"
        " masks, but no depth.",
        constraints="auto or never",
    ),
    "image_is_rectified": Declaration(
        "auto",
        "Whether the images are rectified already, like those of image_proc, which come with the CameraInfo"
        " of the raw image."
        " auto: only if D, R, K and P say that the raw and the rectified image are the same.",
        constraints="auto, true or false",
    ),
    "max_age": Declaration(
        2.0, "Maximum age of a frame in seconds; older frames are dropped. 0 disables.", (0.0, 3600.0)
    ),
    "min_readable": Declaration(
        0.05,
        "Minimum fraction of valid pixels in every answer; frames with fewer are dropped and reported.",
        (0.0, 1.0),
    ),
    "frozen_after": Declaration(
        3.0,
        "Time in seconds after which identical images count as a frozen camera; such frames are dropped and"
        " reported."
        " 0 disables, for simulated cameras without noise.",
        (0.0, 3600.0),
    ),
    "max_range": Declaration(
        0.0,
        "Maximum depth in metres; depth beyond it is +Inf. 0: the maximum range of the bundle.",
        (0.0, 1000.0),
    ),
    "service_timeout": Declaration(
        10.0, "Timeout of a service request in seconds, after which the reply is a failure.", (0.1, 600.0)
    ),
    # Read-only: whoever may set parameters shall not send the camera's frames and the key to a server of
    # their own.
    "reasoning_url": Declaration(
        "",
        "Base URL of an OpenAI-compatible API, such as http://localhost:8080/v1, whose vision language"
        " model rewrites the"
        " queries of ~/segment and checks whether the object is visible. Empty disables. The API key is"
        " read from the"
        " environment variable VISION_BANANA_REASONING_KEY.",
        constraints="https or localhost, unless reasoning_allow_http is true",
        read_only=True,
    ),
    "reasoning_model": Declaration("", "Model name that is requested from reasoning_url.", read_only=True),
    "reasoning_timeout": Declaration(
        4.0, "Timeout in seconds for each of the two requests to the reasoning model.", (0.1, 600.0)
    ),
    "reasoning_allow_http": Declaration(
        False,
        "Allow unencrypted HTTP to other hosts for reasoning_url; images and API key are then sent in clear"
        " text.",
        read_only=True,
    ),
    "cameras": Declaration(
        [""],
        "Camera names for several cameras; they are the prefix of the camera's topics, as in front/image."
        " Empty: one camera"
        " without a prefix.",
        constraints="valid parts of topic names, all different",
        read_only=True,
    ),
    **{
        f"rates.{group}": Declaration(
            0.0, f"Maximum rate of the topic group {group} in Hz. 0: every frame.", (0.0, 1000.0)
        )
        for group in GROUPS
    },
    "priority": Declaration(
        list(PRIORITY),
        "Topic groups by priority, the highest first: if a frame exceeds the budget, the last groups are"
        " skipped. Groups that"
        " are not listed come last.",
        constraints="each one of " + ", ".join(GROUPS),
    ),
    "budget": Declaration(
        0.0,
        "Time budget per frame in seconds; groups that do not fit are skipped by priority. 0 disables.",
        (0.0, 600.0),
    ),
    "obstacles.min_confidence": Declaration(
        0.5, "Minimum depth confidence of a pixel for points_obstacles.", (0.0, 1.0)
    ),
    "obstacles.max_range": Declaration(8.0, "Maximum depth in metres for points_obstacles.", (0.5, 1000.0)),
    "obstacles.voxel": Declaration(
        0.05, "Voxel size in metres of the grid that downsamples points_obstacles.", (0.005, 10.0)
    ),
    "obstacles.ignored_classes": Declaration(
        [""],
        "Classes left out of points_obstacles with what shares their voxels of 0.1 m, as in [floor, ground]."
        " Semantic segmentation then runs for points_obstacles, too.",
        constraints="names of the legend",
    ),
    "base_frame": Declaration(
        "base_link",
        "TF frame whose x-y plane is the floor for points_obstacles. Without such a transform, the floor is"
        " the ground plane found"
        " in the depth image. Empty: the floor is not removed.",
        constraints="a frame_id",
    ),
    "obstacles.min_height": Declaration(
        0.1,
        "Minimum height in metres above the floor (the origin of base_frame) of points in points_obstacles.",
        (-10.0, 10.0),
    ),
    "steady_depth": Declaration(
        0.0,
        "Length of the temporal depth filter in frames (exponential average, confidence-weighted). 0"
        " disables.",
        (0.0, 100.0),
    ),
    "scale_check": Declaration(
        "",
        "Source of the depth scale correction: the known height of the camera above the ground, or the"
        " topic of a range"
        " sensor (scan: LaserScan, cloud: PointCloud2). Empty disables.",
        constraints="empty, camera_height, scan or cloud",
    ),
    "camera_height": Declaration(
        1.0, "Height of the camera above the ground in metres, for scale_check: camera_height.", (0.05, 99.0)
    ),
    "range_pose": Declaration(
        [0.0] * 6,
        "Pose of the range sensor relative to the camera, for scale_check: scan and cloud: x, y, z in"
        " metres, roll, pitch,"
        " yaw in radians, in axes x forward, y left, z up (REP 103).",
        constraints="six finite numbers",
    ),
}


DEFAULTS = {name: parameter.default for name, parameter in PARAMETERS.items()}


@dataclass(frozen=True)
class Settings:
    """The parameters' values, checked."""

    bundle: str
    executor: str
    output_size: Literal["input", "generator"]
    legend: tuple[str, ...]
    expressions: tuple[str, ...]
    instances_class: str
    encode_prompts: bool
    rectify: Rectify
    image_is_rectified: Rectified
    max_age: float
    min_readable: float
    frozen_after: float
    max_range: float
    service_timeout: float
    reasoning: Rewriter
    pacing: Pacing
    obstacles: ObstacleFilter
    ignored_classes: tuple[str, ...]
    base_frame: str
    steady_depth: float
    scale_check: str
    camera_height: float
    range_pose: tuple[float, ...]

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> "Settings":
        """From the values of `PARAMETERS` by name. InputError where one cannot be used."""
        if values["output_size"] not in ("input", "generator"):
            raise InputError(f"output_size is {values['output_size']!r}; it must be 'input' or 'generator'.")
        legend = tuple(entry for entry in values["legend"] if entry.strip())
        if legend:
            read_legend(legend, {})
        if values["scale_check"] not in ("", "camera_height", "scan", "cloud"):
            raise InputError(
                f"scale_check is {values['scale_check']!r}; it must be empty, 'camera_height',"
                " 'scan' or 'cloud'."
            )
        range_pose = tuple(values["range_pose"])
        if len(range_pose) != 6 or not all(math.isfinite(number) for number in range_pose):
            raise InputError(
                "range_pose must be six finite numbers, x, y, z, roll, pitch and yaw, not"
                f" {list(range_pose)}."
            )
        if values["rectify"] not in ("auto", "never"):
            raise InputError(f"rectify is {values['rectify']!r}; it must be 'auto' or 'never'.")
        rectified = values["image_is_rectified"]
        if rectified not in ("auto", "true", "false"):
            raise InputError(f"image_is_rectified is {rectified!r}; it must be 'auto', 'true' or 'false'.")
        instances_class = values["instances_class"]
        url, model, patience_s = (
            values["reasoning_url"],
            values["reasoning_model"],
            values["reasoning_timeout"],
        )
        return cls(
            bundle=values["bundle"],
            executor=values["executor"],
            output_size=values["output_size"],
            legend=legend,
            expressions=read_expressions([text for text in values["expressions"] if text.strip()]),
            instances_class=clean_text(instances_class, "instances_class") if instances_class.strip() else "",
            encode_prompts=values["encode_prompts"],
            rectify=values["rectify"],
            image_is_rectified=rectified,
            max_age=values["max_age"],
            min_readable=values["min_readable"],
            frozen_after=values["frozen_after"],
            max_range=values["max_range"],
            service_timeout=values["service_timeout"],
            reasoning=open_rewriter(url, model, patience_s, values["reasoning_allow_http"]),
            pacing=Pacing(
                {group: values[f"rates.{group}"] for group in GROUPS},
                _read_priority(values["priority"]),
                values["budget"],
            ),
            obstacles=ObstacleFilter(
                min_confidence=values["obstacles.min_confidence"],
                max_range=values["obstacles.max_range"],
                voxel=values["obstacles.voxel"],
                min_height=values["obstacles.min_height"],
            ),
            ignored_classes=tuple(name for name in values["obstacles.ignored_classes"] if name.strip()),
            base_frame=values["base_frame"].strip().lstrip("/"),
            steady_depth=values["steady_depth"],
            scale_check=values["scale_check"],
            camera_height=values["camera_height"],
            range_pose=range_pose,
        )


def _read_priority(names: Sequence[str]) -> tuple[str, ...]:
    unknown = [name for name in names if name and name not in GROUPS]
    if unknown:
        raise InputError(f"priority names {unknown[0]!r}; the outputs are {', '.join(GROUPS)}.")
    return tuple(dict.fromkeys([*filter(None, names), *PRIORITY]))


def read_cameras(names: Sequence[str]) -> tuple[str, ...]:
    """The cameras' names, for one camera without a name a single "".

    InputError where one cannot begin a topic's name.
    """
    given = [name for name in names if name]
    for i, name in enumerate(given):
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,63}", name) or name in given[:i]:
            raise InputError(
                f"cameras names {name!r}; give each camera a name of its own of letters, digits and _, as"
                " in [front, rear]."
            )
    return tuple(given) or ("",)


def declare(node: Node) -> dict[str, str]:
    """Declares every parameter.

    Args:
        node: Whose parameters they are.

    Returns:
        What the command line or a file sets and no parameter is called, with the most similar name that there
        is, or "".

    Raises:
        InvalidParameterTypeException, InvalidParameterValueException: rclpy's own, for a wrong type or range
        at the start.
    """
    # rclpy shows them in no other way
    given: dict[str, Parameter] = getattr(node, "_parameter_overrides", {})
    for name in PARAMETERS.keys() & given.keys():
        given[name] = _as_declared(given[name], PARAMETERS[name].default)
    for name, parameter in PARAMETERS.items():
        descriptor = ParameterDescriptor(
            description=parameter.description,
            additional_constraints=parameter.constraints,
            read_only=parameter.read_only,
        )
        if parameter.range is not None:
            low, high = parameter.range
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
        node.declare_parameter(name, parameter.default, descriptor)
    unknown = [name for name in given if name not in PARAMETERS and not name.startswith(_OF_ROS)]
    return {name: _nearest(name) for name in unknown}


def _nearest(name: str) -> str:
    """The most similar name of a parameter, or "" where there is none."""
    return next(iter(get_close_matches(name, PARAMETERS, 1, 0.7)), "")


def as_declared(changes: list[Parameter]) -> list[Parameter]:
    """Takes 2 for 2.0, true for "true" and [] for [""] where such a value is declared.

    So people and tools write them.

    Raises:
        ParameterNotDeclaredException: rclpy's own, with the most similar name.
    """
    for name in (change.name for change in changes):
        if name not in PARAMETERS and not name.startswith(_OF_ROS) and (nearest := _nearest(name)):
            raise ParameterNotDeclaredException(f"{name}; is it '{nearest}'?")
    return [
        _as_declared(change, PARAMETERS[change.name].default) if change.name in PARAMETERS else change
        for change in changes
    ]


def _as_declared(change: Parameter, default: Any) -> Parameter:
    match default, change.type_:
        case float(), Parameter.Type.INTEGER:
            return Parameter(change.name, value=float(change.value))
        case [float(), *_], Parameter.Type.INTEGER_ARRAY:
            return Parameter(change.name, value=[float(number) for number in change.value])
        case str(), Parameter.Type.BOOL:  # true and false of image_is_rectified
            return Parameter(change.name, value=str(change.value).lower())
        case [str(), *_], _ if isinstance(change.value, Sequence) and len(change.value) == 0:
            return Parameter(change.name, value=[""])
        case _, Parameter.Type.NOT_SET:  # an empty list in a file
            return Parameter(change.name, value=default)
    return change


def current(node: Node) -> dict[str, Any]:
    """The values as they are now, by name."""
    return {name: node.get_parameter(name).value for name in PARAMETERS}
