# SPDX-License-Identifier: Apache-2.0
"""The command `vision-banana`: one verb a file. Modules whose name starts with an underscore are shared by verbs."""
