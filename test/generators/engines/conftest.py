# SPDX-License-Identifier: Apache-2.0
"""A machine with a TensorRT and a GPU that are stand-ins, and a cache of its own."""

import importlib
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from vision_banana_ros.generators import default_bundle, open_bundle
from vision_banana_ros.generators.engines import cuda, library
from vision_banana_ros.generators.engines.builder import build
from vision_banana_ros.generators.engines.cache import EngineCache
from vision_banana_ros.generators.engines.recipe import recipes

STAND_INS = Path(__file__).parent / "stand_ins"


def forget():
    library.open_library.cache_clear()
    cuda.find_device.cache_clear()


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    forget()
    yield
    forget()


@pytest.fixture
def bundle():
    return open_bundle(default_bundle())


class Machine:
    """A machine that can be changed: `version` of TensorRT, `gpu`, `driver`."""

    def __init__(self, monkeypatch, bundle):
        self._monkeypatch = monkeypatch
        self._bundle = bundle
        monkeypatch.syspath_prepend(str(STAND_INS))
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(STAND_INS), os.environ.get("PYTHONPATH", "")]))
        self.install("11.4.1.5")

    def install(self, version):
        self._monkeypatch.setenv("STAND_IN_TENSORRT", version)
        for name in [n for n in sys.modules if n == "tensorrt" or n.partition(".")[0] == "cuda"]:
            self._monkeypatch.delitem(sys.modules, name)
        importlib.import_module("tensorrt")
        self.cuda = importlib.import_module("cuda.bindings.runtime")
        forget()

    def set_gpu(self, **what):
        self.cuda.DEVICE.update(what)
        forget()

    def install_rtx(self):
        self._monkeypatch.syspath_prepend(str(STAND_INS.with_name("stand_ins_rtx")))
        self._monkeypatch.delitem(sys.modules, "tensorrt_rtx", raising=False)
        forget()
        return importlib.import_module("tensorrt_rtx")

    def recipes(self, precision="fp32", executor="tensorrt"):
        return recipes(self._bundle, executor, precision)

    def build(self, precision="fp32", executor="tensorrt"):
        """All engines, in this process."""
        cache = EngineCache()
        for recipe in self.recipes(precision, executor):
            build(cache, library.open_library(executor), self._bundle, recipe)
        return cache


@pytest.fixture
def machine(monkeypatch, bundle):
    made = Machine(monkeypatch, bundle)
    yield made
    for name in [
        n for n in sys.modules if n in ("tensorrt", "tensorrt_rtx") or n.partition(".")[0] == "cuda"
    ]:
        sys.modules.pop(name)


@pytest.fixture
def engine_files():
    """Where the engine and the sidecar of a recipe lie."""

    def where(cache, recipe):
        return SimpleNamespace(
            engine=cache.folder / f"{recipe.key}.engine", sidecar=cache.folder / f"{recipe.key}.json"
        )

    return where
