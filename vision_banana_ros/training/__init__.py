# SPDX-License-Identifier: Apache-2.0
"""How a generator is made: questions about rendered scenes, the training loop, the export of a bundle. Needs torch."""
