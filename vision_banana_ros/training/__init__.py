# SPDX-License-Identifier: Apache-2.0
"""Training of generators: data, training loop, export as a bundle, fine-tuning of editors. Needs torch."""
