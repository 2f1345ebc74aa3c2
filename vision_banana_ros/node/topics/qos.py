# SPDX-License-Identifier: Apache-2.0
"""QoS profiles of all topics and services, and the reports of incompatible QoS."""

from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import CallbackGroup, ReentrantCallbackGroup
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSPolicyKind,
    QoSProfile,
    ReliabilityPolicy,
    qos_policy_name_from_kind,
)
from rclpy.qos_overriding_options import QoSOverridingOptions


def asked(reliability: ReliabilityPolicy) -> QoSProfile:
    """For subscriptions, and for the topics of a camera: only the newest message is kept."""
    return _profile(1, reliability)


def requested() -> QoSProfile:
    """For services: a burst of requests is queued and replied to, possibly with refusals."""
    return _profile(1000)


def offered() -> QoSProfile:
    """For outputs.

    Some messages are kept, so that lost fragments of a large one can be sent again after the next one.
    """
    return _profile(5)


def latched() -> QoSProfile:
    """For messages that late subscribers must receive (transient local)."""
    return _profile(1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def _profile(
    depth: int,
    reliability: ReliabilityPolicy = ReliabilityPolicy.RELIABLE,
    durability: DurabilityPolicy = DurabilityPolicy.VOLATILE,
) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=reliability, durability=durability
    )


def overridable() -> QoSOverridingOptions:
    """Declares `qos_overrides./topic.publisher|subscription.POLICY`, which change QoS policies at start."""
    return QoSOverridingOptions(
        (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.RELIABILITY, QoSPolicyKind.DURABILITY)
    )


def own_group() -> CallbackGroup:
    """A callback group for subscriptions and timers that are destroyed before their node.

    A group keeps references to everything it ever contained, so it must be destroyed with them.
    """
    return ReentrantCallbackGroup()


def mismatch(topic: str, publishing: bool, tell: Callable[[str], object]) -> Callable[[Any], None]:
    """A callback for incompatible-QoS events of a topic, which reports a sentence."""

    def callback(event: Any) -> None:
        policy = qos_policy_name_from_kind(event.last_policy_kind).removesuffix("_QOS_POLICY").lower()
        if publishing:
            what = (
                f"A subscriber to {topic} asks for a {policy} that this node does not offer: it will"
                " receive nothing."
            )
        else:
            what = (
                f"A publisher on {topic} does not offer the {policy} that this node asks for: nothing"
                " will be received from it."
            )
        end = "publisher" if publishing else "subscription"
        tell(
            f"{what} Change it there, or start this node with the parameter"
            f" qos_overrides.{topic}.{end}.{policy} to match;"
            f" 'ros2 topic info -v {topic}' shows both ends."
        )

    return callback
