# SPDX-License-Identifier: Apache-2.0
"""Of all tests: none fails by the clock of Hypothesis, however slow the machine is."""

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Training first: its files take minutes each, and no process shall end alone with one of them."""
    items.sort(key=lambda item: "training" not in item.path.parts)
