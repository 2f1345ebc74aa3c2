# SPDX-License-Identifier: Apache-2.0
"""What needs torch or onnx: the torch executor, and graphs with their shapes fixed."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("diffusers")

import onnxruntime  # noqa: E402

from vision_banana_ros.errors import InputError  # noqa: E402
from vision_banana_ros.generators import default_bundle, load_generator, open_bundle  # noqa: E402
from vision_banana_ros.generators.bundle import GRAPHS  # noqa: E402
from vision_banana_ros.generators.own.device_decode import DECODE_GRAPHS, MAX_COLORS  # noqa: E402
from vision_banana_ros.generators.own.fixed_shapes import freeze  # noqa: E402
from vision_banana_ros.tasks import depth, normals, semantic  # noqa: E402


@pytest.fixture(scope="module")
def asked():
    bundle = open_bundle(default_bundle())
    y, x = np.mgrid[: bundle.manifest.size[0], : bundle.manifest.size[1]]
    image = np.stack([x % 256, y % 256, (x + y) % 256], -1).astype(np.uint8)
    return image, [depth.instruction(), normals.instruction(), semantic.instruction(bundle.manifest.legend)]


def test_torch_and_onnxruntime_paint_the_same(asked):
    plain = load_generator(default_bundle(), "onnxruntime:cpu-fp32").paint(*asked)
    eager = load_generator(default_bundle(), "torch:eager-fp32")
    assert eager.executor.startswith("torch eager")
    apart = np.abs(eager.paint(*asked) - plain)
    # Single precision rounds otherwise in each; where two colours meet, a sharp network makes more of it, less than half of 1/255.
    assert np.quantile(apart, 0.995) < 1e-4
    assert apart.max() < 0.5 / 255


def test_bf16_paints_nearly_the_same_and_never_in_bf16(asked):
    plain = load_generator(default_bundle(), "onnxruntime:cpu-fp32").paint(*asked)
    cheap = load_generator(default_bundle(), "torch:bf16")
    painted = cheap.paint(*asked)
    assert np.abs(painted - plain).mean() < 4 / 255
    assert cheap._executor._network.answer_out.weight.dtype == torch.float32
    assert len(np.unique(painted[painted > 0.5])) > 1000  # bf16 has 128 values there


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_what_needs_a_gpu_says_so():
    with pytest.raises(InputError, match="CUDA graph needs a GPU"):
        load_generator(default_bundle(), "torch:graph")
    with pytest.raises(InputError, match="fp16 needs a GPU"):
        load_generator(default_bundle(), "torch:fp16")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("how", ["eager-fp16", "eager-bf16", "compiled-fp16", "graph-fp32", "graph-fp16"])
def test_on_a_gpu_every_way_paints_the_same(asked, how):
    plain = load_generator(default_bundle(), "onnxruntime:cpu-fp32").paint(*asked)
    generator = load_generator(default_bundle(), f"torch:{how}")
    for _ in range(2):
        assert np.abs(generator.paint(*asked) - plain).mean() < (1e-3 if how.endswith("fp32") else 4 / 255)


def shapes(model):
    return [[dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in (*model.graph.input, *model.graph.output)]


@pytest.mark.parametrize("graph", [*GRAPHS, *DECODE_GRAPHS.values()])
def test_a_frozen_graph_has_no_open_dimension_and_runs(graph):
    frozen = freeze(default_bundle() / graph, questions=2)
    assert all(size > 0 for shape in shapes(onnx.load_model_from_string(frozen)) for size in shape)
    session = onnxruntime.InferenceSession(frozen)
    types = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(uint8)": np.uint8}
    session.run(None, {value.name: np.ones(value.shape, types[value.type]) for value in session.get_inputs()})


def test_freezing_takes_the_numbers_it_is_given():
    manifest = open_bundle(default_bundle()).manifest
    frozen = onnx.load_model_from_string(freeze((default_bundle() / "answer.onnx").read_bytes(), questions=3))
    assert shapes(frozen)[-1] == [3, *manifest.size, 3]
    assert shapes(frozen)[-2] == [3, manifest.text_length]
    short = onnx.load_model_from_string(freeze(default_bundle() / "answer.onnx", questions=None, words=32))
    assert shapes(short)[-2] == [0, 32]
    palette = onnx.load_model_from_string(freeze(default_bundle() / DECODE_GRAPHS["semantic"], questions=1))
    assert shapes(palette)[1] == [MAX_COLORS, 3]


def test_what_cannot_be_frozen_is_refused():
    with pytest.raises(InputError, match="0 questions"):
        freeze(default_bundle() / "answer.onnx", questions=0)
    with pytest.raises(InputError, match="no ONNX graph"):
        freeze(b"no graph at all", questions=1)
    model = onnx.load(default_bundle() / "answer.onnx")
    model.graph.input[-1].type.tensor_type.shape.dim[0].dim_param = "cameras"
    with pytest.raises(InputError, match="'mask' has the open dimension 'cameras'"):
        freeze(model.SerializeToString(), questions=1)
