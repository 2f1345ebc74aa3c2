# SPDX-License-Identifier: Apache-2.0
"""Generators: bundles, and the executors that run them."""

from vision_banana_ros.generators.bundle import Manifest, default_bundle, open_bundle
from vision_banana_ros.generators.generator import Generator, load_generator

__all__ = ["Generator", "Manifest", "default_bundle", "load_generator", "open_bundle"]
