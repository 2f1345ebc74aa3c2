# SPDX-License-Identifier: Apache-2.0
"""The ROS node. The only place that imports rclpy."""
