# SPDX-License-Identifier: Apache-2.0
"""The node's parameters: declared with ranges and descriptions, and read into one unchanging value."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.node import Node

from vision_banana_ros.errors import InputError
from vision_banana_ros.node.prompts import clean_text, read_expressions, read_legend


@dataclass(frozen=True)
class _Parameter:
    default: Any
    description: str
    range: tuple[float, float] | None = None
    constraints: str = ""
    read_only: bool = False


# ROS cannot tell the type of an empty list, so [""] stands for "none" in lists of strings.
PARAMETERS: dict[str, _Parameter] = {
    "bundle": _Parameter("", "Folder of the generator's bundle; empty: the one installed with the package. Read by configure."),
    "executor": _Parameter("auto", "What runs the generator; auto takes the best there is. Read by configure."),
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
    "max_age": _Parameter(2.0, "Seconds; older frames are dropped and counted. 0: no limit.", (0.0, 3600.0)),
    "min_readable": _Parameter(
        0.05, "A frame is dropped and reported where less than this part of any answer can be read.", (0.0, 1.0)
    ),
    "max_range": _Parameter(0.0, "Metres; depth beyond is +Inf. 0: the bundle's own range.", (0.0, 1000.0)),
    "service_timeout": _Parameter(10.0, "Seconds a service request may take before it is answered with a failure.", (0.1, 600.0)),
}


@dataclass(frozen=True)
class Settings:
    """The parameters' values, checked."""

    bundle: str
    executor: str
    output_size: Literal["input", "generator"]
    legend: tuple[str, ...]
    expressions: tuple[str, ...]
    instances_class: str
    max_age: float
    min_readable: float
    max_range: float
    service_timeout: float

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> "Settings":
        """From the values of `PARAMETERS` by name. InputError where one cannot be used."""
        if values["output_size"] not in ("input", "generator"):
            raise InputError(f"output_size is {values['output_size']!r}; it must be 'input' or 'generator'.")
        legend = tuple(entry for entry in values["legend"] if entry.strip())
        if legend:
            read_legend(legend, {})
        instances_class = values["instances_class"]
        return cls(
            bundle=values["bundle"],
            executor=values["executor"],
            output_size=values["output_size"],
            legend=legend,
            expressions=read_expressions([text for text in values["expressions"] if text.strip()]),
            instances_class=clean_text(instances_class, "instances_class") if instances_class.strip() else "",
            max_age=values["max_age"],
            min_readable=values["min_readable"],
            max_range=values["max_range"],
            service_timeout=values["service_timeout"],
        )


def declare(node: Node) -> None:
    """Declares every parameter. Raises rclpy's InvalidParameter...Exception for a wrong type or range at the start."""
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


def current(node: Node) -> dict[str, Any]:
    """The values as they are now, by name."""
    return {name: node.get_parameter(name).value for name in PARAMETERS}
