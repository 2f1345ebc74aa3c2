# SPDX-License-Identifier: Apache-2.0
import hashlib
import importlib.util
import json
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators import Generator, default_bundle, executors, load_generator, open_bundle
from vision_banana_ros.generators.bundle import INT8_GRAPHS, PRECISION, REFERENCE, renew_manifest
from vision_banana_ros.generators.errors import ExecutorLost
from vision_banana_ros.generators.executors import load_executor
from vision_banana_ros.generators.executors import onnxruntime as on_onnxruntime
from vision_banana_ros.generators.own.device_decode import DECODE_GRAPHS
from vision_banana_ros.generators.own.tokenizer import tokenize
from vision_banana_ros.perception import Perceiver, Question
from vision_banana_ros.tasks import depth, semantic


@pytest.fixture
def bundle(tmp_path):
    return shutil.copytree(default_bundle(), tmp_path / "bundle")


@pytest.fixture
def no_tensorrt(monkeypatch):
    def load(bundle, options):
        raise InputError("There is no TensorRT: `pip install tensorrt`.")

    monkeypatch.setitem(sys.modules, f"{executors.__name__}.tensorrt", SimpleNamespace(load=load))


def test_auto_says_what_it_took_and_why(monkeypatch):
    monkeypatch.setattr(executors, "GPU_DEVICES", ())
    generator = load_generator(default_bundle())
    assert generator.executor.startswith("onnxruntime cpu")
    assert generator.why.startswith(f"Running on {generator.executor}, for there is no NVIDIA GPU here.")


def test_a_list_keeps_to_the_next_and_a_single_name_refuses(no_tensorrt):
    generator = load_generator(default_bundle(), "tensorrt, onnxruntime:cpu-fp32")
    assert generator.executor == "onnxruntime cpu fp32"
    assert "tensorrt: There is no TensorRT: `pip install tensorrt`." in generator.why
    with pytest.raises(InputError, match=r"^There is no TensorRT: `pip install tensorrt`\.$"):
        load_generator(default_bundle(), "tensorrt")
    with pytest.raises(InputError, match=r"No executor can be had\. tensorrt: .* onnxruntime:tpu: .*'tpu'"):
        load_generator(default_bundle(), "tensorrt,onnxruntime:tpu")


def test_with_names_left_the_cpu_takes_over_from_an_executor_that_is_lost(bundle, monkeypatch):
    (bundle / REFERENCE).unlink()  # lost while it serves, and not at the comparison with stored answers
    renew_manifest(bundle)

    class Lost:
        name = "tensorrt fp32"
        any_size = False

        def encode_image(self, *given):
            raise ExecutorLost("The executor tensorrt fp32 cannot go on.")

        encode_text = answer = encode_image

    monkeypatch.setitem(
        sys.modules, f"{executors.__name__}.tensorrt", SimpleNamespace(load=lambda bundle, options: Lost())
    )
    image = np.zeros((*open_bundle(bundle).manifest.size, 3), np.uint8)
    generator = load_generator(bundle, "tensorrt,onnxruntime")
    assert generator.executor == "tensorrt fp32" and generator.sizes == (generator.size,)
    assert generator.paint(image, [depth.instruction()]).shape == (1, *image.shape)
    assert generator.executor.startswith("onnxruntime cpu") and generator.sizes == (
        generator.size,
        *generator.manifest.canvases,
    )
    with pytest.raises(ExecutorLost):
        load_generator(bundle, "tensorrt").paint(image, [depth.instruction()])


class Decoding:
    """An executor that decodes depth and classes itself, by the bundle's decode graphs, and instances not."""

    name = "decoding"
    any_size = True
    decodes = ("depth", "semantic", "referring")

    def __init__(self, plain):
        self._plain = plain
        self.encode_image, self.encode_text, self.answer = plain.encode_image, plain.encode_text, plain.answer

    def read(self, features, text, mask, asked):
        painted = self._plain.answer(features, text, mask)
        return [
            self._decoded(*one) if one[1] in self.decodes else [one[0]]
            for one in zip(painted, *zip(*asked, strict=True), strict=True)
        ]

    def _decoded(self, rgb, task, more):
        session = onnxruntime.InferenceSession(default_bundle() / DECODE_GRAPHS[task])
        return session.run(None, {"rgb": rgb, **more})


def test_what_an_executor_decodes_is_what_is_read_from_its_pictures():
    bundle = open_bundle(default_bundle())
    plain, _ = load_executor(bundle, "onnxruntime:cpu-fp32")
    legend = bundle.manifest.legend
    questions = [Question.depth(), Question.normals(), Question.semantic(legend), Question.instances("box")]
    questions += [Question.referring(name, "red") for name in ("the box", "the wall")]
    # wider than the bundle's size: there are bars
    frame = np.random.default_rng(0).integers(0, 256, (90, 200, 3), np.uint8)
    expected = Perceiver(Generator(bundle, plain), together=True).look(frame, questions)
    looks = Perceiver(Generator(bundle, Decoding(plain)), together=True).look(frame, questions)
    np.testing.assert_allclose(looks[0].depth_m, expected[0].depth_m, rtol=1e-5)
    np.testing.assert_array_equal(looks[1].normals, expected[1].normals)
    assert (looks[2].labels == expected[2].labels).mean() > 0.999
    np.testing.assert_array_equal(looks[3].labels, expected[3].labels)
    np.testing.assert_array_equal(looks[5].mask, expected[5].mask)
    for ours, theirs in zip(looks, expected, strict=True):
        np.testing.assert_allclose(ours.confidence, theirs.confidence, atol=1e-5)


