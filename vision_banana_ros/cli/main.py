# SPDX-License-Identifier: Apache-2.0
"""The entry point `vision-banana VERB`.

Imports the module of the verb and reports invalid input in one line.
"""

import argparse
import difflib
import importlib
import io
import keyword
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import Any, NoReturn

from vision_banana_ros import __version__, cli
from vision_banana_ros.errors import InputError, shortened

VERBS = {
    "bench": "measure latency and throughput of a bundle on this machine",
    "benchmark": "evaluate a bundle on the public data sets of the paper, and make the table beside the"
    " paper's results",
    "camera": "publish a simulated camera, image files, a bag or a webcam",
    "card": "regenerate the model card of a bundle",
    "decode": "decode an answer image painted by another generator",
    "demo": "run a simulated camera, the node and a client for 20 seconds",
    "engine": "build, list, verify and prune TensorRT engines",
    "evaluate": "evaluate a bundle on rendered ground truth and on real frames",
    "export": "export trained weights as a bundle (needs torch)",
    "import": "import an open image editor as a bundle (needs torch, diffusers and transformers)",
    "info": "show the manifest, file integrity and metrics of a bundle",
    "map": "fuse frames with known poses into a mesh with colors and classes (needs open3d)",
    "prompts": "encode prompts for an imported editor, or list the encoded ones",
    "run": "process images or bags and write depth, normals, masks and point clouds as files",
    "scenes": "fetch the models of furnished scenes; render a scene with its ground truth",
    "train": "train a generator on rendered scenes (needs torch)",
    "tune": "fine-tune an open image editor with a LoRA (needs torch, diffusers, transformers and peft)",
    "view": "show point clouds of run, or of a running node, in a window (needs open3d)",
}
"""The verbs with their summary. The module of the same name implements the verb and is imported when it is
called."""


def module_of(verb: str) -> ModuleType:
    """The module of a verb: a docstring, `add_arguments(parser)` and `run(arguments)`."""
    return importlib.import_module(
        f"{cli.__name__}.{verb}_" if keyword.iskeyword(verb) else f"{cli.__name__}.{verb}"
    )


class _Parser(argparse.ArgumentParser):
    """Suggests what an unknown option may have meant, and quotes long words only in part."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        parsed, unknown = super().parse_known_args(args, namespace)
        for word in unknown:
            option = word.partition("=")[0]
            near = (
                difflib.get_close_matches(option, self._option_string_actions, n=1)
                if word.startswith("--")
                else []
            )
            if near:
                self.error(f"there is no option {option}; did you mean {near[0]}?")
        return parsed, unknown

    def error(self, message: str) -> NoReturn:
        super().error(shortened(message))  # what was given is quoted in it


def parser(called: str | None) -> argparse.ArgumentParser:
    """The argument parser for all verbs, with the arguments of the verb that is called."""
    top = _Parser(
        prog="vision-banana",
        description="Depth, surface normals and segmentation from one instruction-following image generator.",
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
    """Runs one verb.

    Args:
        argv: The command line without the program's name; default: that of the process.

    Returns:
        The exit status: that of the verb, 1 if out of memory, 2 for invalid input (reported in one line), 130
        for Ctrl-C.
    """
    if "_ARGCOMPLETE" in os.environ:
        _complete()
    for stream in (sys.stdout, sys.stderr):  # a file's name may hold bytes that are no text
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        os.getcwd()  # libraries ask for it while they are imported
    except FileNotFoundError:
        return _complain("the working directory was deleted: change to another one.", 2)
    given = sys.argv[1:] if argv is None else argv
    top = parser(next((word for word in given if not word.startswith("-")), None))
    args = top.parse_args(given)
    if not hasattr(args, "run"):
        top.print_help()
        return 0
    try:
        with _telling_of_compilation():
            status = int(args.run(args))
        sys.stdout.flush()  # or a full disk is found out when nobody can tell it any more
        return status
    except InputError as error:
        return _complain(str(error), 2)
    except OSError as error:
        if error.strerror is None:
            raise
        return _complain(
            f"{error.strerror}" + (f": '{error.filename}'." if error.filename is not None else "."), 2
        )
    except MemoryError:
        return _complain("Out of memory: use smaller images or fewer prompts.", 1)
    except KeyboardInterrupt:
        return _complain("interrupted.", 130)


def _telling_of_compilation() -> AbstractContextManager[None]:
    """Says on stderr that Numba compiles: on a new machine a verb would be silent for a while."""
    if "numba" not in sys.modules:  # nor will the verb need it: it takes half a second to load
        return nullcontext()
    from vision_banana_ros.cli.shared.progress import tell
    from vision_banana_ros.compilation import compilation_told

    return compilation_told(tell)


def _complete() -> None:
    """Answers the shell, which asks by argcomplete what a word may become, and ends the process."""
    try:
        import argcomplete
    except ImportError:
        return
    words = os.environ.get("COMP_LINE", "").split()[1:]
    argcomplete.autocomplete(parser(next((word for word in words if word in VERBS), None)))


def _complain(sentence: str, status: int) -> int:
    from vision_banana_ros.cli.shared.progress import tell

    tell(f"vision-banana: {shortened(' '.join(sentence.split()))}")
    return status


if __name__ == "__main__":
    sys.exit(main())
