# SPDX-License-Identifier: Apache-2.0
"""Starts the installed node in its own process for the duration of a verb."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vision_banana_ros.errors import InputError

EXECUTABLE = "vision_banana_node"
STOP_S = 10.0


def own_namespace() -> str:
    """A ROS namespace that nobody else has.

    Under the usual names a robot in the same ROS domain would get the pictures and the prompts of the verb.
    """
    return f"/vision_banana_{secrets.token_hex(4)}"


@contextmanager
def running_node(
    log: Path, bundle: Path, namespace: str, executor: str = "auto"
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs the node in its own process, configured and active; always ends it on leaving."""
    parameters = (f"bundle:={bundle.resolve()}", f"executor:={executor}", "autostart:=true")
    command = [_executable(), "--ros-args", *(part for parameter in parameters for part in ("-p", parameter))]
    command += ["-r", f"__ns:={namespace}"]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _executable() -> str:
    """vision_banana_node on the PATH, or where colcon installs it under a prefix."""
    places = [
        Path(p) / "lib" / "vision_banana_ros" / EXECUTABLE
        for p in os.environ.get("AMENT_PREFIX_PATH", "").split(":")
    ]
    found = shutil.which(EXECUTABLE) or next((str(place) for place in places if place.is_file()), None)
    if found is None:
        raise InputError(
            f"{EXECUTABLE} is neither on the PATH nor in an installation: build the package"
            " and source its setup.bash."
        )
    return found
