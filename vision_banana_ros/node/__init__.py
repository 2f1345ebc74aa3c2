# SPDX-License-Identifier: Apache-2.0
"""The ROS node. The only package that imports rclpy."""
