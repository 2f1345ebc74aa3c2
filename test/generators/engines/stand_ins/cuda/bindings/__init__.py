# SPDX-License-Identifier: Apache-2.0
"""Stand-in for NVIDIA's cuda-bindings, for machines without a GPU; see bindings/runtime.py."""
