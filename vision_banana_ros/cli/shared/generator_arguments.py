# SPDX-License-Identifier: Apache-2.0
"""The arguments of the command line that say which generator answers, and how."""

import argparse
from pathlib import Path


def add_bundle_argument(parser: argparse.ArgumentParser) -> None:
    """Adds `--bundle`."""
    parser.add_argument(
        "--bundle", type=Path, metavar="DIR", help="bundle folder (default: the installed bundle)"
    )


def add_executor_argument(parser: argparse.ArgumentParser) -> None:
    """Adds `--executor`."""
    parser.add_argument(
        "--executor",
        default="auto",
        metavar="NAME",
        help="inference backend, such as onnxruntime:fp32 (default: %(default)s, the first that works)",
    )


def add_passes_argument(parser: argparse.ArgumentParser) -> None:
    """Adds `--passes`."""
    parser.add_argument(
        "--passes",
        type=int,
        default=1,
        metavar="N",
        help="test-time augmentation: N passes per prompt, including mirrored frames, merged by voting"
        " (default: %(default)s)",
    )
