# SPDX-License-Identifier: Apache-2.0
"""One camera: the way of its frames from the topics in, past the worker, to the topics out."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from rclpy.lifecycle import LifecycleNode

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators import Generator
from vision_banana_ros.node import fill
from vision_banana_ros.node.camera_info import PinholeCamera, pinhole
from vision_banana_ros.node.counts import Counts
from vision_banana_ros.node.faults import Faults
from vision_banana_ros.node.images import read_image
from vision_banana_ros.node.inputs import Frame, Inputs
from vision_banana_ros.node.messages import TASKS, Composer, Seen, picture_range
from vision_banana_ros.node.outputs import Outputs
from vision_banana_ros.node.parameters import Settings
from vision_banana_ros.node.prompts import Prompts
from vision_banana_ros.perception import Perceiver, Question

FRAMES_KEPT = 8
"""Of the newest frames, and of the last answered ones: those that a service request may name by their stamps."""

NEEDS_CAMERA = {"points", "depth/camera_info"}


@dataclass(frozen=True)
class Asking:
    """With what a frame is asked: taken once a frame, so that a change never splits one.

    questions: those that follow from the prompts, by task; only tasks that the generator answers.
    """

    generator: Generator
    perceiver: Perceiver
    prompts: Prompts
    questions: dict[str, list[Question]]
    settings: Settings

    def all_questions(self) -> list[Question]:
        """All that a frame may be asked."""
        return [question for questions in self.questions.values() for question in questions]


class Stream:
    """A camera's frames. `answer` runs on the worker's thread, everything else on that of ROS's executor.

    hand_over: gives a frame to the worker and returns the one that it pushed out.
    """

    def __init__(self, node: LifecycleNode, hand_over: Callable[[Frame], Frame | None]):
        self._node = node
        self._hand_over = hand_over
        self.counts = Counts()
        self.faults = Faults(node.get_logger().warning)
        self.inputs = Inputs(node, self._receive, self.faults)
        self.outputs = Outputs(node, self.faults)
        self.asking: Asking | None = None
        self._composer = Composer()
        self.active = False
        self._publishing = threading.Lock()
        self._newest: deque[Frame] = deque(maxlen=FRAMES_KEPT)
        self._answered: deque[Frame] = deque(maxlen=FRAMES_KEPT)

    def open(self, asking: Asking) -> None:
        """Makes the topics."""
        self.asking = asking
        self.outputs.open()
        self.inputs.open()

    def close(self) -> None:
        """Destroys the topics and forgets the frames. The worker must have stopped."""
        self.inputs.close()
        self.outputs.close()
        self._newest.clear()
        self._answered.clear()
        self.asking = None
        self.faults.clear_all()

    def start(self) -> None:
        """Lets frames through."""
        assert self.asking is not None
        self.outputs.publish_labels(self.asking.prompts.legend)
        self.active = True

    def stop(self, waiting: Frame | None) -> None:
        """Lets no frame through any more. `waiting`: the frame taken back from the worker."""
        with self._publishing:
            self.active = False
        if waiting is not None:
            self.counts.drop("inactive")

    def change(self, asking: Asking) -> None:
        """Asks the frames that the worker has not begun with something else."""
        relabel = self.asking is None or self.asking.prompts.legend != asking.prompts.legend
        self.asking = asking
        if relabel and self.active:
            self.outputs.publish_labels(asking.prompts.legend)

    def frame(self, stamp_ns: int) -> Frame:
        """The newest frame (0), or the one with this stamp. InputError where it is not there."""
        if not self._newest:
            raise InputError(f"No image has arrived yet on {self.inputs.topic('image')}. Start the camera, or remap the topic to it.")
        if stamp_ns == 0:
            return self._newest[-1]
        for frame in (*reversed(self._newest), *reversed(self._answered)):
            if frame.stamp_ns == stamp_ns:
                return frame
        raise InputError(
            f"No frame with the stamp {stamp_ns / 1e9:.9f} is kept, only the newest {FRAMES_KEPT} and the last"
            f" {FRAMES_KEPT} that were answered. Ask sooner, or leave the stamp zero for the newest."
        )

    def camera(self, image: np.ndarray, perceiver: Perceiver) -> PinholeCamera | None:
        """The camera on the grid of an image's answers, or None, which is reported."""
        try:
            if self.inputs.info is None:
                topic = self.inputs.topic("camera_info")
                raise InputError(f"No CameraInfo has arrived on {topic}: there is no cloud. Remap the topic to the camera's.")
            size = image.shape[:2]
            camera = pinhole(self.inputs.info, size, perceiver.grid(*size), self.inputs.rectified)
        except InputError as error:
            self.faults.report("camera_info", str(error))
            return None
        self.faults.clear("camera_info")
        return camera

    def _receive(self, frame: Frame) -> None:
        if not self.active:
            return
        if any(known.stamp_ns == frame.stamp_ns and known.way != frame.way for known in self._newest):
            return  # the same frame by another subscription
        self.counts.receive(jumped_back=bool(self._newest) and frame.stamp_ns < self._newest[-1].stamp_ns)
        self._newest.append(frame)
        if self._hand_over(frame) is not None:
            self.counts.drop("replaced")

    def answer(self, frame: Frame) -> None:
        """Answers a frame and publishes, or drops and counts it."""
        try:
            reason = self._answer(frame)
        except Exception as error:
            reason = "failed"
            self.faults.report("failed", f"A frame could not be answered: {type(error).__name__}: {error}")
        if reason:
            self.counts.drop(reason)

    def _answer(self, frame: Frame) -> str:
        """Returns why the frame is dropped; nothing when it was published."""
        asking = self.asking
        assert asking is not None
        topics = self.outputs.watched()
        if not topics:
            return "unwatched"
        if self._stale(frame, asking.settings.max_age):
            return "stale"
        try:
            image = read_image(frame.message)
        except InputError as error:
            self.faults.report("image", f"An image on {self.inputs.topic('image')} was dropped: {error}")
            return "unusable"
        self._answered.append(frame)
        seen = self._look(frame, image, topics, asking)
        if isinstance(seen, str):
            return seen
        with self._publishing:
            if not self.active:
                return "inactive"
            for topic in topics:
                message = self._composer.compose(topic, seen)
                if message is not None:
                    self.outputs.publish(topic, message)
        self.counts.publish(self._age_s(frame))
        return ""

    def _look(self, frame: Frame, image: np.ndarray, topics: set[str], asking: Asking) -> Seen | str:
        """What is seen in the frame as far as `topics` need it, or why it is dropped."""
        camera = self.camera(image, asking.perceiver)
        tasks = {TASKS[topic] for topic in topics if camera is not None or topic not in NEEDS_CAMERA}
        questions = self._questions(tasks, asking)
        if not questions and None not in tasks:
            return "unanswerable"
        looks = asking.perceiver.look(image, questions)
        # A picture without things to count may read as nothing but stray colours: that is background, not a lost frame.
        judged = [(part, q.task) for part, q in zip(looks.readable, questions, strict=True) if q.task != "instances"]
        if judged and (worst := min(judged))[0] < asking.settings.min_readable:
            readable, task = worst
            self.faults.report(
                "unreadable",
                f"A frame was dropped: of the answer about {task} {readable:.1%} can be read. Does the bundle know such"
                " pictures? min_readable sets the limit.",
            )
            return "unreadable"
        answers: dict[str, list] = {}
        for question, answer in zip(questions, looks, strict=True):
            answers.setdefault(question.task, []).append(answer)
        manifest_range = asking.generator.manifest.depth_range_m
        max_range = asking.settings.max_range or manifest_range[1]
        for answer in answers.get("depth", []):
            fill.limit_range(answer.depth_m, max_range)
        legend = asking.prompts.legend
        return Seen(frame.message.header, looks.image, answers, legend, picture_range(manifest_range, max_range), camera)

    def _questions(self, tasks: set[str | None], asking: Asking) -> list[Question]:
        known = asking.questions
        questions: list[Question] = []
        for task in sorted(task for task in tasks if task is not None):
            asked = known.get(task, [])
            if not asked:
                cure = f"call ~/set_prompts with the task {task}" if task in known else f"use a bundle that answers {task}"
                self.faults.report(f"silent {task}", f"A topic of {task} is subscribed to, but nothing is asked: {cure}.")
            questions += asked
        return questions

    def _stale(self, frame: Frame, max_age_s: float) -> bool:
        age_s = self._age_s(frame)
        if max_age_s == 0 or age_s <= max_age_s:
            return False
        self.faults.report(
            "stale",
            f"A frame was dropped because it was {age_s:.1f} s old, more than max_age. For a recording, play it with"
            " --clock and set use_sim_time, or set max_age to 0; for a camera, compare the clocks of the two machines.",
        )
        return True

    def _age_s(self, frame: Frame) -> float:
        return (self._node.get_clock().now().nanoseconds - frame.stamp_ns) / 1e9
