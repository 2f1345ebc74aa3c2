# SPDX-License-Identifier: Apache-2.0
"""One camera: the way of its frames from the topics in, past the worker, to the topics out."""

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import Image

from vision_banana_ros.errors import InputError, shortened
from vision_banana_ros.node.health.faults import Faults, say
from vision_banana_ros.node.pipeline.depth_postprocess import DepthChain
from vision_banana_ros.node.pipeline.frame_age import Ages
from vision_banana_ros.node.pipeline.frame_history import Frames
from vision_banana_ros.node.pipeline.frame_statistics import Counts
from vision_banana_ros.node.pipeline.inference_config import Asking
from vision_banana_ros.node.pipeline.output_schedule import Schedule
from vision_banana_ros.node.topics.camera_info import same_camera
from vision_banana_ros.node.topics.image_input import ImageReader
from vision_banana_ros.node.topics.inputs import Frame, Inputs
from vision_banana_ros.node.topics.messages import (
    OF_THINGS,
    RELATIVE,
    TASKS,
    THINGS,
    Composer,
    Seen,
    group_of,
    needs_camera,
    picture_range,
)
from vision_banana_ros.node.topics.outputs import Outputs
from vision_banana_ros.node.topics.range_sensor import TYPES as RANGE_TOPICS
from vision_banana_ros.node.topics.range_sensor import Ranges
from vision_banana_ros.node.topics.transforms import OLDEST_S, NotOptical, Transforms
from vision_banana_ros.perception import Intrinsics, Question
from vision_banana_ros.perception.camera import Calibration, Camera, camera_for
from vision_banana_ros.perception.detections import LEVEL_UP, detections
from vision_banana_ros.perception.input_check import FrozenCheck, nothing_to_see
from vision_banana_ros.perception.obstacles import Floor, floor_in_depth, scale_by_floor
from vision_banana_ros.perception.rectified_answers import answer_rectified
from vision_banana_ros.perception.tracking import Tracker
from vision_banana_ros.perception.upright_check import UprightCheck
from vision_banana_ros.tasks.profiles_relative import MEANINGS


