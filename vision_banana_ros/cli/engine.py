# SPDX-License-Identifier: Apache-2.0
"""Builds TensorRT engines for the GPU of this machine, and lists, verifies and prunes the engine cache."""

import argparse
import sys
import time
from pathlib import Path

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.bundle import default_bundle, open_bundle
from vision_banana_ros.generators.engines import engine_state, start_build
from vision_banana_ros.generators.engines.cache import EngineCache
from vision_banana_ros.generators.engines.library import MAJORS, open_library
from vision_banana_ros.generators.engines.recipe import PRECISIONS, recipes

_POLL_S = 0.2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the verb to its parser."""
    actions = {
        "build": "build missing engines; takes seconds to an hour",
        "list": "list the engines in the cache",
        "verify": "verify the checksums of the bundles' engines and whether they match this machine",
        "prune": "delete all engines except those that the bundles use on this machine",
    }
    verbs = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for action, help_ in actions.items():
        sub = verbs.add_parser(action, help=help_, description=help_)
        sub.add_argument(
            "bundles",
            nargs="*",
            type=Path,
            metavar="BUNDLE",
            help="bundle folders (default: the installed bundle)",
        )
        if action == "prune":
            continue  # it keeps what any executor uses
        sub.add_argument(
            "--executor", choices=("tensorrt", "tensorrt_rtx"), help="default: all that are installed"
        )
        # As text: the precisions are known to a module that takes a second to load.
        sub.add_argument(
            "--precision", default="fp32", help="fp32 or tf32 (faster, 10-bit mantissa; default: fp32)"
        )


def run(args: argparse.Namespace) -> int:
    """Runs the verb and returns its exit status."""
    given = [open_bundle(path) for path in args.bundles or [default_bundle()]]
    bundles = [bundle for bundle in given if not bundle.editor_runner]
    for editor in (bundle for bundle in given if bundle.editor_runner):
        print(
            f"{editor.manifest.name} is an imported editor, which {editor.editor_runner} runs: "
            "it has no engines."
        )
    if not bundles:
        return 0
    if args.action == "prune":
        return _prune(bundles, _installed())
    executors = [args.executor] if args.executor else _installed()
    return {"build": _build, "list": _list, "verify": _verify}[args.action](
        bundles, executors, args.precision
    )


def _installed() -> list[str]:
    """The executors whose library loads. Raises InputError with all reasons if there is none."""
    found, reasons = [], []
    for executor in MAJORS:
        try:
            open_library(executor)
            found.append(executor)
        except InputError as error:
            reasons.append(str(error))
    if not found:
        raise InputError(" ".join(reasons))
    return found


def _build(bundles: list, executors: list[str], precision: str) -> int:
    failed = False
    for bundle in bundles:
        for executor in executors:
            build = start_build(bundle, executor, precision)
            label = f"{bundle.manifest.name} on {executor}"
            try:
                state = _watch(build, label)
            except KeyboardInterrupt:
                build.cancel()
                raise
            print(f"\r\033[K{label}: {state}" if sys.stdout.isatty() else f"{label}: {state}")
            failed |= state.name != "ready"
    return int(failed)


def _watch(build, label: str):  # type: ignore[no-untyped-def]  # their types are imported only when they are needed
    shown = ""
    while True:
        ended = build.ended
        state = build.poll()
        if ended:
            return state
        if str(state) != shown and sys.stdout.isatty():
            print(f"\r\033[K{label}: {state}", end="", flush=True)
        elif str(state).split(",")[0] != shown.split(",")[0] and not sys.stdout.isatty():
            print(f"{label}: {state}", flush=True)
        shown = str(state)
        time.sleep(_POLL_S)


def _list(bundles: list, executors: list[str], precision: str) -> int:
    for bundle in bundles:
        for executor in executors:
            print(
                f"{bundle.manifest.name} on {executor} in {precision}:"
                f" {engine_state(bundle, executor, precision)}"
            )
    cache = EngineCache()
    entries = cache.entries()
    print(f"{cache.folder}: {len(entries)} engines, {sum(entry.size for entry in entries) / 2**20:.0f} MiB")
    for entry in entries:
        f = entry.fields
        what = (
            f"{f.get('bundle')} {f.get('graph')} {f.get('precision')}, {f.get('library')} {f.get('version')}"
        )
        where = f"GPU {f.get('gpu')} ({f.get('capability')}), driver {f.get('driver')}"
        print(
            f"  {entry.key[:12]} {entry.size / 2**20:6.1f} MiB, built in {entry.build_s:.0f} s: {what};"
            f" {where}"
        )
    return 0


def _verify(bundles: list, executors: list[str], precision: str) -> int:
    cache = EngineCache()
    failed = False
    for bundle in bundles:
        for executor in executors:
            for recipe in recipes(bundle, executor, precision):
                try:
                    cache.load(recipe)
                    words = "good"
                except InputError as error:
                    words, failed = str(error), True
                print(f"{bundle.manifest.name} {recipe.graph} on {executor} in {precision}: {words}")
    return int(failed)


def _prune(bundles: list, executors: list[str]) -> int:
    wanted: set[str] = set()
    for bundle in bundles:
        for executor in executors:
            for precision in PRECISIONS:
                try:
                    wanted |= {recipe.key for recipe in recipes(bundle, executor, precision)}
                except InputError as error:
                    raise InputError(
                        f"Nothing was deleted, because it cannot be told what is used here: {error}"
                    ) from error
    files, size = EngineCache().keep(wanted)
    print(f"{files} files deleted, {size / 2**20:.0f} MiB.")
    return 0
