# SPDX-License-Identifier: Apache-2.0
"""The implementation of the services without ROS. `segment` and `generate` run in the worker thread."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sensor_msgs.msg import Image, RegionOfInterest

from vision_banana_interfaces.srv import Generate, Segment  # type: ignore[attr-defined]
from vision_banana_ros.errors import InputError
from vision_banana_ros.node.pipeline.camera_stream import Stream
from vision_banana_ros.node.pipeline.inference_config import Asking
from vision_banana_ros.node.prompts import Prompts, read_expressions
from vision_banana_ros.node.topics.image_input import read_image
from vision_banana_ros.node.topics.messages import image_message
from vision_banana_ros.node.topics.stamps import nanoseconds
from vision_banana_ros.perception import Intrinsics, Question
from vision_banana_ros.perception.camera import Calibration, Camera, camera_for
from vision_banana_ros.perception.input_check import nothing_to_see
from vision_banana_ros.perception.rectified_answers import answer_rectified
from vision_banana_ros.tasks import TASKS
from vision_banana_ros.tasks.colors import BLACK, far_apart, write_color
from vision_banana_ros.tasks.legend_text import clean_text, read_legend

MAX_INSTRUCTION = 4000
"""Maximum length of the prompt of ~/generate in characters."""

ENOUGH_POINTS = 10_000
"""Maximum number of points for the median of a centroid."""

NOWHERE = (float("nan"),) * 3


def segment(
    message: Image,
    expression: str,
    asking: Asking,
    camera_of: Callable[[tuple[int, int], int, Asking], Camera | None],
    metres: Callable[[Any, Intrinsics, int, Asking], np.ndarray],
    response: Segment.Response,
) -> str:
    """Fills the reply of ~/segment and returns its sentence.

    InputError where the frame or the answer cannot be read.

    camera_of: the camera of an image of (height, width) and of a stamp, see Stream.camera. metres: depth in
    metres of the generator's answer, see DepthChain.metres.
    """
    image = read_image(message)
    if why := nothing_to_see(image):
        raise InputError(f"There is nothing to see in the image. {why}")
    camera, without = None, "depth in metres or CameraInfo is missing"
    try:
        camera = camera_of(image.shape[:2], nanoseconds(message.header.stamp), asking)
    except InputError as error:
        without = str(error).rstrip(".")
    questions = [look_for(expression)]
    if camera is not None and "depth" in asking.questions:
        questions.append(Question.depth())
    looks, intrinsics = answer_rectified(camera, asking.perceiver, image, questions)
    if looks.readable[0] < asking.settings.min_readable:
        raise InputError(
            f"The generator's answer cannot be read ({looks.readable[0]:.1%} of it). Try other words."
        )
    mask = looks[0].mask
    response.mask, pixels = image_message(message.header, "mono8", *mask.shape)
    pixels[:] = mask * np.uint8(255)
    response.centroid.header = message.header
    depth_m = np.full(mask.shape, np.nan, np.float32)
    if intrinsics is not None and len(questions) > 1:
        try:
            depth_m = metres(looks[1], intrinsics, nanoseconds(message.header.stamp), asking)
        except InputError as error:
            without = str(error).rstrip(".")
    p = response.centroid.point
    p.x, p.y, p.z = _centroid(mask, depth_m, intrinsics)
    if not mask.any():
        return f"Nothing in the frame fits {expression!r}."
    response.roi = _box(mask)
    response.confidence = float(looks[0].confidence[mask].mean())
    where = "" if np.isfinite(p.z) else f", without a place: {without}"
    return f"{expression!r} is found on {int(mask.sum())} pixels{where}."


def whose_camera(
    request: Segment.Request, stream: Stream
) -> Callable[[tuple[int, int], int, Asking], Camera | None]:
    """Returns the function that determines the camera of the image of a request.

    The request's own CameraInfo if it has one; otherwise that of the stream if the image is from the stream
    or has its frame_id, which must not be empty; otherwise none. The intrinsics of another camera are never
    used.
    """
    own, image = request.camera_info, request.image
    if own.width or own.height:
        given = Calibration.of(own)
        return lambda size, stamp_ns, asking: camera_for(
            given, size, asking.settings.image_is_rectified, asking.settings.rectify
        )
    live, sent = stream.inputs.infos.newest, image.header.frame_id
    if not (image.width or image.height) or (live is not None and sent and sent == live.header.frame_id):
        return stream.camera
    return lambda size, stamp_ns, asking: None


def look_for(expression: str) -> Question:
    """The question of ~/segment."""
    return Question.referring(expression, far_apart(1, avoid=[BLACK])[0])


def _box(mask: np.ndarray) -> RegionOfInterest:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    return RegionOfInterest(
        x_offset=left, y_offset=top, width=int(columns[-1]) - left + 1, height=int(rows[-1]) - top + 1
    )


def _centroid(mask: np.ndarray, depth_m: np.ndarray, k: Intrinsics | None) -> tuple[float, ...]:
    """Median of x, y and z over the masked points, in metres in the optical frame (robust at mask edges)."""
    rows, columns = np.nonzero(mask & np.isfinite(depth_m))
    if k is None or rows.size == 0:
        return NOWHERE
    step = 1 + rows.size // ENOUGH_POINTS
    rows, columns = rows[::step], columns[::step]
    z = depth_m[rows, columns]
    x, y = (columns - k.cx) / k.fx * z, (rows - k.cy) / k.fy * z
    return tuple(float(np.median(axis)) for axis in (x, y, z))


def generate(message: Image, instruction: str, asking: Asking, response: Generate.Response) -> str:
    """Fills the response of ~/generate with the generated image, cropped to the area of the input image."""
    image = read_image(message)
    box = asking.perceiver.letterbox(*image.shape[:2])
    painted = box.crop(asking.generator.paint(box.pad(box.shrink(image)), [instruction])[0])
    response.image, pixels = image_message(message.header, "rgb8", *painted.shape[:2])
    pixels[:] = (painted.clip(0, 1) * 255 + 0.5).astype(np.uint8)
    return f"Painted by {asking.generator.name}."


@dataclass(frozen=True)
class PromptChange:
    """A parameter with its new value, the resulting questions, and the content of the response."""

    parameter: str
    value: str | list[str]
    questions: list[Question]
    ids: list[int]
    colors: list[str]
    message: str


def prompts(task: str, texts: Sequence[str], asking: Asking) -> PromptChange:
    """The parameter change of a request to ~/set_prompts.

    Raises:
        InputError: If the task has no prompts, or a prompt is invalid.
    """
    if task not in TASKS:
        raise InputError(
            f"There is no task {task!r}; give prompts to"
            f" {', '.join(t.name for t in TASKS.values() if t.takes)}."
        )
    takes = TASKS[task].takes
    if takes and task not in asking.generator.tasks:
        raise InputError(f"The bundle {asking.generator.name} does not answer {task}; choose another bundle.")
    match takes:
        case "legend":
            own = asking.generator.manifest.legend
            legend = read_legend(texts, {**own, **asking.prompts.legend}) if texts else own
            colors = [write_color(color) for color in legend.values()]
            return PromptChange(
                "legend",
                [f"{name}={color}" for name, color in zip(legend, colors, strict=True)] if texts else [""],
                Prompts(legend).questions(task),
                list(range(len(legend))),
                colors,
                f"segmentation/mask has {len(legend)} classes from the next frame on.",
            )
        case "expressions":
            wanted = Prompts({}, read_expressions(texts))
            return PromptChange(
                "expressions",
                list(wanted.expressions) or [""],
                wanted.questions(task),
                list(range(1, len(wanted.expressions) + 1)),
                [write_color(color) for color in wanted.expression_colors()],
                f"referring/mask looks for {len(wanted.expressions)} expressions from the next frame on.",
            )
        case "class":
            if len(texts) != 1:
                raise InputError(
                    f"{task} takes one class, not {len(texts)}; call it once with the class that matters."
                )
            name = clean_text(texts[0], "The class")
            questions = Prompts({}, instances=name).questions(task)
            return PromptChange(
                "instances_class",
                name,
                questions,
                [],
                [],
                f"instances/mask segments each {name} from the next frame on.",
            )
    raise InputError(f"{task} takes no prompts; it is answered whenever somebody subscribes.")
