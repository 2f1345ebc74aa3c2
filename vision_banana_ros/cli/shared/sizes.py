# SPDX-License-Identifier: Apache-2.0
"""Picture sizes as options."""

import argparse

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception.geometry import parse_size


def size(text: str) -> tuple[int, int]:
    """'144x192' -> (144, 192), for argparse."""
    try:
        return parse_size(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
