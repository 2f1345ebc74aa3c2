# SPDX-License-Identifier: Apache-2.0
"""Of all tests: none fails by the clock of Hypothesis, however slow the machine is."""

from hypothesis import HealthCheck, settings

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
