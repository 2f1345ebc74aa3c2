# SPDX-License-Identifier: Apache-2.0
"""`vision-banana VERB`: finds the verbs and turns a user's mistake into one sentence."""

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence
from types import ModuleType

from vision_banana_ros import __version__, cli
from vision_banana_ros.errors import InputError


def verbs() -> list[ModuleType]:
    """Every module of this package that has a NAME. They import what they need only when they run."""
    names = sorted(m.name for m in pkgutil.iter_modules(cli.__path__) if m.name != "main" and not m.ispkg)
    return [importlib.import_module(f"{cli.__name__}.{name}") for name in names]


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="vision-banana",
        description="One image generator answers depth, normals and masks; this reads its pictures as numbers.",
    )
    top.add_argument("--version", action="version", version=f"vision-banana {__version__}")
    subparsers = top.add_subparsers(title="verbs", metavar="VERB")
    for verb in verbs():
        sub = subparsers.add_parser(verb.NAME, help=verb.HELP, description=verb.__doc__)
        verb.add_arguments(sub)
        sub.set_defaults(run=verb.run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb. Returns 0, the verb's own status, or 2 where the input could not be used (said in one line)."""
    top = parser()
    args = top.parse_args(argv)
    if not hasattr(args, "run"):
        top.print_help()
        return 0
    try:
        return int(args.run(args))
    except InputError as error:
        return _complain(str(error), 2)
    except OSError as error:
        if error.strerror is None or error.filename is None:
            raise
        return _complain(f"{error.strerror}: '{error.filename}'.", 2)
    except KeyboardInterrupt:
        return _complain("interrupted.", 130)


def _complain(sentence: str, status: int) -> int:
    print(f"vision-banana: {' '.join(sentence.split())}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
