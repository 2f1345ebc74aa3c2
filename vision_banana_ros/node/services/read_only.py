# SPDX-License-Identifier: Apache-2.0
"""Requests that only read a node's state and parameters, answered while its thread is busy with a transition.

Nav2's lifecycle manager and `ros2 lifecycle get` ask during configure, and give a node up that is silent.
"""

from lifecycle_msgs.srv import GetAvailableStates, GetAvailableTransitions, GetState
from rcl_interfaces.srv import DescribeParameters, GetParameters, GetParameterTypes, ListParameters
from rclpy.node import Node

_TYPES = (
    *(GetState, GetAvailableStates, GetAvailableTransitions),
    *(DescribeParameters, GetParameters, GetParameterTypes, ListParameters),
)


def answer_read_only_requests(node: Node) -> None:
    """Answers those of rclpy's own requests that wait and change nothing.

    To be called on the thread of the node's executor.
    """
    for service in node.services:
        if service.srv_type not in _TYPES:
            continue
        with service.handle:
            request, header = service.handle.service_take_request(service.srv_type.Request)
        if header is not None:
            service.send_response(service.callback(request, service.srv_type.Response()), header)
