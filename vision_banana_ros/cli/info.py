# SPDX-License-Identifier: Apache-2.0
"""Shows the manifest of a bundle, verifies its files, and prints its metrics."""

import argparse
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vision_banana_ros.generators import default_bundle, open_bundle
from vision_banana_ros.generators.bundle import reading_metrics
from vision_banana_ros.tasks.colors import write_color

MAIN = (
    *(("depth", "delta1"), ("depth", "absrel"), ("normals", "mean_deg"), ("semantic", "miou")),
    *(("referring", "ciou"), ("instances", "pmf1")),
)
"""The figures of a task that one line has room for."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the verb to its parser."""
    parser.add_argument(
        "bundle", type=Path, nargs="?", metavar="BUNDLE", help="bundle folder (default: the installed bundle)"
    )
    parser.add_argument(
        "--all", action="store_true", help="also how it was made, its files, and every figure"
    )


def run(args: argparse.Namespace) -> int:
    """Runs the verb and returns its exit status."""
    bundle = open_bundle(args.bundle or default_bundle())
    manifest = bundle.manifest
    height, width = manifest.size
    near, far = manifest.depth_range_m
    lens = (
        f", painted for a focal length of {manifest.depth_focal_px:g} px" if manifest.depth_focal_px else ""
    )
    rows = {
        "name": manifest.name,
        "": manifest.description,
        "folder": bundle.path,
        "licence": manifest.licence,
        "tasks": ", ".join(manifest.tasks),
        "codec": manifest.codec,
        "size": f"{width}x{height}, {manifest.steps} {'step' if manifest.steps == 1 else 'steps'}",
        "depth": f"{near:g} to {far:g} m{lens}",
        "legend": ", ".join(f"{name} {write_color(color)}" for name, color in manifest.legend.items()),
    }
    for name, value in rows.items():
        print(textwrap.fill(f"{name:10}{value}", 110, subsequent_indent=" " * 10))
    if not args.all:
        with reading_metrics(bundle.path):
            _print_summary(bundle.metrics)
        print(f"{len(manifest.files)} files verified (SHA-256). --all: how it was made, files, every figure.")
        return 0
    print("\nhow it was made:")
    _print_tree(manifest.made, 2)
    print("\nfiles (SHA-256 verified):")
    for name in manifest.files:
        print(f"  {name:24}{(bundle.path / name).stat().st_size:>12,} bytes")
    print()
    if not bundle.metrics:
        print("No metrics were measured for this bundle.")
    for split, measured in bundle.metrics.items():
        print(f"measured on {split}:")
        _print_tree(measured, 2)
    return 0


def _print_summary(metrics: Mapping[str, Any]) -> None:
    """Prints the main figure of each task, one line per split."""
    if not metrics:
        print("No metrics were measured for this bundle.")
    for split, measured in metrics.items():
        known = [(task, name) for task, name in MAIN if name in (measured.get(task) or {})]
        found = [f"{task} {name} {_short(measured[task][name])}" for task, name in known]
        if found:
            print(textwrap.fill(f"{split:20}{', '.join(found)}", 110, subsequent_indent=" " * 20))


def _print_tree(values: Any, indent: int) -> None:
    """Prints nested mappings of numbers as indented lines."""
    if not isinstance(values, Mapping):
        print(f"{'':{indent}}{values}")
        return
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat = all(not isinstance(v, Mapping | list) for v in value.values())
            print(
                f"{'':{indent}}{name:15} "
                + ("  ".join(f"{k} {_short(v)}" for k, v in value.items()) if flat else "")
            )
            if not flat:
                _print_tree(value, indent + 2)
        else:
            print(f"{'':{indent}}{name:15} {_short(value)}")


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
