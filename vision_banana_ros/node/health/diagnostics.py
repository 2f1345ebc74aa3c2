# SPDX-License-Identifier: Apache-2.0
"""Publishes the state of the node on /diagnostics, once a second."""

import resource
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node

from vision_banana_ros.generators import Generator
from vision_banana_ros.node.pipeline.camera_stream import Stream

PERIOD_S = 1.0
FINALIZED = "finalized"
OVER = "The node was shut down: start its process again."


@dataclass(frozen=True)
class Health:
    """The state of the node as a whole.

    Attributes:
        state: State of the lifecycle.
        failure: Why the last transition failed, or empty.
        engine: State of the TensorRT engine, or empty.
        generator: The loaded generator, or None.
        faults: Sentences.
    """

    state: str
    failure: str
    engine: str
    generator: Generator | None
    faults: list[str]


class Diagnostics:
    """Publishes a status for each camera and one for the generator, in every state."""

    def __init__(self, node: Node, streams: Sequence[Stream], health: Callable[[], Health]):
        self._node = node
        self._streams = streams
        self._health = health
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 1)
        # Not the node's clock: with simulated time paused, the faults must still be seen.
        node.create_timer(PERIOD_S, self.publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def publish(self) -> None:
        """Publishes the status of every camera and of the generator."""
        for stream in self._streams:
            stream.inspect()
        health = self._health()
        message = DiagnosticArray(
            status=[
                *(self._stream(stream, health.state) for stream in self._streams),
                self._generator(health),
            ]
        )
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)

    def _stream(self, stream: Stream, state: str) -> DiagnosticStatus:
        faults = stream.faults.sentences()
        figures = stream.report()
        if state == FINALIZED:
            level, text = DiagnosticStatus.ERROR, OVER
        elif faults:
            level, text = DiagnosticStatus.WARN, " ".join(faults)
        else:
            level, text = DiagnosticStatus.OK, f"{state}: {figures['rate out (Hz)']} frames a second"
        figures |= {f"fault {i}": sentence for i, sentence in enumerate(faults, 1)}
        return self._status(f"stream {stream.name}".rstrip(), level, text, figures)

    def _generator(self, health: Health) -> DiagnosticStatus:
        memory = f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}"
        figures = {"state": health.state, "highest memory (MiB)": memory}
        if health.engine:
            figures["engine"] = health.engine
        if health.state == FINALIZED:
            return self._status("generator", DiagnosticStatus.ERROR, OVER, figures)
        if health.failure:
            return self._status("generator", DiagnosticStatus.ERROR, health.failure, figures)
        generator = health.generator
        text = "not loaded"
        if generator is not None:
            height, width = generator.size
            figures |= {
                "bundle": generator.name,
                "executor": generator.executor,
                "size": f"{width}x{height}",
                "tasks": ", ".join(generator.tasks),
            }
            text = f"{generator.name} on {generator.executor}"
        if health.faults:
            return self._status("generator", DiagnosticStatus.WARN, " ".join(health.faults), figures)
        return self._status("generator", DiagnosticStatus.OK, text, figures)

    def _status(self, name: str, level: bytes, text: str, figures: dict[str, str]) -> DiagnosticStatus:
        values = [KeyValue(key=key, value=value) for key, value in figures.items()]
        full_name = f"{self._node.get_fully_qualified_name().lstrip('/')}: {name}"
        return DiagnosticStatus(
            level=level, name=full_name, message=text, hardware_id="vision_banana", values=values
        )
