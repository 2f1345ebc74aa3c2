# SPDX-License-Identifier: Apache-2.0
"""Configuration of Sphinx for `make docs`."""

from pathlib import Path

from vision_banana_ros import __version__

PACKAGE = Path(__file__).resolve().parent.parent / "vision_banana_ros"

project = "vision_banana_ros"
author = "the vision_banana_ros contributors"
release = __version__
extensions = ["myst_parser", "sphinx.ext.apidoc", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["build", "photographs"]
myst_heading_anchors = 3
suppress_warnings = ["myst.xref_missing"]  # links to files of the repository outside docs/

# Docstrings are in Google style and mark code by single backticks, as Markdown does.
default_role = "code"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
apidoc_modules = [
    {
        "path": str(PACKAGE),
        "destination": "reference/api",
        "separate_modules": True,
        "max_depth": 2,
        # Their classes derive from torch's, which the documentation is built without.
        "exclude_patterns": [str(PACKAGE / "training"), str(PACKAGE / "generators/own/network.py")],
    },
]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "undoc-members": False}
# Needed only to train, or on a GPU
autodoc_mock_imports = [
    "accelerate",
    "cuda",
    "diffusers",
    "moderngl",
    "peft",
    "tensorrt",
    "torch",
    "transformers",
]
