# SPDX-License-Identifier: Apache-2.0
"""CameraInfo: those that came, by stamp, and the message that describes a camera."""

import threading
import time
from collections import OrderedDict

from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from vision_banana_ros.node.topics.stamps import nanoseconds
from vision_banana_ros.perception.camera import Calibration

KEPT = 64
"""Of the newest: more than the frames that may wait."""
PATIENCE_S = 0.2
"""A frame waits so long for the CameraInfo of its stamp, where those before it had theirs."""
IMPATIENT_AFTER = 3
"""Frames in a row that waited in vain: then the camera is taken for one that sends no CameraInfo a frame
any more."""


class CameraInfos:
    """Of one camera. Added to by ROS's thread, asked by every thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._by_stamp: OrderedDict[int, CameraInfo] = OrderedDict()
        self._newest: CameraInfo | None = None
        self._paired = False
        self._missed = 0

    @property
    def newest(self) -> CameraInfo | None:
        """The one that arrived last."""
        return self._newest

    def add(self, info: CameraInfo) -> None:
        """Keeps a message that has arrived."""
        with self._changed:
            stamp_ns = nanoseconds(info.header.stamp)
            self._by_stamp.pop(stamp_ns, None)
            self._by_stamp[stamp_ns] = info
            if len(self._by_stamp) > KEPT:
                self._by_stamp.popitem(last=False)
            self._newest = info
            self._changed.notify_all()

    def clear(self) -> None:
        """Forgets all messages."""
        with self._changed:
            self._by_stamp.clear()
            self._newest, self._paired, self._missed = None, False, 0

    def of(self, stamp_ns: int) -> CameraInfo | None:
        """That of a frame's own stamp, else the newest: another zoom or resolution must not measure a frame.

        Where frames had theirs so far, it is waited for, up to `PATIENCE_S`: nothing orders two topics.
        """
        with self._changed:
            if stamp_ns not in self._by_stamp and self._paired:
                end = time.monotonic() + PATIENCE_S
                while stamp_ns not in self._by_stamp and (left := end - time.monotonic()) > 0:
                    self._changed.wait(left)
            found = self._by_stamp.get(stamp_ns)
            self._missed = 0 if found is not None else self._missed + 1
            self._paired = found is not None or (self._paired and self._missed < IMPATIENT_AFTER)
            return found if found is not None else self._newest


def same_camera(image: Header, info: Header) -> bool:
    """Whether an image and a CameraInfo may be of one camera: an empty frame_id tells nothing."""
    return "" in (image.frame_id, info.frame_id) or image.frame_id == info.frame_id


def message_of(calibration: Calibration) -> CameraInfo:
    """The message of a camera; its header is left empty."""
    c = calibration
    info = CameraInfo(
        height=c.height,
        width=c.width,
        distortion_model=c.model,
        d=list(c.d),
        k=list(c.k),
        r=list(c.r),
        p=list(c.p),
        binning_x=c.binning[0],
        binning_y=c.binning[1],
    )
    info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height = c.region
    return info
