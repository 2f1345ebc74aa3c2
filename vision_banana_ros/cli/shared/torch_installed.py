# SPDX-License-Identifier: Apache-2.0
"""Training and export need torch and diffusers, which running does not."""

import importlib.util

from vision_banana_ros.errors import InputError


def needs_torch() -> None:
    """Raise InputError that names the packages where they are missing."""
    missing = [
        name
        for name in ("torch", "diffusers", "onnx", "onnxscript", "yaml")
        if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise InputError(
            f"Training and export need {', '.join(missing)}: run `pip install -r requirements/train.txt` "
            "(with a torch build that fits your machine)."
        )
