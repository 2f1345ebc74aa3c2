# SPDX-License-Identifier: Apache-2.0
"""The most recent frames of a camera, which service requests can refer to by their stamps."""

from collections import deque

from vision_banana_ros.errors import InputError
from vision_banana_ros.node.topics.inputs import Frame

KEPT = 8
"""Of the newest frames, and of the last answered ones."""


class Frames:
    """Added to by ROS's thread and the worker's, read by ROS's."""

    def __init__(self) -> None:
        self.received: deque[Frame] = deque(maxlen=KEPT)
        self._answered: deque[Frame] = deque(maxlen=KEPT)
        self._copied: deque[Frame] = deque(maxlen=KEPT)

    def add(self, frame: Frame) -> bool:
        """A frame that has just come. Returns whether its stamp lies before that of the frame before."""
        jumped_back = bool(self.received) and frame.stamp_ns < self.received[-1].stamp_ns
        self.received.append(frame)
        return jumped_back

    def answered(self, frame: Frame) -> None:
        """This one was answered, so it is asked about more likely than others of its age."""
        self._answered.append(frame)

    def came_otherwise(self, frame: Frame) -> bool:
        """Whether this is the copy of a frame that came by another subscription.

        The stamp alone does not tell: some cameras repeat theirs. Nor do the pixels, if nothing moves: a
        frame has one copy, and what comes after that is another frame.
        """
        for known in self.received:
            if known.way != frame.way and known not in self._copied and _same(known, frame):
                self._copied.append(known)
                return True
        return False

    @property
    def newest(self) -> Frame | None:
        """The newest frame, or None."""
        return self.received[-1] if self.received else None

    def find(self, stamp_ns: int) -> Frame | None:
        """The newest frame (0), or the one with this stamp; None before the first.

        InputError where it is not kept.
        """
        if stamp_ns == 0 or not self.received:
            return self.newest
        for frame in (*reversed(self.received), *reversed(self._answered)):
            if frame.stamp_ns == stamp_ns:
                return frame
        raise InputError(
            f"No frame with the stamp {stamp_ns / 1e9:.9f} is kept, only the newest {KEPT} and the last"
            f" {KEPT} that were"
            " answered. Ask sooner, or leave the stamp zero for the newest."
        )

    def clear(self) -> None:
        """Removes all frames."""
        self.received.clear()
        self._answered.clear()
        self._copied.clear()


def _same(one: Frame, other: Frame) -> bool:
    if one.stamp_ns != other.stamp_ns:
        return False
    return type(one.message) is not type(other.message) or one.message == other.message
