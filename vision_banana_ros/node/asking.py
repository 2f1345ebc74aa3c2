# SPDX-License-Identifier: Apache-2.0
"""With what a frame is asked: one value that follows from generator and parameters, and is only ever replaced whole."""

from dataclasses import dataclass

from vision_banana_ros.generators import Generator
from vision_banana_ros.node.parameters import Settings
from vision_banana_ros.node.prompts import Prompts, read_legend
from vision_banana_ros.perception import Perceiver, Question
from vision_banana_ros.tasks import TASKS
from vision_banana_ros.tasks.profiles import profile


@dataclass(frozen=True)
class Asking:
    """Taken once a frame, so that a change never splits one.

    questions: those that follow from the prompts, by task; only tasks that the generator answers.
    """

    generator: Generator
    perceiver: Perceiver
    prompts: Prompts
    questions: dict[str, list[Question]]
    settings: Settings

    @classmethod
    def of(cls, settings: Settings, generator: Generator) -> "Asking":
        own = generator.manifest.legend
        legend = read_legend(settings.legend, own) if settings.legend else own
        prompts = Prompts(legend, settings.expressions, settings.instances_class)
        metric = profile(generator.manifest.codec).metric  # else its depth has no unit, and is never published as metres
        tasks = [task for task in TASKS if task in generator.tasks and (metric or task != "depth")]
        questions = {task: prompts.questions(task) for task in tasks}
        return cls(generator, Perceiver(generator, settings.output_size), prompts, questions, settings)

    @property
    def max_range(self) -> float:
        """Metres; depth beyond is +inf."""
        return self.settings.max_range or self.generator.manifest.depth_range_m[1]

    def all_questions(self) -> list[Question]:
        """All that a frame may be asked."""
        return [question for questions in self.questions.values() for question in questions]
