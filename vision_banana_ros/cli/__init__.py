# SPDX-License-Identifier: Apache-2.0
"""The command `vision-banana`: one verb a file. What several verbs share is in `shared`."""
