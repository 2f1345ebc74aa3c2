# SPDX-License-Identifier: Apache-2.0
"""`vision-banana VERB`: loads the verb that is called and turns a user's mistake into one sentence."""

import argparse
import importlib
import keyword
import sys
from collections.abc import Sequence
from types import ModuleType

from vision_banana_ros import __version__, cli
from vision_banana_ros.errors import InputError

VERBS = {
    "bench": "how fast a bundle answers here, by executor, size, questions and cameras",
    "camera": "publish a simulated camera, pictures, a bag or a webcam",
    "card": "write a bundle's model card anew",
    "decode": "read an answer that another generator painted",
    "demo": "a simulated camera, the node and a client, for 20 seconds",
    "engine": "build, list, verify and prune TensorRT engines",
    "evaluate": "measure a bundle against exact truth and on real frames",
    "export": "make a bundle of trained weights (needs torch)",
    "import": "make a bundle of an open image editor (needs torch, diffusers and transformers)",
    "info": "what a bundle is, whether its files are whole, and its measured errors",
    "prompts": "encode instructions for an imported editor, or list those that are encoded",
    "run": "answer pictures or bags, and write depth, normals, masks and clouds as files",
    "scenes": "get the furniture for furnished scenes; look at a scene and its truth",
    "train": "train a generator on rendered scenes (needs torch)",
    "tune": "teach an open image editor to answer (needs torch, diffusers, transformers and peft)",
}
"""Each with its line in the list of verbs. What a verb does is in the module of its name, imported when it is called."""


def module_of(verb: str) -> ModuleType:
    """The module has a docstring, `add_arguments(parser)` and `run(arguments)`, which returns the exit status."""
    return importlib.import_module(f"{cli.__name__}.{verb}_" if keyword.iskeyword(verb) else f"{cli.__name__}.{verb}")


def parser(called: str | None) -> argparse.ArgumentParser:
    """Knows all verbs, and the arguments of the one that is called."""
    top = argparse.ArgumentParser(
        prog="vision-banana",
        description="One image generator answers depth, normals and masks; this reads its pictures as numbers.",
    )
    top.add_argument("--version", action="version", version=f"vision-banana {__version__}")
    subparsers = top.add_subparsers(title="verbs", metavar="VERB")
    for verb, line in VERBS.items():
        sub = subparsers.add_parser(verb, help=line)
        if verb == called:
            module = module_of(verb)
            sub.description = module.__doc__
            module.add_arguments(sub)
            sub.set_defaults(run=module.run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb. Returns 0, the verb's own status, or 2 where the input could not be used (said in one line)."""
    given = sys.argv[1:] if argv is None else argv
    top = parser(next((word for word in given if not word.startswith("-")), None))
    args = top.parse_args(given)
    if not hasattr(args, "run"):
        top.print_help()
        return 0
    try:
        return int(args.run(args))
    except InputError as error:
        return _complain(str(error), 2)
    except OSError as error:
        if error.strerror is None:
            raise
        return _complain(f"{error.strerror}" + (f": '{error.filename}'." if error.filename is not None else "."), 2)
    except MemoryError:
        return _complain("The memory ran out: give smaller pictures, or fewer questions.", 1)
    except KeyboardInterrupt:
        return _complain("interrupted.", 130)


def _complain(sentence: str, status: int) -> int:
    print(f"vision-banana: {' '.join(sentence.split())}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
