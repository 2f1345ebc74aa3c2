# SPDX-License-Identifier: Apache-2.0
"""The node's parameters: declared with ranges and descriptions, and read into one unchanging value."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from vision_banana_ros.errors import InputError
from vision_banana_ros.node.pipeline.output_schedule import Pacing
from vision_banana_ros.node.prompts import read_expressions
from vision_banana_ros.node.topics.messages import GROUPS
from vision_banana_ros.perception.obstacles import ObstacleFilter
from vision_banana_ros.reasoning import Rewriter, open_rewriter
from vision_banana_ros.tasks.legend_text import clean_text, read_legend

_FIRST = ("depth", "points", "points_obstacles", "segmentation", "referring", "instances", "normals")
PRIORITY = tuple(dict.fromkeys([*_FIRST, *GROUPS]))
"""The default. A robot that moves needs to know first where things are."""


@dataclass(frozen=True)
class _Parameter:
    default: Any
    description: str
    range: tuple[float, float] | None = None
    constraints: str = ""
    read_only: bool = False


_OF_ROS = ("use_sim_time", "qos_overrides.", "start_type_description_service")
"""How names begin that rclpy declares by itself."""

# ROS cannot tell the type of an empty list, so [""] stands for "none" in lists of strings.
PARAMETERS: dict[str, _Parameter] = {
    "bundle": _Parameter("", "Folder of the generator's bundle; empty: the one installed with the package. Read by configure."),
    "executor": _Parameter("auto", "What runs the generator; auto takes the best there is. Read by configure."),
    "build_only": _Parameter(False, "Build the engine that executor asks for, then end: status 0 where it is ready.", read_only=True),
    "autostart": _Parameter(False, "Configure and activate without a lifecycle manager.", read_only=True),
    "output_size": _Parameter(
        "input", "Size of the outputs: of the camera's image, or the generator's own.", constraints="input or generator"
    ),
    "legend": _Parameter(
        [""],
        "Classes of segmentation/mask in the order of their ids; empty: the bundle's.",
        constraints='each "name" or "name=colour", a colour as #rrggbb or by name',
    ),
    "expressions": _Parameter([""], "What referring/mask looks for; the first expression has the value 1.", constraints="up to 16"),
    "instances_class": _Parameter("box", "The class whose single things instances/mask tells apart; empty: none."),
    "encode_prompts": _Parameter(
        False,
        "What an imported editor does not know yet, because it was not encoded, is encoded when a service asks for it, which takes"
        " a minute or so: in a process of its own on the CPU, where the bundle has its text encoder. False: the reply names the"
        " command that does it.",
    ),
    "max_age": _Parameter(2.0, "Seconds; older frames are dropped and counted. 0: no limit.", (0.0, 3600.0)),
    "min_readable": _Parameter(
        0.05, "A frame is dropped and reported where less than this part of any answer can be read.", (0.0, 1.0)
    ),
    "frozen_after": _Parameter(
        3.0,
        "Seconds; a camera whose frames are identical for longer is frozen, and they are dropped and reported. 0: never, for a"
        " simulated camera without noise.",
        (0.0, 3600.0),
    ),
    "max_range": _Parameter(0.0, "Metres; depth beyond is +Inf. 0, or more than it: the bundle's own range.", (0.0, 1000.0)),
    "service_timeout": _Parameter(10.0, "Seconds a service request may take before it is answered with a failure.", (0.1, 600.0)),
    # Read-only: whoever may set parameters shall not send the camera's frames and the key to a server of their own.
    "reasoning_url": _Parameter(
        "",
        "OpenAI-compatible endpoint (http://localhost:8080/v1) whose model first makes a plain expression of what ~/segment is asked"
        " and says whether it is there; empty: none. Its key is the environment variable VISION_BANANA_REASONING_KEY.",
        constraints="https, or on this machine, unless reasoning_allow_http",
        read_only=True,
    ),
    "reasoning_model": _Parameter("", "The model that reasoning_url is asked for.", read_only=True),
    "reasoning_timeout": _Parameter(4.0, "Seconds the reasoning model may take for each of its two answers.", (0.1, 600.0)),
    "reasoning_allow_http": _Parameter(
        False, "Send pictures and key to reasoning_url unencrypted, in a network that you trust.", read_only=True
    ),
    "cameras": _Parameter(
        [""],
        "Names of several cameras, whose topics then begin with them, as in front/image; empty: one, without a name.",
        constraints="parts of topic names",
        read_only=True,
    ),
    **{
        f"rates.{group}": _Parameter(0.0, f"Hz, at most so often {group} is answered. 0: for every frame.", (0.0, 1000.0))
        for group in GROUPS
    },
    "priority": _Parameter(
        list(PRIORITY),
        "Outputs, the most important first: where the budget does not reach, the last are skipped. Those left out come last.",
        constraints="each one of " + ", ".join(GROUPS),
    ),
    "budget": _Parameter(
        0.0, "Seconds that answering a frame may take; what does not fit is skipped by priority. 0: no limit.", (0.0, 600.0)
    ),
    "obstacles.min_confidence": _Parameter(0.5, "Of a pixel whose depth goes into points_obstacles.", (0.0, 1.0)),
    "obstacles.max_range": _Parameter(8.0, "Metres; depth beyond does not go into points_obstacles.", (0.5, 1000.0)),
    "obstacles.voxel": _Parameter(0.05, "Metres, edge of the cells that give points_obstacles one point each.", (0.005, 10.0)),
    "steady_depth": _Parameter(
        0.0, "As how many frames the past counts in depth that is averaged over time. 0: every frame by itself.", (0.0, 100.0)
    ),
    "scale_check": _Parameter(
        "", "What corrects the scale of depth; empty: nothing.", constraints="empty, camera_height, scan or cloud (topics of ranges)"
    ),
    "camera_height": _Parameter(1.0, "Metres above the ground, for scale_check camera_height.", (0.05, 99.0)),
    "range_pose": _Parameter(
        [0.0] * 6,
        "Where the range sensor is, for scale_check scan and cloud: x, y, z (metres), roll, pitch, yaw (radians) as seen from"
        " the camera, in axes x forward, y left, z up.",
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
    max_age: float
    min_readable: float
    frozen_after: float
    max_range: float
    service_timeout: float
    reasoning: Rewriter
    pacing: Pacing
    obstacles: ObstacleFilter
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
            raise InputError(f"scale_check is {values['scale_check']!r}; it must be empty, 'camera_height', 'scan' or 'cloud'.")
        range_pose = tuple(values["range_pose"])
        if len(range_pose) != 6 or not all(math.isfinite(number) for number in range_pose):
            raise InputError(f"range_pose must be six finite numbers, x, y, z, roll, pitch and yaw, not {list(range_pose)}.")
        instances_class = values["instances_class"]
        url, model, patience_s = values["reasoning_url"], values["reasoning_model"], values["reasoning_timeout"]
        return cls(
            bundle=values["bundle"],
            executor=values["executor"],
            output_size=values["output_size"],
            legend=legend,
            expressions=read_expressions([text for text in values["expressions"] if text.strip()]),
            instances_class=clean_text(instances_class, "instances_class") if instances_class.strip() else "",
            encode_prompts=values["encode_prompts"],
            max_age=values["max_age"],
            min_readable=values["min_readable"],
            frozen_after=values["frozen_after"],
            max_range=values["max_range"],
            service_timeout=values["service_timeout"],
            reasoning=open_rewriter(url, model, patience_s, values["reasoning_allow_http"]),
            pacing=Pacing(
                {group: values[f"rates.{group}"] for group in GROUPS}, _read_priority(values["priority"]), values["budget"]
            ),
            obstacles=ObstacleFilter(
                min_confidence=values["obstacles.min_confidence"],
                max_range=values["obstacles.max_range"],
                voxel=values["obstacles.voxel"],
            ),
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
    """The cameras' names, for one camera without a name a single "". InputError where one cannot begin a topic's name."""
    given = [name for name in names if name]
    for i, name in enumerate(given):
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,63}", name) or name in given[:i]:
            raise InputError(
                f"cameras names {name!r}; give each camera a name of its own of letters, digits and _, as in [front, rear]."
            )
    return tuple(given) or ("",)


def declare(node: Node) -> dict[str, str]:
    """Declares every parameter.

    Args:
        node: Whose parameters they are.

    Returns:
        What the command line or a file sets and no parameter is called, with the most similar name that there is, or "".

    Raises:
        InvalidParameterTypeException, InvalidParameterValueException: rclpy's own, for a wrong type or range at the start.
    """
    given: dict[str, Parameter] = getattr(node, "_parameter_overrides", {})  # rclpy shows them in no other way
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
    return {name: next(iter(get_close_matches(name, PARAMETERS, 1, 0.7)), "") for name in unknown}


def as_declared(changes: list[Parameter]) -> list[Parameter]:
    """Takes 2 for 2.0 and [] for [""] where such a value is declared: so people and tools write them."""
    return [_as_declared(change, PARAMETERS[change.name].default) if change.name in PARAMETERS else change for change in changes]


def _as_declared(change: Parameter, default: Any) -> Parameter:
    match default, change.type_:
        case float(), Parameter.Type.INTEGER:
            return Parameter(change.name, value=float(change.value))
        case [float(), *_], Parameter.Type.INTEGER_ARRAY:
            return Parameter(change.name, value=[float(number) for number in change.value])
        case [str(), *_], _ if isinstance(change.value, Sequence) and len(change.value) == 0:
            return Parameter(change.name, value=[""])
        case _, Parameter.Type.NOT_SET:  # an empty list in a file
            return Parameter(change.name, value=default)
    return change


def current(node: Node) -> dict[str, Any]:
    """The values as they are now, by name."""
    return {name: node.get_parameter(name).value for name in PARAMETERS}
