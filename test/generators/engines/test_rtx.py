# SPDX-License-Identifier: Apache-2.0
"""The real TensorRT-RTX, which needs no GPU to read a graph and to build an engine: every graph that is
shipped must do."""

import json

import pytest

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators import default_bundle, open_bundle
from vision_banana_ros.generators.engines import engine_state
from vision_banana_ros.generators.engines.builder import build
from vision_banana_ros.generators.engines.cache import EngineCache
from vision_banana_ros.generators.engines.library import compile_graph, open_library, options
from vision_banana_ros.generators.engines.recipe import PORTABLE, graphs, recipes
from vision_banana_ros.generators.executors import tensorrt_rtx

pytest.importorskip("tensorrt_rtx")

ALL = graphs(open_bundle(default_bundle()))


@pytest.mark.parametrize("graph", ALL)
def test_every_graph_that_is_shipped_is_read_and_built(bundle, graph):
    recipe = recipes(bundle, "tensorrt_rtx")[ALL.index(graph)]
    cache = EngineCache()
    build(cache, open_library("tensorrt_rtx"), bundle, recipe)
    engine = cache.load(recipe)
    assert engine[:4] == b"vtrt" and len(engine) > 10_000
    assert not cache.note(recipe.key).running
    assert recipe.gpu == recipe.driver == PORTABLE


def test_progress_is_reported(bundle):
    library = open_library("tensorrt_rtx")
    recipe = recipes(bundle, "tensorrt_rtx")[1]
    told: list[float] = []
    compile_graph(
        library, bundle.path / recipe.graph, recipe.sizes, recipe.options, recipe.target, told.append
    )
    assert told == sorted(told) and told[-1] == 1 and len(told) > 20


def test_tf32_is_another_engine(bundle):
    one, other = (recipes(bundle, "tensorrt_rtx", precision)[0] for precision in ("fp32", "tf32"))
    assert one.options == {"REQUIRE_USER_ALLOCATION": True, "TF32": False} and other.options["TF32"]
    assert one.key != other.key and one.differences(other.fields())


def test_an_operator_that_is_not_supported_is_named(bundle, tmp_path):
    library = open_library("tensorrt_rtx")
    graph = tmp_path / "odd.onnx"
    graph.write_bytes(
        (bundle.path / "text.onnx").read_bytes().replace(b"LayerNormalization", b"LayerNormalizatiox")
    )
    with pytest.raises(
        InputError, match="cannot read odd.onnx .operator LayerNormalizatiox at 'node_layer_norm'"
    ):
        compile_graph(library, graph, {}, options(library, "fp32"), "", lambda fraction: None)


def test_what_is_no_graph_is_refused(tmp_path):
    library = open_library("tensorrt_rtx")
    graph = tmp_path / "no.onnx"
    graph.write_text(json.dumps("no graph"))
    with pytest.raises(InputError, match="cannot read no.onnx"):
        compile_graph(library, graph, {}, {}, "", lambda fraction: None)


def test_without_engines_or_a_gpu_it_says_what_to_do(bundle):
    assert engine_state(bundle, "tensorrt_rtx").name == "missing"
    with pytest.raises(InputError, match="no GPU that CUDA can use|cuda-bindings|vision-banana engine build"):
        tensorrt_rtx.load(bundle)
