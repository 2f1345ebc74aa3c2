# SPDX-License-Identifier: Apache-2.0
"""What can be asked of a generator: a module a task, with `instruction`, `encode`, `decode` and `Answer`."""

from types import ModuleType

from vision_banana_ros.tasks import depth, instances, normals, referring, semantic

TASKS: dict[str, ModuleType] = {task.NAME: task for task in (depth, normals, semantic, instances, referring)}

__all__ = ["TASKS", "depth", "instances", "normals", "referring", "semantic"]
