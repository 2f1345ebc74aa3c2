# SPDX-License-Identifier: Apache-2.0
"""ROS topics: subscriptions, publishers, their QoS, and the conversion between messages and arrays."""
