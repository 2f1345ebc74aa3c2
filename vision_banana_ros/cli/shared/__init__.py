# SPDX-License-Identifier: Apache-2.0
"""What several verbs of the command line have in common."""
