# SPDX-License-Identifier: Apache-2.0
"""Bags of a camera to read, written without ROS."""

from pathlib import Path

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

STORE = get_typestore(Stores.ROS2_JAZZY)


def picture(height: int = 96, width: int = 128) -> np.ndarray:
    """Dark box on the left half, bright floor on the right."""
    image = np.full((height, width, 3), 220, np.uint8)
    image[:, : width // 2] = (40, 60, 50)
    return image


def header(sec: int, nanosec: int):
    time = STORE.types["builtin_interfaces/msg/Time"](sec, nanosec)
    return STORE.types["std_msgs/msg/Header"](time, "camera")


def raw_image(k: int, encoding: str, padding: int = 0):
    image = picture()
    if encoding == "bgr8":
        image = image[..., ::-1]
    rows = np.pad(image.reshape(96, -1), ((0, 0), (0, padding)))
    fields = (header(7, k), 96, 128, encoding, 0, 384 + padding, rows.reshape(-1).copy())
    return STORE.types["sensor_msgs/msg/Image"](*fields)


def compressed_image(k: int):
    data = cv2.imencode(".jpg", picture()[..., ::-1])[1].reshape(-1)
    return STORE.types["sensor_msgs/msg/CompressedImage"](header(7, k), "jpeg", data)


def camera_info(fx: float, d: float = 0.0):
    k = np.array([fx, 0, 63.5, 0, fx, 47.5, 0, 0, 1], np.float64)
    p = np.array([fx / 2, 0, 63.5, 0, 0, fx / 2, 47.5, 0, 0, 0, 1, 0], np.float64)
    roi = STORE.types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    eye = np.eye(3).reshape(-1)
    info = STORE.types["sensor_msgs/msg/CameraInfo"]
    return info(header(7, 0), 96, 128, "plumb_bob", np.array([d, 0.0, 0, 0, 0]), k, eye, p, 0, 0, roi)


def write_bag(path: Path, plugin: StoragePlugin, topics: dict[str, list]) -> Path:
    with Writer(path, version=9, storage_plugin=plugin) as bag:
        for topic, messages in topics.items():
            connection = bag.add_connection(topic, messages[0].__msgtype__, typestore=STORE)
            for k, message in enumerate(messages):
                bag.write(connection, 1000 + k, STORE.serialize_cdr(message, message.__msgtype__))
    return path
