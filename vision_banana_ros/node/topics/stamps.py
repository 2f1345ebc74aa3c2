# SPDX-License-Identifier: Apache-2.0
"""Stamps of messages as numbers."""

from builtin_interfaces.msg import Time


def nanoseconds(stamp: Time) -> int:
    """The time of a message's stamp."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec
