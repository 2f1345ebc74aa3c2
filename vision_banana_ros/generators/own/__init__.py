# SPDX-License-Identifier: Apache-2.0
"""The package's own generator: its network, tokenizer, weights, and the decoders that run on the device."""
