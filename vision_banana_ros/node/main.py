# SPDX-License-Identifier: Apache-2.0
"""Runs the node in a process of its own."""

import os
import signal
import sys
import threading
from typing import Any

import rclpy
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn

from vision_banana_ros.errors import InputError
from vision_banana_ros.node import parameters
from vision_banana_ros.node.loaded import Loader
from vision_banana_ros.node.node import VisionBananaNode, load
from vision_banana_ros.node.transport import carry_large_images

LEAVE_S = 1.5
"""A generator that is still painting so long after SIGINT or SIGTERM is left behind."""


def main(args: list[str] | None = None, generator_loader: Loader = load) -> int:
    """Spins the node until SIGINT or SIGTERM; ends within two seconds then. Returns the exit status."""
    carry_large_images()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    node = None
    rclpy.init(args=args)  # its handlers call ours
    try:
        node = VisionBananaNode(generator_loader)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        if node.get_parameter("build_only").value:
            return _build(node, executor)
        if node.get_parameter("autostart").value:
            _start(node)
        executor.spin()
    except (InvalidParameterTypeException, InvalidParameterValueException) as error:
        print(f"vision_banana_node: {error}", file=sys.stderr)
        return 1
    except (ExternalShutdownException, KeyboardInterrupt):
        pass
    except Exception:
        if rclpy.ok():
            raise
        # A signal took ROS away while it was being used.
    finally:
        if node is not None and not node.close():
            os._exit(0)  # taking down the interpreter under a thread that computes may crash
        rclpy.try_shutdown()
    return 0


def _start(node: VisionBananaNode) -> None:
    """Configures and activates. A node that cannot stays, says why in its diagnostics, and can be configured again."""
    if node.trigger_configure() == TransitionCallbackReturn.SUCCESS:
        node.trigger_activate()


def _build(node: VisionBananaNode, executor: SingleThreadedExecutor) -> int:
    """Waits for the engine, while services, parameters and diagnostics answer."""
    values = parameters.current(node)
    try:
        node.engine.want(values["bundle"], values["executor"])
    except InputError as error:
        node.get_logger().error(str(error))
        return 1
    said = ""
    while True:
        building, state = node.engine.building, node.engine.state
        if state != said:
            node.get_logger().info(f"Engine: {state or 'none is wanted on this machine'}")
            said = state
        if not building:
            return 0 if state in ("", "ready") else 1
        executor.spin_once(timeout_sec=1.0)


def _leave(number: int, frame: Any) -> None:
    """Ends what the main thread does, once, and sees to it that the process ends."""
    for handled in (signal.SIGINT, signal.SIGTERM):
        signal.signal(handled, signal.SIG_IGN)
    last = threading.Timer(LEAVE_S, os._exit, (0,))
    last.daemon = True
    last.start()
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
