# SPDX-License-Identifier: Apache-2.0
"""Self-monitoring: diagnostics, faults, and the state of the TensorRT engine."""