def test_names_and_options_that_are_not_known_are_refused_with_those_that_are():
    with pytest.raises(InputError, match="onnxruntime, torch, tensorrt, tensorrt_rtx"):
        load_generator(default_bundle(), "onnxruntime,abacus")
    with pytest.raises(InputError, match="tensorrt, cuda, cpu, fp32 or int8"):
        load_generator(default_bundle(), "onnxruntime:fp12")
    with pytest.raises(InputError, match="eager, compiled, graph, fp32, fp16, bf16"):
        load_generator(default_bundle(), "torch:fast")


def test_missing_libraries_are_named(monkeypatch):
    monkeypatch.setattr(
        on_onnxruntime.onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"]
    )
    with pytest.raises(InputError, match="pip install onnxruntime-gpu"):
        load_generator(default_bundle(), "onnxruntime:cuda")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="needs torch, diffusers, onnx: run `pip install"):
        load_generator(default_bundle(), "torch")


def test_a_graph_with_an_operator_that_the_runtime_does_not_know_is_refused(bundle):
    content = (bundle / "answer.onnx").read_bytes()
    assert b"Softmax" in content
    changed = content.replace(b"Softmax", b"Softmix")
    (bundle / "answer.onnx").write_bytes(changed)
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"]["answer.onnx"] = hashlib.sha256(changed).hexdigest()
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"cannot load answer\.onnx.*Softmix"):
        load_generator(bundle, "onnxruntime:fp32")


def test_padding_changes_nothing():
    bundle = open_bundle(default_bundle())
    executor, _ = load_executor(bundle, "onnxruntime:cpu-fp32")
    image = np.random.default_rng(0).integers(0, 256, (*bundle.manifest.size, 3), np.uint8)
    features = executor.encode_image(image)
    prompts = [
        tokenize(text, 128, bundle.manifest.text_buckets)
        for text in (depth.instruction(), semantic.instruction({"a": "red"}))
    ]
    text = executor.encode_text(
        *(np.stack([getattr(p, name) for p in prompts]) for name in ("pieces", "colors", "mask"))
    )
    mask = np.stack([prompt.mask for prompt in prompts])
    trimmed = executor.answer(features, text, mask)
    executor.one_by_one = False
    np.testing.assert_allclose(trimmed, executor.answer(features, text, mask), atol=1e-5)


def test_int8_is_taken_where_the_bundle_and_the_cpu_have_it(bundle, monkeypatch):
    # without stored answers nothing is measured, and the CPU's flags decide
    for file in (*INT8_GRAPHS.values(), REFERENCE):
        (bundle / file).unlink(missing_ok=True)
    renew_manifest(bundle)
    monkeypatch.setattr(executors, "GPU_DEVICES", ())
    monkeypatch.setattr(on_onnxruntime, "cpu_counts_in_int8", lambda: True)
    assert load_generator(bundle).executor == "onnxruntime cpu fp32"
    with pytest.raises(InputError, match="no int8 graphs"):
        load_generator(bundle, "onnxruntime:int8")
    for graph, quantized in INT8_GRAPHS.items():
        shutil.copy(bundle / graph, bundle / quantized)
    renew_manifest(bundle)
    assert load_generator(bundle).executor == "onnxruntime cpu int8"
    monkeypatch.setattr(on_onnxruntime, "cpu_counts_in_int8", lambda: False)
    assert load_generator(bundle).executor == "onnxruntime cpu fp32"


def test_int8_is_for_cpus_alone(monkeypatch):
    monkeypatch.setattr(
        on_onnxruntime.onnxruntime, "get_available_providers", lambda: list(on_onnxruntime.PROVIDERS.values())
    )
    with pytest.raises(InputError, match="onnxruntime:cpu-int8, or for onnxruntime:cuda-fp32"):
        load_generator(default_bundle(), "onnxruntime:cuda-int8")


def test_int8_answers_questions_beside_each_other_as_it_answers_them_alone():
    bundle = open_bundle(default_bundle())
    if not all(graph in bundle.manifest.files for graph in INT8_GRAPHS.values()):
        pytest.skip("this bundle has none")
    generator = load_generator(bundle.path, "onnxruntime:cpu-int8")
    image = np.random.default_rng(0).integers(0, 256, (*generator.size, 3), np.uint8)
    asked = [depth.instruction(), semantic.instruction(bundle.manifest.legend), "the door"]
    together = generator.paint(image, asked)
    assert together.shape == (3, *image.shape)
    for instruction, painted in zip(asked, together, strict=True):
        np.testing.assert_array_equal(generator.paint(image, [instruction])[0], painted)


def test_int8_graphs_that_ship_have_passed():
    bundle = open_bundle(default_bundle())
    if not any(graph in bundle.manifest.files for graph in INT8_GRAPHS.values()):
        pytest.skip("this bundle has none")
    measured = json.loads((bundle.path / PRECISION).read_text())["int8"]
    assert measured["refused"] == []
    for name, worse in measured["growth"].items():
        change = abs(measured["int8"][name] - measured["fp32"][name]) / measured["fp32"][name]
        assert worse < 0.02 and abs(worse) == pytest.approx(change)
