# SPDX-License-Identifier: Apache-2.0
"""Training of the package's own generator: recipe, loop, losses, sampler, checkpoints."""
