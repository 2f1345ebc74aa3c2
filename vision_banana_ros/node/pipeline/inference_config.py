# SPDX-License-Identifier: Apache-2.0
"""The inference configuration: an immutable value that follows from generator and parameters."""

from dataclasses import dataclass

from vision_banana_ros.generators import Generator
from vision_banana_ros.node.parameters import Settings
from vision_banana_ros.node.prompts import Prompts
from vision_banana_ros.node.topics.messages import RELATIVE
from vision_banana_ros.node.topics.range_sensor import TYPES as RANGE_TOPICS
from vision_banana_ros.perception import Perceiver, Question
from vision_banana_ros.tasks import TASKS
from vision_banana_ros.tasks.legend_text import read_legend
from vision_banana_ros.tasks.profiles import profile


@dataclass(frozen=True)
class Asking:
    """The configuration of one frame; it is replaced as a whole, so that a change never affects half a frame.

    Attributes:
        questions: The questions by task, for the tasks that the generator supports. If its depth is relative,
            the task is depth_relative, and depth is only included if range measurements can make it metric.
    """

    generator: Generator
    perceiver: Perceiver
    prompts: Prompts
    questions: dict[str, list[Question]]
    settings: Settings

    @classmethod
    def of(cls, settings: Settings, generator: Generator) -> "Asking":
        """The configuration from the parameters, for a generator. Raises InputError if it cannot be used."""
        own = generator.manifest.legend
        legend = read_legend(settings.legend, own) if settings.legend else own
        prompts = Prompts(legend, settings.expressions, settings.instances_class)
        tasks = [task for task in TASKS if task in generator.tasks]
        if "depth" in tasks and not profile(generator.manifest.codec).metric:
            tasks.append("depth_relative")
            if settings.scale_check not in RANGE_TOPICS:
                tasks.remove("depth")
        questions = {task: prompts.questions(task) for task in tasks}
        return cls(
            generator, Perceiver(generator, settings.output_size, together=True), prompts, questions, settings
        )

    @property
    def depth_kind(self) -> str:
        """One of `profiles_relative.KINDS` if depth is relative, otherwise empty."""
        return profile(self.generator.manifest.codec).depth_kind if "depth_relative" in self.questions else ""

    @property
    def max_range(self) -> float:
        """Metres; depth beyond it is +inf."""
        return self.settings.max_range or self.generator.manifest.depth_range_m[1]

    def all_questions(self) -> list[Question]:
        """All questions of a frame."""
        return [question for questions in self.questions.values() for question in questions]

    def cure(self, task: str) -> str:
        """What to do so that a task without questions is answered."""
        if task in self.questions:
            return f"call ~/set_prompts with the task {task}"
        if task == "depth" and self.depth_kind:
            lacking = (
                "camera_height tells one of the two numbers that metres need; "
                if self.settings.scale_check
                else ""
            )
            return (
                f"this bundle's is relative; {lacking}take {RELATIVE}, or set scale_check to"
                f" {' or '.join(RANGE_TOPICS)}"
            )
        if task == "depth_relative" and "depth" in self.questions:
            return "this bundle's depth is in metres; take depth/image_rect"
        return f"use a bundle that answers {task.removesuffix('_relative')}"
