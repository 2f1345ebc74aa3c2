# SPDX-License-Identifier: Apache-2.0
"""What the node reports about itself: diagnostics, faults, and the state of its engine."""
