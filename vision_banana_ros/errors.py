# SPDX-License-Identifier: Apache-2.0
"""The one exception that a user is meant to read."""


class InputError(ValueError):
    """Input that cannot be used. The message is a sentence that says what is wrong and what to do."""
