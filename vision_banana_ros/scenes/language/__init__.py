# SPDX-License-Identifier: Apache-2.0
"""Words for rendered scenes: captions, referring expressions and edit instructions."""
