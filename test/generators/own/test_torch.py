# SPDX-License-Identifier: Apache-2.0
"""What needs torch or onnx: a bundle as it is exported, the torch executor, and graphs with their shapes fixed."""

import json
import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("diffusers")

import onnxruntime  # noqa: E402
from tiny_network import export_tiny, tiny_network  # noqa: E402

from vision_banana_ros.errors import InputError  # noqa: E402
from vision_banana_ros.generators import load_generator, open_bundle  # noqa: E402
from vision_banana_ros.generators.bundle import GRAPHS  # noqa: E402
from vision_banana_ros.generators.engines import library  # noqa: E402
from vision_banana_ros.generators.engines.library import open_library  # noqa: E402
from vision_banana_ros.generators.engines.recipe import recipes  # noqa: E402
from vision_banana_ros.generators.own.device_decode import DECODE_GRAPHS, MAX_COLORS  # noqa: E402
from vision_banana_ros.generators.own.fixed_shapes import frame_dimensions, freeze  # noqa: E402
from vision_banana_ros.perception import Perceiver, Question  # noqa: E402
from vision_banana_ros.tasks import depth, normals, semantic  # noqa: E402
from vision_banana_ros.training.own.sampler import Painter  # noqa: E402

SIZE, WIDE = (64, 96), (48, 128)
LEGEND = {"floor": "red", "wall": "blue", "box": "#00ff00"}
ASKED = [depth.instruction(), normals.instruction(), semantic.instruction(LEGEND)]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return export_tiny(tmp_path_factory.mktemp("bundle") / "tiny", SIZE, WIDE)


@pytest.fixture(scope="module")
def plain(bundle):
    return load_generator(bundle, "onnxruntime:cpu-fp32")


def frame(size=SIZE):
    y, x = np.mgrid[: size[0], : size[1]]
    return np.stack([3 * x % 256, 2 * y % 256, (x + y) % 256], -1).astype(np.uint8)


def test_a_bundle_takes_frames_of_all_its_canvases_in_every_executor_that_can(bundle, plain):
    eager = load_generator(bundle, "torch:eager-fp32")
    assert eager.executor.startswith("torch eager") and plain.sizes == eager.sizes == (SIZE, WIDE) and plain.size == SIZE
    assert open_bundle(bundle).manifest.canvases == (WIDE,)
    network = Painter(tiny_network(), SIZE, from_frame=True)
    for size in (SIZE, WIDE, SIZE):  # and back again
        painted = plain.paint(frame(size), ASKED)
        assert painted.shape == (3, *size, 3)
        apart = np.abs(eager.paint(frame(size), ASKED) - painted)
        # Single precision rounds otherwise in each; where two colours meet, a network makes more of it.
        assert np.quantile(apart, 0.995) < 1e-3 and apart.max() < 0.02
        # the bundle keeps weights in half precision, and in training the network computes in bfloat16
        assert np.abs(network.paint(frame(size), ASKED) - painted).mean() < 0.02
    for generator in (plain, eager):
        with pytest.raises(InputError, match=r"\(64, 96, 3\) or \(48, 128, 3\)"):
            generator.paint(frame((64, 64)), ASKED)


def test_frames_are_looked_at_on_the_canvas_that_fits_them(plain):
    perceiver = Perceiver(plain, output_size="generator")
    assert perceiver.letterbox(480, 640).canvas == SIZE and perceiver.letterbox(376, 1241).canvas == WIDE
    (wide,) = perceiver.look(frame((94, 310)), [Question.depth()])
    assert wide.depth_m.shape == (39, 128) == perceiver.grid(94, 310)


def test_bf16_paints_nearly_the_same_and_never_in_bf16(bundle, plain):
    cheap = load_generator(bundle, "torch:bf16")
    painted = cheap.paint(frame(), ASKED)
    assert np.abs(painted - plain.paint(frame(), ASKED)).mean() < 6 / 255
    network = cheap.loaded_executor.network
    assert network.image_neck.lateral[0].weight.dtype == torch.bfloat16
    assert network.answer_out.weight.dtype == network.answer_distance.weight.dtype == torch.float32
    assert len(np.unique(painted[painted > 0.5])) > 1000  # bf16 has 128 values there


def test_a_network_of_another_version_is_refused_with_a_sentence(bundle, tmp_path):
    other = shutil.copytree(bundle, tmp_path / "other")
    manifest = json.loads((other / "manifest.json").read_text())
    for changes in ({"encoder_depth": [1, 1, 1]}, {"encoder": "resnet"}):
        content = manifest | {"network": manifest["network"] | changes}
        (other / "manifest.json").write_text(json.dumps(content))
        with pytest.raises(InputError, match="network that this version does not know"):
            load_generator(other, "torch")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_what_needs_a_gpu_says_so(bundle):
    with pytest.raises(InputError, match="CUDA graph needs a GPU"):
        load_generator(bundle, "torch:graph")
    with pytest.raises(InputError, match="fp16 needs a GPU"):
        load_generator(bundle, "torch:fp16")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("how", ["eager-fp16", "eager-bf16", "compiled-fp16", "graph-fp32", "graph-fp16"])
