# SPDX-License-Identifier: Apache-2.0
"""What can be asked of a generator.

A task is a file, with its code (`encode`, `decode`, `instruction`) and a `Task`.
"""

from vision_banana_ros.tasks import depth, instances, normals, referring, semantic
from vision_banana_ros.tasks.task import Task

TASKS: dict[str, Task] = {}


def register(task: Task) -> None:
    """Adds a task, before the modules that ask it are imported.

    It is then answered by `run` and by the node.
    """
    assert task.name not in TASKS, f"{task.name} is registered already"
    TASKS[task.name] = task


for _task in (depth.DepthTask, normals.NormalsTask, semantic.SemanticTask, instances.InstancesTask, referring.ReferringTask):
    register(_task())

__all__ = ["TASKS", "depth", "instances", "normals", "referring", "register", "semantic"]
