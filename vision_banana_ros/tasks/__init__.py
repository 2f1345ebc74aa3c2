# SPDX-License-Identifier: Apache-2.0
"""The tasks of the package.

A task is one file with its code (`encode`, `decode`, `instruction`) and a `Task` class.
"""

from vision_banana_ros.tasks import depth, instances, normals, referring, semantic
from vision_banana_ros.tasks.task import Task

TASKS: dict[str, Task] = {}


def register(task: Task) -> None:
    """Adds a task to `TASKS`, before the modules that use it are imported.

    `run` and the node then support it.

    Args:
        task: The task, with a name that is not registered yet.
    """
    assert task.name not in TASKS, f"{task.name} is registered already"
    TASKS[task.name] = task


for _task in (
    depth.DepthTask,
    normals.NormalsTask,
    semantic.SemanticTask,
    instances.InstancesTask,
    referring.ReferringTask,
):
    register(_task())

__all__ = ["TASKS", "depth", "instances", "normals", "referring", "register", "semantic"]