def test_on_a_gpu_every_way_paints_the_same(bundle, plain, how):
    generator = load_generator(bundle, f"torch:{how}")
    expected = plain.paint(frame(), ASKED)
    for _ in range(2):
        assert np.abs(generator.paint(frame(), ASKED) - expected).mean() < (1e-3 if how.endswith("fp32") else 6 / 255)


def shapes(model):
    return [[dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in (*model.graph.input, *model.graph.output)]


@pytest.mark.parametrize("graph", [*GRAPHS, *DECODE_GRAPHS.values()])
def test_a_frozen_graph_has_no_open_dimension_and_runs(bundle, graph):
    frozen = freeze(bundle / graph, questions=2, size=WIDE)
    assert all(size > 0 for shape in shapes(onnx.load_model_from_string(frozen)) for size in shape)
    session = onnxruntime.InferenceSession(frozen)
    types = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(uint8)": np.uint8}
    session.run(None, {value.name: np.ones(value.shape, types[value.type]) for value in session.get_inputs()})


def test_freezing_takes_the_numbers_it_is_given(bundle):
    manifest = open_bundle(bundle).manifest
    frozen = onnx.load_model_from_string(freeze((bundle / "answer.onnx").read_bytes(), questions=3, size=WIDE))
    assert shapes(frozen)[-1] == [3, *WIDE, 3]
    assert shapes(frozen)[-2] == [3, manifest.text_length]
    short = onnx.load_model_from_string(freeze(bundle / "answer.onnx", questions=None, size=SIZE, words=32))
    assert shapes(short)[-2] == [0, 32] and shapes(short)[0][2:] == [SIZE[0] // 4, SIZE[1] // 4]
    palette = onnx.load_model_from_string(freeze(bundle / DECODE_GRAPHS["semantic"], questions=1, size=SIZE))
    assert shapes(palette)[1] == [MAX_COLORS, 3]


def test_the_frame_s_dimensions_are_those_that_graphs_leave_open(bundle):
    named = frame_dimensions(WIDE)
    assert named["16*rows"] == 48 and named["16*columns"] == 128 and named["4*columns"] == 32 and named["rows"] == 3
    left_open = {"questions", "words", "colors"}
    for graph in (*GRAPHS, *DECODE_GRAPHS.values()):
        model = onnx.load(bundle / graph)
        values = (*model.graph.input, *model.graph.output)
        left_open |= {dim.dim_param for value in values for dim in value.type.tensor_type.shape.dim if dim.dim_param}
    assert left_open <= {"questions", "words", "colors", *named}
    assert {"16*rows", "4*rows", "2*columns", "columns"} <= left_open


def test_what_cannot_be_frozen_is_refused(bundle):
    with pytest.raises(InputError, match="0 questions"):
        freeze(bundle / "answer.onnx", questions=0, size=SIZE)
    with pytest.raises(InputError, match="not an ONNX graph"):
        freeze(b"no graph at all", questions=1, size=SIZE)
    model = onnx.load(bundle / "answer.onnx")
    model.graph.input[-1].type.tensor_type.shape.dim[0].dim_param = "cameras"
    with pytest.raises(InputError, match="'mask' has the unknown dynamic dimension 'cameras'"):
        freeze(model.SerializeToString(), questions=1, size=SIZE)


@pytest.mark.parametrize("graph", [*GRAPHS, *DECODE_GRAPHS.values()])
def test_the_real_tensorrt_rtx_reads_graphs_of_open_frame_size_for_one_size(bundle, graph):
    pytest.importorskip("tensorrt_rtx")
    rtx = open_library("tensorrt_rtx")
    recipe = next(recipe for recipe in recipes(open_bundle(bundle), "tensorrt_rtx") if recipe.graph == graph)
    messages = library.log(rtx.trt)
    builder = rtx.trt.Builder(messages)
    network = builder.create_network(library.strongly_typed(rtx.trt))
    config = builder.create_builder_config()
    library.parse(rtx, network, bundle / graph, messages)
    library.fix_sizes(builder, network, config, recipe.sizes)
    own = set(frame_dimensions(SIZE))
    for tensor in (network.get_input(i) for i in range(network.num_inputs)):
        assert not own & {tensor.get_dimension_name(i) for i, length in enumerate(tensor.shape) if length == -1}
    for tensor in (network.get_output(i) for i in range(network.num_outputs)):
        assert all(length > 0 for length in tensor.shape[-2:]) or graph == "text.onnx", tensor.name
    if graph == "answer.onnx":
        assert tuple(network.get_output(0).shape) == (-1, *SIZE, 3)


def test_the_real_tensorrt_rtx_builds_an_answer_of_open_frame_size(bundle):
    pytest.importorskip("tensorrt_rtx")
    recipe = next(recipe for recipe in recipes(open_bundle(bundle), "tensorrt_rtx") if recipe.graph == "answer.onnx")
    rtx = open_library("tensorrt_rtx")
    engine = library.compile_graph(rtx, bundle / recipe.graph, recipe.sizes, recipe.options, recipe.target, lambda fraction: None)
    assert bytes(engine)[:4] == b"vtrt"
