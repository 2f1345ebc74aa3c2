# SPDX-License-Identifier: Apache-2.0
"""Starts ROS, and says in a sentence what it refuses."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import rclpy
from rclpy.context import Context
from rclpy.exceptions import NameValidationException
from rclpy.impl.implementation_singleton import rclpy_implementation

from vision_banana_ros.errors import InputError


def start_ros(args: Sequence[str] | None = None, context: Context | None = None) -> None:
    """Calls `rclpy.init`.

    Args:
        args: The command line; None for that of the process.
        context: What is started; None for the process's own context.

    Raises:
        InputError: ROS refuses its arguments, a parameter file, or its environment.
    """
    with saying_refusals():
        rclpy.init(args=None if args is None else list(args), context=context)


@contextmanager
def saying_refusals() -> Iterator[None]:
    """Raises InputError for what ROS refuses when it is started and when a node is created."""
    try:
        yield
    except (
        rclpy_implementation.RCLError,
        rclpy_implementation.UnknownROSArgsError,
        NameValidationException,
        UnicodeError,  # arguments that are no text
    ) as error:
        said = str(error).partition(", at /")[0].rstrip(".")  # the rest are lines of ROS's sources
        file = " A parameter file begins with /**: and ros__parameters:." if "params file" in said else ""
        raise InputError(
            f"ROS cannot be started ({type(error).__name__}: {said}). Correct the arguments after --ros-args,"
            f" or the variables ROS_*, RMW_* and FASTDDS_* of the environment.{file}"
        ) from None
