# SPDX-License-Identifier: Apache-2.0
"""The bond with Nav2's lifecycle manager, where ROS has bondpy.

By its heartbeats the manager knows that an active node lives.
"""

from typing import Any

from rclpy.lifecycle import LifecycleNode

TOPIC = "bond"
HEARTBEAT_PERIOD_S, HEARTBEAT_TIMEOUT_S = 0.1, 4.0
"""As Nav2's own nodes have them."""


class ManagerBond:
    """Formed while the node is active.

    Without bondpy, and without a manager that answers, it does nothing.
    """

    def __init__(self, node: LifecycleNode):
        self._node = node
        self._bond: Any = None

    def form(self) -> None:
        """Start the heartbeats."""
        try:
            from bondpy import bondpy
        except ImportError:
            return
        self._bond = bondpy.Bond(self._node, TOPIC, self._node.get_name())
        self._bond.set_heartbeat_period(HEARTBEAT_PERIOD_S)
        self._bond.set_heartbeat_timeout(HEARTBEAT_TIMEOUT_S)
        self._bond.start()

    def part(self) -> None:
        """Tell the manager that the node is no longer active. Safe to call without a bond."""
        bond, self._bond = self._bond, None
        if bond is not None:
            bond.break_bond()
            bond.shutdown()
            self._node.destroy_subscription(bond.sub)  # bondpy leaves them in the node's lists
            self._node.destroy_publisher(bond.pub)
