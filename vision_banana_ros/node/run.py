# SPDX-License-Identifier: Apache-2.0
"""Runs the node, or only builds its engine, until ROS is shut down."""

import sys
from contextlib import ExitStack

import rclpy
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn

from vision_banana_ros.errors import InputError, shortened
from vision_banana_ros.node import parameters
from vision_banana_ros.node.node import VisionBananaNode, load
from vision_banana_ros.node.parameter_files import files_for_others
from vision_banana_ros.node.pipeline.generator_slot import Loader
from vision_banana_ros.node.pipeline.warmup import compile_decoders
from vision_banana_ros.node.ros_start import saying_refusals, start_ros
from vision_banana_ros.node.topics.fastdds import carry_large_images
from vision_banana_ros.node.topics.shared_memory import remove_dead_segments

LAST_FRAME_S = 0.2
"""How long the worker is waited for at the end. Longer is of no use: what it does is not published any
more."""


def run(undo: ExitStack, args: list[str] | None, generator_loader: Loader | None) -> int:
    """Spins the node until ROS is shut down. Returns the exit status.

    undo: gets what is to be called before the process ends.
    """
    remove_dead_segments()
    no_room = carry_large_images()
    try:
        _require_ros_arguments(sys.argv[1:] if args is None else args)
        start_ros(args)  # its signal handlers shut ROS down and call those of before
    except InputError as error:
        return _refused(error)
    undo.callback(rclpy.try_shutdown)
    try:
        with saying_refusals():
            node = VisionBananaNode(generator_loader or load)
        undo.callback(node.destroy_node)
        undo.callback(node.close, LAST_FRAME_S)
        undo.callback(node.watchdog.stop)
        node.watchdog.start()
        others = files_for_others(sys.argv if args is None else args, node.get_fully_qualified_name())
        for sentence in filter(None, [no_room, *others]):
            node.get_logger().warning(shortened(sentence))
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        if node.get_parameter("build_only").value:
            return build(node, executor)
        if node.get_parameter("autostart").value:
            _start(node)
        _spin(node, executor)
    except (InvalidParameterTypeException, InvalidParameterValueException, InputError) as error:
        return _refused(error)
    except ExternalShutdownException:
        pass
    except Exception:
        if rclpy.ok():
            raise
        # A signal took ROS away while it was being used.
    return 0


def _require_ros_arguments(given: list[str]) -> None:
    before = given[: given.index("--ros-args")] if "--ros-args" in given else given
    if before:
        raise InputError(
            "The node takes arguments after --ros-args, as in --ros-args -p autostart:=true, and not"
            f" {before[0]!r}. Verbs such as camera are those of vision-banana; docs/reference/parameters.md"
            " lists the parameters."
        )


def _refused(error: Exception) -> int:
    print(f"vision_banana_node: {error}", file=sys.stderr)
    return 1


def _spin(node: VisionBananaNode, executor: SingleThreadedExecutor) -> None:
    """Spins until ROS is shut down. What a callback raises costs what it was for, and not the node."""
    while True:
        try:
            return executor.spin()
        except ExternalShutdownException:
            raise
        except Exception as error:
            if not rclpy.ok():
                raise
            said = shortened(f"A message or request was not handled ({type(error).__name__}: {error}).")
            node.get_logger().error(said)


def _start(node: VisionBananaNode) -> None:
    """Configures and activates.

    A node that cannot stays, says why in its diagnostics, and can be configured again.
    """
    if node.trigger_configure() == TransitionCallbackReturn.SUCCESS:
        node.trigger_activate()


def build(node: VisionBananaNode, executor: SingleThreadedExecutor) -> int:
    """Compiles the decoders and waits for the engine, while services, parameters and diagnostics answer."""
    values = parameters.current(node)
    try:
        node.engine.want(values["bundle"], values["executor"])
    except InputError as error:
        node.get_logger().error(str(error))
        return 1
    compile_decoders(node.get_logger().info)
    said = ""
    while True:
        building, state = node.engine.building, node.engine.state
        if state != said:
            node.get_logger().info(f"Engine: {state or 'none is wanted on this machine'}")
            said = state
        if not building:
            return 0 if state in ("", "ready") else 1
        executor.spin_once(timeout_sec=1.0)
