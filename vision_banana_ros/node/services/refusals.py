# SPDX-License-Identifier: Apache-2.0
"""Refusals in place of errors of rclpy's own request handlers.

rclpy lets an error of a handler end the node: one request to set a parameter of a type that is not in
`rcl_interfaces/msg/ParameterType` is enough.
"""

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.node import Node

from vision_banana_ros.errors import shortened


def refuse_what_raises(node: Node) -> None:
    """Makes rclpy's own services reply where their handler raises: with a refusal, or with nothing found.

    Args:
        node: The node. Its own services are coroutines, and reply for themselves (`server.Services`).
    """
    for service in node.services:
        if not iscoroutinefunction(service.callback):
            service.callback = _refusing(service.callback, node)


def _refusing(handler: Callable[[Any, Any], Any], node: Node) -> Callable[[Any, Any], Any]:
    def reply(request: Any, response: Any) -> Any:
        try:
            return handler(request, response)
        except Exception as error:
            told = shortened(f"The request cannot be understood ({type(error).__name__}: {error}).")
            node.get_logger().error(told)
            refused = type(response)()
            if isinstance(refused, SetParameters.Response):
                refused.results = [SetParametersResult(reason=told) for _ in request.parameters]
            elif isinstance(refused, SetParametersAtomically.Response):
                refused.result = SetParametersResult(reason=told)
            return refused

    return reply
