# SPDX-License-Identifier: Apache-2.0
"""Requests to rclpy's own services that it stumbles over: each gets a reply, and the node goes on."""

import pytest
from node_support import PATIENT, new_client, running_node
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import DescribeParameters, GetParameters, SetParameters, SetParametersAtomically


@pytest.fixture(scope="module")
def client():
    with running_node() as (_, context), new_client(context) as client:
        yield client


def asked(client, kind, name, request):
    return client.call(kind, f"/vision_banana/{name}", request)


@pytest.mark.parametrize("name", ["legend", "max_age", "no such parameter", ""])
def test_a_parameter_of_a_type_that_is_none_is_refused_and_the_node_goes_on(client, name):
    odd = [Parameter(name=name, value=ParameterValue(type=77))] * 2
    reply = asked(client, SetParameters, "set_parameters", SetParameters.Request(parameters=odd))
    assert len(reply.results) == 2
    assert all(not result.successful and result.reason for result in reply.results)
    request = SetParametersAtomically.Request(parameters=odd)
    reply = asked(client, SetParametersAtomically, "set_parameters_atomically", request)
    assert not reply.result.successful and reply.result.reason
    reply = asked(client, GetParameters, "get_parameters", GetParameters.Request(names=["max_age"]))
    assert reply.values[0].double_value == PATIENT["max_age"]


@pytest.mark.parametrize("names", [[""], ["\x1b[2J", "max_age"], ["x" * 100_000], ["a"] * 10_000])
def test_names_that_are_none_get_a_reply(client, names):
    asked(client, GetParameters, "get_parameters", GetParameters.Request(names=names))
    asked(client, DescribeParameters, "describe_parameters", DescribeParameters.Request(names=names))
    reply = asked(client, GetParameters, "get_parameters", GetParameters.Request(names=["max_age"]))
    assert reply.values[0].double_value == PATIENT["max_age"]
