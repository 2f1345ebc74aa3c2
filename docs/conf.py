# SPDX-License-Identifier: Apache-2.0
"""Configuration of Sphinx for `make docs`."""

from vision_banana_ros import __version__

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
        "path": "../vision_banana_ros",
        "destination": "reference/api",
        "separate_modules": True,
        "max_depth": 2,
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
