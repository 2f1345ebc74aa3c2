# SPDX-License-Identifier: Apache-2.0
"""What enters and leaves by ROS topics: subscriptions, publishers, their QoS, and messages to and from arrays."""