class Stream:
    """A camera's frames. `answer` runs on the worker's thread, everything else on that of ROS's executor.

    The worker reads `asking` and `active`, and uses the publishers, only under `_turn`, and only between
    `start` and `stop`; from then on the executor may destroy them. `depth`, `schedule` and the composer are
    the worker's while it answers a frame: `start` may reset them because no frame is under way then.

    name: of the camera, "" for the only one; its topics begin with it. hand_over: gives a frame to the worker
    and returns the one that it pushed out.
    """

    def __init__(
        self,
        node: LifecycleNode,
        name: str,
        hand_over: Callable[[Frame], Frame | None],
        transforms: Transforms,
    ):
        self._node = node
        self.name = name
        self._hand_over = hand_over
        prefix = f"{name}/" if name else ""
        self.counts = Counts()
        self.faults = Faults(node.get_logger().warning)
        self.inputs = Inputs(node, prefix, self._receive, self.faults)
        self.outputs = Outputs(node, prefix, self.faults)
        self.frames = Frames()
        self._ages = Ages(node, self.faults)
        self.schedule = Schedule()
        self._transforms = transforms
        self.ranges = Ranges(node, prefix, transforms)
        self.depth = DepthChain(self.ranges, self.faults)
        self._tracker = Tracker()
        self._floor_told = ""
        self._still = FrozenCheck()
        self._upright = UprightCheck()
        self.asking: Asking | None = None
        self._composer = Composer()
        self.active = False
        # Guards what must not happen while a frame is begun or published.
        self._turn = threading.Lock()
        self._busy = False
        self._labelled: list[str] | None = None
        self._reading = ""
        self._read = ImageReader()

    def open(self) -> None:
        """Makes the topics."""
        self.outputs.open()
        self.inputs.open()

    def close(self) -> None:
        """Destroys the topics. After `stop`."""
        self.inputs.close()
        self.outputs.close()
        self.faults.clear_all()

    def start(self, asking: Asking) -> None:
        """Lets frames through."""
        self._labelled = None
        self._tracker.reset()
        self.depth.reset(asking.depth_kind)
        if asking.depth_kind:
            told = f"Depth of {asking.generator.name} goes to {RELATIVE}: {MEANINGS[asking.depth_kind]}."
            self._node.get_logger().info(told)
        self.inputs.waiting_since_now()
        self.active = True
        self.change(asking)

    def stop(self, waiting: Frame | None) -> None:
        """Lets no frame through any more, and forgets those it had.

        `waiting`: the frame taken back from the worker.
        """
        with self._turn:
            self.active = False
            self.asking = None
        if waiting is not None:
            self.counts.drop("inactive")
        self.ranges.listen("")
        self.frames.clear()
        self._still = FrozenCheck()
        self._upright = UprightCheck()
        self._read = ImageReader()
        self._composer = Composer()  # its buffers go, also where a frame is still being written into them

    def change(self, asking: Asking) -> None:
        """Asks the frames that the worker has not begun with something else."""
        check = asking.settings.scale_check
        self.ranges.listen(check if check in RANGE_TOPICS else "")
        unknown = [name for name in asking.settings.ignored_classes if name not in asking.prompts.legend]
        if unknown:
            sentence = (
                f"obstacles.ignored_classes names {unknown[0]!r}, which is no class of the legend:"
                " nothing is left out for it."
            )
            self.faults.report("ignored classes", sentence, lasting=True)
        else:
            self.faults.clear("ignored classes")
        self._transforms.listen(bool(asking.settings.base_frame) or check in RANGE_TOPICS)
        with self._turn:
            self.asking = asking
            if not self._busy:  # else after the frame: what is published till then has the labels of before
                self._label(asking)

    def frame(self, stamp_ns: int) -> Frame:
        """The newest frame (0), or the one with this stamp. InputError where it is not there."""
        frame = self.frames.find(stamp_ns)
        if frame is None:
            raise InputError(
                f"No image has arrived yet on {self.inputs.topic('image')}. Start the camera,"
                " or remap the topic to it."
            )
        return frame

    def camera(self, image_size: tuple[int, int], stamp_ns: int, asking: Asking) -> Camera | None:
        """The camera of a frame of (height, width), or None without CameraInfo, which is reported."""
        info = self.inputs.infos.of(stamp_ns)
        if info is None:
            lost = "neither depth nor clouds" if asking.perceiver.needs_lens else "no clouds"
            topic = self.inputs.topic("camera_info")
            self._no_camera(
                f"No CameraInfo has arrived on {topic}. Remap the topic to the camera's. Until"
                f" then there are {lost}."
            )
            return None
        try:
            camera = camera_for(
                Calibration.of(info), image_size, asking.settings.image_is_rectified, asking.settings.rectify
            )
        except InputError as error:
            self._no_camera(f"{error} Until then there are neither depth nor clouds.")
            raise
        self._reading = camera.reading
        self.faults.clear("camera_info")
        return camera

    def _no_camera(self, why: str) -> None:
        self._reading = ""
        self.faults.report("camera_info", why)

    def report(self) -> dict[str, str]:
        """How the images are read, and the figures of their frames, as text by name."""
        images = {"images": self._reading or "of an unknown camera"}
        if self._floor_told:
            images["points_obstacles"] = self._floor_told
        return images | self.counts.report() | self.schedule.report() | self.depth.report()

    def inspect(self) -> None:
        """Looks after the connections, also while no frame is answered. To be called every second."""
        self.inputs.adapt()
        self.outputs.inspect()
        asking, frame = self.asking, self.frames.newest
        if not self.active or asking is None:
            return
        self.inputs.inspect()
        self._compare_frame_ids(frame)
        if (
            frame is not None
            and isinstance(frame.message, Image)
            and frame.message.height
            and frame.message.width
        ):
            with suppress(InputError):
                self.camera((frame.message.height, frame.message.width), frame.stamp_ns, asking)

    def _compare_frame_ids(self, frame: Frame | None) -> None:
        """Reports images and CameraInfo of different names.

        By sensor_msgs/Image that is undefined; most likely topics of two cameras were swapped.
        """
        info = self.inputs.info
        if frame is None or info is None or same_camera(frame.message.header, info.header):
            self.faults.clear("frame_id")
            return
        ids = [shortened(m.header.frame_id) for m in (frame.message, info)]
        self.faults.report(
            "frame_id",
            f"Images on {self.inputs.topic('image')} have the frame_id '{ids[0]}', CameraInfo on"
            f" {self.inputs.topic('camera_info')} has '{ids[1]}': if it is of another camera, depth and"
            " clouds are wrong. Remap camera_info to the topic of the same camera, or correct the frame_id"
            " in its driver.",
            lasting=True,
        )

    def _receive(self, frame: Frame) -> None:
        if not self.active:
            return
        if self.frames.came_otherwise(frame):
            self.counts.copy()
            return
        before = self.frames.newest
        self.counts.receive(jumped_back=self.frames.add(frame))
        if before is not None and before.stamp_ns - frame.stamp_ns > OLDEST_S * 1e9:  # else out of order
            self._transforms.forget()
        self.ranges.camera_frame = frame.message.header.frame_id
        if self._hand_over(frame) is not None:
            self.counts.drop("replaced")

    def answer(self, frame: Frame) -> None:
        """Answers a frame and publishes, or drops and counts it."""
        with self._turn:
            asking, self._busy = self.asking, True
            watched = self.outputs.watched() if asking is not None else set()
        try:
            reason = self._answer(frame, watched, asking) if asking is not None else "inactive"
        except Exception as error:
            reason = "failed"
            self.faults.report("failed", f"A frame could not be answered: {say(error)}")
        with self._turn:
            self._busy = False
            if self.asking is not None:
                self._label(self.asking)
        if reason:
            self.counts.drop(reason)

    def _answer(self, frame: Frame, watched: set[str], asking: Asking) -> str:
        """Returns why the frame is dropped; nothing when it was published."""
        started = time.perf_counter()
        if not watched:
            return "unwatched"
        if self._ages.too_old(frame, asking.settings.max_age):
            return "stale"
        try:
            image = self._read(frame.message)
        except InputError as error:
            self.faults.report("image", f"An image on {self.inputs.topic('image')} was dropped: {error}")
            return "unusable"
        if reason := self._shows_nothing(frame, image, asking):
            return reason
        pacing = asking.settings.pacing
        groups = self.schedule.plan({group_of(topic) for topic in watched}, frame.stamp_ns, pacing)
        if not groups:
            return "not due"
        self._say_what_is_skipped(asking)
        self.frames.answered(frame)
        topics = {topic for topic in watched if group_of(topic) in groups}
        seen = self._look(frame, image, topics, asking)
        if isinstance(seen, str):
            return seen
        messages = {topic: self._composer.compose(topic, seen) for topic in topics}
        if asking.depth_kind and not any(messages.values()):
            return "no metres"
        if self._ages.too_old(frame, asking.settings.max_age):  # by now
            return "stale"
        with self._turn:
            if not self.active:
                return "inactive"
            for topic, message in messages.items():
                if message is not None:
                    self.outputs.publish(topic, message)
        self.schedule.took(groups, time.perf_counter() - started)
        self.counts.publish(self._ages.of(frame))
        return ""

    def _shows_nothing(self, frame: Frame, image: np.ndarray, asking: Asking) -> str:
        """Why a frame is not worth asking about; nothing where it is."""
        why = nothing_to_see(image)
        still = self._still.frozen(image, asking.settings.frozen_after)
        if why:
            topic = self.inputs.topic("image")
            self.faults.report(
                "nothing", f"A frame on {topic} was dropped because there is nothing to see in it. {why}"
            )
            return "nothing to see"
        if still:
            self.faults.report("frozen", f"A frame on {self.inputs.topic('image')} was dropped. {still}")
            return "frozen"
        return ""

    def _look(self, frame: Frame, image: np.ndarray, topics: Collection[str], asking: Asking) -> Seen | str:
        """What is seen in the frame as far as `topics` need it, or why it is dropped."""
        camera, depth_needs_camera = None, asking.perceiver.needs_lens
        try:
            camera = self.camera(image.shape[:2], frame.stamp_ns, asking)
        except InputError:
            # of a picture whose camera is known to be told wrong, nobody may take metres
            depth_needs_camera = True
        topics = {
            topic for topic in topics if camera is not None or not needs_camera(topic, depth_needs_camera)
        }
        tasks = {task for topic in topics for task in TASKS[topic]}
        if of_things := not OF_THINGS.isdisjoint(topics):
            tasks |= {task for task in THINGS if asking.questions.get(task)} or {THINGS[0]}
        if "points_obstacles" in topics and asking.settings.ignored_classes:
            tasks.add("semantic")
        questions = self._questions(tasks, asking)
        if not questions and "depth/camera_info" not in topics:
            return "unanswerable"
        looks, intrinsics = answer_rectified(camera, asking.perceiver, image, questions)
        # A picture without things to count may read as nothing but stray colours: that is background, not a
        # lost frame.
        judged = [
            (part, q.task)
            for part, q in zip(looks.readable, questions, strict=True)
            if not q.kind.may_be_empty
        ]
        if judged and (worst := min(judged))[0] < asking.settings.min_readable:
            readable, task = worst
            self.faults.report(
                "unreadable",
                f"A frame was dropped: of the answer about {task} {readable:.1%} can be read. Does the"
                " bundle know such"
                " pictures? min_readable sets the limit.",
            )
            return "unreadable"
        if why := self._upright.fault(asking.perceiver, questions, looks):
            self.faults.report("upside down", f"A frame on {self.inputs.topic('image')} was dropped. {why}")
            return "upside down"
        answers: dict[str, list] = {}
        for question, answer in zip(questions, looks, strict=True):
            answers.setdefault(question.task, []).append(answer)
        for answer in answers.pop("depth", []):
            if asking.depth_kind:
                answers["depth_relative"] = [answer]
            metric = (
                self.depth(answer, intrinsics, frame.stamp_ns, asking)
                if "depth" in tasks & asking.questions.keys()
                else None
            )
            if metric is not None:
                answers["depth"] = [metric]
        ignored = _ignored(answers, asking) if "points_obstacles" in topics else None
        floor, obstacle_scale = None, 1.0
        if answers.get("depth") and intrinsics is not None and (of_things or "points_obstacles" in topics):
            floor, obstacle_scale = self._floor(
                frame, answers["depth"][0].depth_m, intrinsics, asking, ignored
            )
        things = []
        if of_things:
            prompts = asking.prompts
            found = detections(
                answers, prompts.instances, prompts.expressions, intrinsics, floor.up if floor else LEVEL_UP
            )
            things = self._tracker(found, frame.stamp_ns, looks.image.shape[:2])
        return Seen(
            header=frame.message.header,
            image=looks.image,
            answers=answers,
            legend=asking.prompts.legend,
            depth_range=picture_range(asking.generator.manifest.depth_range_m, asking.max_range),
            camera=intrinsics,
            obstacles=asking.settings.obstacles,
            ignored=ignored,
            floor=floor,
            obstacle_scale=obstacle_scale,
            things=things,
        )

    def _floor(
        self,
        frame: Frame,
        depth_m: np.ndarray,
        intrinsics: Intrinsics,
        asking: Asking,
        ignored: np.ndarray | None,
    ) -> tuple[Floor | None, float]:
        """The plane of `base_frame` by tf2, else the ground that depth itself shows.

        None where neither is there. And the factor for the depth of obstacles, 1 where tf2 knows no floor or
        no classes are ignored.
        """
        base, above = asking.settings.base_frame, f"{asking.settings.obstacles.min_height:.2f} m"
        if not base:
            self._floor_told = "with the floor, because base_frame is empty"
            return None, 1.0
        try:
            by_tf = self._transforms.floor(base, frame.message.header.frame_id, frame.stamp_ns)
        except NotOptical as error:
            without = str(error)
            self.faults.report(
                "optical",
                f"Of images on {self.inputs.topic('image')}: {without}, and points are published with wrong"
                " axes. Set the frame_id in the camera's driver to the optical frame: z forward, x right, y"
                " down (REP 103).",
            )
        except InputError as error:
            without = str(error)
        else:
            scale, told = 1.0, ""
            if ignored is not None:
                scale, reason = scale_by_floor(depth_m, intrinsics, by_tf, ignored)
                told = f"; depth multiplied by {scale:.3f}, " + (
                    f"because {reason}" if reason else "by the floor that depth shows"
                )
            self._floor_told = f"what is higher than {above} above {base}, by tf2{told}"
            return by_tf, scale
        floor, reason = floor_in_depth(depth_m, intrinsics, ignored)
        if floor is None:
            self._floor_told = f"with the floor: {without}, and in depth {reason}"
        else:
            self._floor_told = f"what is higher than {above} above the ground that depth shows ({without})"
        return floor, 1.0

    def _questions(self, tasks: Collection[str | None], asking: Asking) -> list[Question]:
        questions: list[Question] = []
        for task in sorted(task for task in tasks if task is not None):
            asked = asking.questions.get(task, [])
            if not asked:
                told = f"A topic of {task} is subscribed to, but nothing is asked: {asking.cure(task)}."
                self.faults.report(f"silent {task}", told)
            questions += asked
        return list(dict.fromkeys(questions))  # relative depth and its metres are one question

    def _label(self, asking: Asking) -> None:
        """Says what the classes are where that has changed.

        Only between two frames, and while nobody else does.
        """
        names = list(asking.prompts.legend)
        if self.active and names != self._labelled:
            self.outputs.publish_labels(names)
            self._labelled = names

    def _say_what_is_skipped(self, asking: Asking) -> None:
        skipped = self.schedule.skipped
        if not skipped:
            self.faults.clear("budget")
            return
        self.faults.report(
            "budget",
            f"The machine cannot keep up: {', '.join(skipped)} left out of frames, the last of priority,"
            " because all takes longer"
            f" than the budget of {asking.settings.pacing.budget_s:g} s. Raise budget, lower rates, or"
            " unsubscribe.",
        )


def _ignored(answers: Mapping[str, Sequence[Any]], asking: Asking) -> np.ndarray | None:
    """(H, W) bool, the pixels of classes that points_obstacles leaves out; None where none is asked for."""
    if not asking.settings.ignored_classes or not answers.get("semantic"):
        return None
    classes = np.zeros(256, bool)
    names = asking.settings.ignored_classes
    classes[[i for i, name in enumerate(asking.prompts.legend) if name in names]] = True
    return classes[answers["semantic"][0].labels]
