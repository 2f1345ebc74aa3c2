# SPDX-License-Identifier: Apache-2.0
"""Starts ROS, and says in a sentence what it refuses."""

import os
import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import rclpy
import rclpy.logging
from rclpy.context import Context
from rclpy.exceptions import NameValidationException
from rclpy.impl.implementation_singleton import rclpy_implementation

from vision_banana_ros.errors import InputError

MAX_DOMAIN = 232
"""Above it DDS has no ports."""
LEAST_FILES = 64
"""Of one process at once: a node with one camera holds half as many."""


def start_ros(args: Sequence[str] | None = None, context: Context | None = None) -> None:
    """Calls `rclpy.init`.

    Args:
        args: The command line; None for that of the process.
        context: What is started; None for the process's own context.

    Raises:
        InputError: ROS refuses its arguments, a parameter file, or its environment; or the process may open
            too few files.
    """
    _allow_files()
    domain = os.environ.get("ROS_DOMAIN_ID", "").strip()
    if domain and domain not in map(str, range(MAX_DOMAIN + 1)):
        # ROS takes -1, 1.5 and 010 for other domains, and DDS ends the process above the highest
        raise InputError(
            f"ROS cannot be started: ROS_DOMAIN_ID is a whole number from 0 to {MAX_DOMAIN}, not {domain!r}."
        )
    try:
        rclpy.logging.initialize()  # or every line of the log is an error where a variable cannot be read
    except RuntimeError as error:
        given = " ".join(f"{name}={value!r}" for name, value in os.environ.items() if "RCUTILS_" in name)
        raise InputError(
            f"ROS cannot be started ({error}). Correct the variables RCUTILS_* of the environment: {given}."
        ) from None
    with saying_refusals():
        rclpy.init(args=None if args is None else list(args), context=context)


def _allow_files() -> None:
    """Raises the soft limit of open files where it is too low; InputError where the hard one is.

    With too few, ROS and Python fail at any line, and name other causes.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < LEAST_FILES:
        raise InputError(
            f"This process may open {hard} files at once and needs {LEAST_FILES}: raise the limit"
            " (`ulimit -n`, LimitNOFILE= of a service, --ulimit nofile of a container)."
        )
    if 0 <= soft < LEAST_FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (LEAST_FILES, hard))


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
