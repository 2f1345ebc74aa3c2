# SPDX-License-Identifier: Apache-2.0
"""The process that `build.Build` starts: builds the engines that are missing in the cache."""

import os
import sys
import threading
import time

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.bundle import Bundle, open_bundle
from vision_banana_ros.generators.engines.cache import EngineCache
from vision_banana_ros.generators.engines.errors import BuildOutOfMemory
from vision_banana_ros.generators.engines.library import Library, compile_graph, open_library
from vision_banana_ros.generators.engines.recipe import Recipe, recipes

REFUSED = 2
ORPHANED = 3


def main(arguments: list[str]) -> int:
    """Builds engines in this process, as `Build` starts it, and returns the exit status."""
    path, executor, precision = arguments
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.nice(10)  # the robot goes on meanwhile
    try:
        bundle = open_bundle(path)
        cache = EngineCache()
        for recipe in recipes(bundle, executor, precision):
            build(cache, open_library(executor), bundle, recipe)
    except InputError as error:
        print(error, file=sys.stderr)
        return REFUSED
    return 0


def build(cache: EngineCache, library: Library, bundle: Bundle, recipe: Recipe) -> None:
    """Builds one engine, unless a valid one exists when the lock is acquired."""
    with cache.building(recipe) as note:
        if _is_good(cache, recipe):
            return
        note.progress(0)
        started = time.monotonic()
        try:
            graph = bundle.path / recipe.graph
            engine = compile_graph(library, graph, recipe.sizes, recipe.options, recipe.target, note.progress)
            cache.store(recipe, engine, time.monotonic() - started)
        except (InputError, MemoryError) as error:
            why = error if isinstance(error, InputError) else _host_is_full(recipe)
            note.fail(str(why))
            raise why from error
        note.clear()


def _is_good(cache: EngineCache, recipe: Recipe) -> bool:
    try:
        cache.load(recipe)
    except InputError:
        return False
    return True


def _host_is_full(recipe: Recipe) -> BuildOutOfMemory:
    return BuildOutOfMemory(
        f"The machine ran out of memory while it built an engine of {recipe.graph}: end other programs."
    )


def _end_with_parent() -> None:
    os.read(0, 1)  # returns when whoever started the build has closed the pipe, or is gone
    os._exit(ORPHANED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
