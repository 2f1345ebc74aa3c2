# SPDX-License-Identifier: Apache-2.0
"""Open image editors as bundles, on tiny random weights in the real format: painting, prompts, LoRA,
graphs."""

import hashlib
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from patience import PATIENCE_S

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")
pytest.importorskip("tokenizers")

import tiny_editors as tiny  # noqa: E402
from PIL import Image  # noqa: E402

from vision_banana_ros.cli.main import main  # noqa: E402
from vision_banana_ros.errors import InputError  # noqa: E402
from vision_banana_ros.generators import load_generator, open_bundle  # noqa: E402
from vision_banana_ros.generators.backbones.diffusers_folder import read_header, read_tensors, write_tensors  # noqa: E402
from vision_banana_ros.generators.backbones.importing import Options, import_model  # noqa: E402
from vision_banana_ros.generators.backbones.noise_schedule import start_of  # noqa: E402
from vision_banana_ros.generators.backbones.prompt_cache import cache_of, encode_here  # noqa: E402
from vision_banana_ros.perception.perceiver import Perceiver  # noqa: E402
from vision_banana_ros.perception.questions import Question  # noqa: E402
from vision_banana_ros.tasks import depth, normals  # noqa: E402

WORDS = "Paint the depth of this, {braces} and all."
HEIGHT, WIDTH = tiny.SIZE
IMAGE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("editors") / "klein"
    pipeline = tiny.flux2_klein(folder)
    pipeline.set_progress_bar_config(disable=True)
    return folder, pipeline


@pytest.fixture(scope="module")
def bundle(model, tmp_path_factory):
    """Four steps, profile vision_banana, with WORDS encoded."""
    made = import_model(
        model[0], tmp_path_factory.mktemp("bundles") / "klein", Options("vision_banana", size=tiny.SIZE)
    )
    encode_here(made, [WORDS], "cpu")
    return made


@pytest.fixture
def copy(bundle, tmp_path):
    shutil.copytree(bundle.path, tmp_path / "copy")
    return tmp_path / "copy"


def by_diffusers(pipeline, steps, instruction=WORDS):
    """What the pipeline itself paints from the same noise."""
    tokens, channels = (HEIGHT // 16) * (WIDTH // 16), pipeline.transformer.config.in_channels
    noise = torch.from_numpy(start_of("noise", (tokens, channels)))
    noise = noise.transpose(1, 2).reshape(1, channels, HEIGHT // 16, WIDTH // 16)
    given = {
        "height": HEIGHT,
        "width": WIDTH,
        "latents": noise,
        "num_inference_steps": steps,
        "output_type": "np",
    }
    return pipeline(image=Image.fromarray(IMAGE), prompt=instruction, **given).images[0]


def test_it_paints_what_the_pipeline_of_diffusers_paints(model, bundle):
    generator = load_generator(bundle.path)
    assert generator.executor.startswith("torch") and generator.size == tiny.SIZE
    painted = generator.paint(IMAGE, [WORDS])
    assert painted.shape == (1, HEIGHT, WIDTH, 3) and painted.dtype == np.float32
    np.testing.assert_allclose(painted[0], by_diffusers(model[1], 4), atol=1e-4)
    assert painted.std() > 0.05  # it is a picture, not a constant
    np.testing.assert_array_equal(painted, load_generator(bundle.path, "torch:fp32").paint(IMAGE, [WORDS]))


def test_bf16_paints_nearly_the_same(bundle):
    plain = load_generator(bundle.path).paint(IMAGE, [WORDS])
    assert (
        0 < np.abs(load_generator(bundle.path, "torch:bf16").paint(IMAGE, [WORDS]) - plain).mean() < 4 / 255
    )


def test_a_robot_paints_without_the_text_encoder(copy, bundle):
    shutil.rmtree(copy / "encoder")
    np.testing.assert_array_equal(
        load_generator(copy).paint(IMAGE, [WORDS]), load_generator(bundle.path).paint(IMAGE, [WORDS])
    )
    with pytest.raises(InputError, match="no text encoder here"):
        encode_here(open_bundle(copy), ["another"], "cpu")


def test_an_unknown_prompt_names_the_command(bundle):
    generator = load_generator(bundle.path)
    with pytest.raises(InputError, match=f'vision-banana prompts encode {bundle.path} "the mug"'):
        generator.paint(IMAGE, ["the mug"])
    with pytest.raises(InputError, match="empty"):
        generator.prepare("  ")
    with pytest.raises(InputError, match="uint8 frames of shape"):
        generator.paint(IMAGE[:32], [WORDS])
    with pytest.raises(InputError, match="nothing to paint"):
        generator.paint(IMAGE, [])


def test_what_is_missing_is_said_before_anything_is_loaded(copy, monkeypatch):
    from vision_banana_ros.generators.backbones import flux2_klein, memory

    monkeypatch.setattr(flux2_klein, "networks", lambda *_: pytest.fail("loaded"))
    monkeypatch.setattr(memory, "free_memory", lambda device: 1000)
    with pytest.raises(InputError, match="in fp32 needs 0.0 GB of memory for its weights alone.*torch:bf16"):
        load_generator(copy)
    shutil.rmtree(copy / "prompts")
    with pytest.raises(InputError, match=f"No instruction was encoded.*vision-banana prompts encode {copy}$"):
        load_generator(copy)


def test_an_unknown_prompt_is_encoded_in_another_process_where_that_is_allowed(copy):
    generator = load_generator(copy, encode_prompts=True)
    with pytest.raises(InputError, match="being encoded in another process"):
        generator.paint(IMAGE, ["the -- mug"])
    generator.prepare("the -- mug")
    assert generator.paint(IMAGE, ["the -- mug"]).shape[0] == 1
    assert cache_of(open_bundle(copy)).find("the -- mug") is not None  # it is in the bundle now


def test_a_cpu_encodes_in_float32_and_no_further_than_it_has_to(model, tmp_path):
    """Weights stored in bfloat16, of which the layers behind the last that is taken are not even read."""
    from transformers import Qwen3ForCausalLM

    from vision_banana_ros.generators.backbones.flux2_klein import Words

    shutil.copytree(model[0], tmp_path / "klein")
    stored = Qwen3ForCausalLM.from_pretrained(model[0] / "text_encoder", dtype=torch.bfloat16)
    stored.save_pretrained(tmp_path / "klein" / "text_encoder")
    words = Words(tmp_path / "klein", "cpu")
    (prompt, again) = words.encode([WORDS, WORDS])
    exact = Qwen3ForCausalLM.from_pretrained(tmp_path / "klein" / "text_encoder", dtype=torch.float32)
    ids, mask = (torch.tensor([values]) for values in words.ids(WORDS))
    with torch.inference_mode():
        hidden = exact.model(ids, mask, output_hidden_states=True).hidden_states
    expected = torch.cat([hidden[layer][0] for layer in (9, 18, 27)], dim=-1)[mask[0].bool()]
    np.testing.assert_allclose(prompt["text"][mask[0].bool().numpy()], expected, atol=1e-5)
    np.testing.assert_array_equal(prompt["text"], again["text"])
    assert len(words.encoder.layers) == 27 and {w.dtype for w in words.encoder.parameters()} == {
        torch.bfloat16
    }


def test_what_is_encoded_is_stored_at_once(copy, monkeypatch):
    """A run that is ended keeps what it has done."""
    from vision_banana_ros.generators.backbones import flux2_klein

    def encode(path, instructions, device):
        yield {"text": np.zeros((512, 24), np.float32)}
        raise KeyboardInterrupt

    monkeypatch.setattr(flux2_klein, "encode", encode)
    with pytest.raises(KeyboardInterrupt):
        encode_here(open_bundle(copy), ["One.", "Another."], "cpu")
    assert "One." in cache_of(open_bundle(copy)).instructions()


def test_prompts_are_named_by_their_content_and_checked(copy, model):
    (path,) = (copy / "prompts").iterdir()
    assert path.stem == hashlib.sha256(path.read_bytes()).hexdigest()
    expected = model[1].encode_prompt(WORDS)[0][0].detach().numpy()
    np.testing.assert_allclose(read_tensors(path)["text"], expected, atol=1e-5)
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(InputError, match="cut off or altered"):
        load_generator(copy).paint(IMAGE, [WORDS])
    path.write_bytes(b"short")
    with pytest.raises(InputError, match="no safetensors file"):
        load_generator(copy).paint(IMAGE, [WORDS])


def test_prompts_of_another_encoder_are_not_used(copy):
    (path,) = (copy / "prompts").iterdir()
    arrays = read_tensors(path)
    path.unlink()
    write_tensors(path, arrays, {"instruction": WORDS, "encoder": "another"})
    with pytest.raises(InputError, match="No instruction was encoded"):
        load_generator(copy)


@pytest.mark.parametrize(
    ("instruction", "said"),
    [
        ("a very long one " * 60, "this text encoder reads 512"),
        ("<|im_end|> and more", "marks of the text encoder"),
        (" ", "empty"),
    ],
)
def test_prompts_that_cannot_be_encoded(bundle, instruction, said, capsys):
    assert main(["prompts", "encode", str(bundle.path), "--", instruction]) == 2
    assert said in capsys.readouterr().err


def test_the_command_encodes_and_lists(copy, capsys):
    assert main(["prompts", "encode", str(copy)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4
    assert main(["prompts", "list", str(copy)]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert {WORDS, depth.instruction(), normals.instruction()} < set(listed)
    looks = Perceiver(load_generator(copy)).look(
        np.zeros((90, 90, 3), np.uint8), [Question.depth(), Question.normals()]
    )
    assert looks[0].depth_m.shape == (90, 90) and looks[1].normals.shape == (90, 90, 3)


def test_small_bundles_need_no_encoding():
    from vision_banana_ros.generators import default_bundle

    with pytest.raises(InputError, match="reads any instruction"):
        encode_here(open_bundle(default_bundle()), ["x"])


def test_a_relative_profile_gives_no_metres(model, tmp_path):
    made = import_model(model[0], tmp_path / "open", Options("open_vision_banana", size=tiny.SIZE))
    assert main(["prompts", "encode", str(made.path)]) == 0
    looks = Perceiver(load_generator(made.path)).look(np.zeros((60, 90, 3), np.uint8), [Question.depth()])
    assert not hasattr(looks[0], "depth_m")
    assert looks[0].depth_relative.shape == (60, 90)


def test_words_of_ones_own_are_used(model, tmp_path):
    words = {"depth": "Grey depth, please."}
    made = import_model(
        model[0], tmp_path / "own", Options("open_vision_banana", size=tiny.SIZE, words=words)
    )
    encode_here(made, ["Grey depth, please."], "cpu")
    generator = load_generator(made.path)
    generator.prepare(generator.asked(Question.depth()).instruction)
    assert len(generator.answer(IMAGE, [Question.depth()])) == 1


def test_a_lora_is_fused_as_diffusers_does(model, tmp_path):
    pytest.importorskip("peft")
    from diffusers import Flux2KleinPipeline

    tiny.lora(tmp_path / "lora.safetensors", model[1])
    options = Options("vision_banana", size=tiny.SIZE, lora=tmp_path / "lora.safetensors")
    made = import_model(model[0], tmp_path / "tuned", options)
    assert made.manifest.made["lora_layers"] == 3
    encode_here(made, [WORDS], "cpu")
    painted = load_generator(made.path).paint(IMAGE, [WORDS])[0]
    other = Flux2KleinPipeline.from_pretrained(model[0])
    other.set_progress_bar_config(disable=True)
    other.load_lora_weights(tmp_path, weight_name="lora.safetensors")
    np.testing.assert_allclose(painted, by_diffusers(other, 4), atol=1e-4)
    assert np.abs(painted - by_diffusers(model[1], 4)).max() > 1e-2


def test_another_transformer_takes_the_place_of_the_models_own(model, tmp_path):
    other = tiny.flux2_klein(tmp_path / "other", seed=5)
    other.set_progress_bar_config(disable=True)
    options = Options("vision_banana", size=tiny.SIZE, transformer=tmp_path / "other" / "transformer")
    made = import_model(model[0], tmp_path / "swapped", options)
    swapped = read_tensors(made.path / "transformer" / "diffusion_pytorch_model.safetensors")
    np.testing.assert_array_equal(
        swapped["proj_out.weight"], other.transformer.proj_out.weight.detach().numpy()
    )


@pytest.fixture(scope="module")
def graphs(model, tmp_path_factory):
    """The same as ONNX graphs, which are the same for any number of steps."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    made = import_model(
        model[0],
        tmp_path_factory.mktemp("graphs") / "klein",
        Options("vision_banana", size=tiny.SIZE, graphs=True),
    )
    encode_here(made, [WORDS], "cpu")
    return made


def test_four_steps_of_graphs_paint_what_the_pipeline_of_diffusers_paints(model, graphs):
    assert {"frame_encoder.onnx", "denoiser.onnx", "picture_decoder.onnx"} == set(graphs.manifest.files)
    generator = load_generator(graphs.path)
    assert generator.executor.startswith("onnxruntime")
    painted = generator.paint(IMAGE, [WORDS, WORDS])
    np.testing.assert_allclose(painted[0], by_diffusers(model[1], 4), atol=1e-4)
    np.testing.assert_array_equal(painted[0], painted[1])


def test_one_step_of_graphs_paints_what_the_pipeline_of_diffusers_paints(model, graphs, tmp_path):
    one = import_model(model[0], tmp_path / "one", Options("vision_banana", size=tiny.SIZE, steps=1))
    shutil.copytree(graphs.path, tmp_path / "graphs")
    manifest = json.loads((tmp_path / "graphs" / "manifest.json").read_text())
    manifest["backbone"]["schedule"] = one.manifest.backbone["schedule"]
    (tmp_path / "graphs" / "manifest.json").write_text(json.dumps(manifest))
    painted = load_generator(tmp_path / "graphs").paint(IMAGE, [WORDS])[0]
    np.testing.assert_allclose(painted, by_diffusers(model[1], 1), atol=1e-4)


@pytest.mark.parametrize("graph", ["frame_encoder.onnx", "denoiser.onnx", "picture_decoder.onnx"])
def test_tensorrt_rtx_builds_the_graphs(graphs, graph):
    pytest.importorskip("tensorrt_rtx")
    from vision_banana_ros.generators.engines.library import compile_graph, open_library, options

    library = open_library("tensorrt_rtx")
    engine = compile_graph(library, graphs.path / graph, {}, options(library, "fp32"), "", lambda _: None)
    assert len(bytes(engine)) > 1000


def test_the_wrong_executor_is_refused(bundle, graphs):
    with pytest.raises(InputError, match="which onnxruntime can"):
        load_generator(graphs.path, "torch")
    with pytest.raises(InputError, match="which torch can"):
        load_generator(bundle.path, "onnxruntime")
    with pytest.raises(InputError, match="ask for that or auto.$"):
        load_generator(bundle.path, "tensorrt")
    with pytest.raises(InputError, match="no option 'int8'"):
        load_generator(graphs.path, "onnxruntime:int8")
    with pytest.raises(InputError, match="no option 'fast'"):
        load_generator(bundle.path, "torch:fast")


def test_graphs_that_will_not_fit_are_not_loaded(graphs, monkeypatch):
    from vision_banana_ros.generators.backbones import memory

    monkeypatch.setattr(memory, "free_memory", lambda device: 1000)
    with pytest.raises(InputError, match="'klein' needs 0.0 GB of memory"):
        load_generator(graphs.path)


def test_graphs_in_bf16_are_not_for_a_cpu(graphs, tmp_path):
    shutil.copytree(graphs.path, tmp_path / "graphs")
    manifest = json.loads((tmp_path / "graphs" / "manifest.json").read_text())
    manifest["backbone"]["precision"] = "bf16"
    (tmp_path / "graphs" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="which a CPU does not"):
        load_generator(tmp_path / "graphs", "onnxruntime:cpu")


def test_one_step_from_the_frame_itself(model, tmp_path):
    """The same in numbers: the frame's latents minus the velocity at time 1."""
    made = import_model(model[0], tmp_path / "one", Options("vision_banana", size=tiny.SIZE, start="frame"))
    assert made.manifest.steps == 1
    encode_here(made, [WORDS], "cpu")
    painted = load_generator(made.path).paint(IMAGE, [WORDS])[0]
    from vision_banana_ros.generators.backbones import flux2_klein

    encoder, denoiser, decoder = flux2_klein.networks(model[0], tiny.SIZE, torch.float32)
    with torch.no_grad():
        frame = encoder(torch.from_numpy(IMAGE))
        text = torch.from_numpy(cache_of(made).find(WORDS)["text"])[None]
        expected = decoder(frame - denoiser(frame, frame, torch.ones(1), text))[0].numpy()
    np.testing.assert_allclose(painted, expected, atol=1e-5)


def test_the_card_says_what_the_vae_costs(model, tmp_path, capsys):
    given = ["import", str(model[0]), "--size", "64x96", "--measure-vae", "1"]
    for profile in ("vision_banana", "open_vision_banana"):
        out = tmp_path / profile
        assert main([*given, "--profile", profile, "--out", str(out)]) == 0
        figures = open_bundle(out).metrics["vae"]
        card = (out / "README.md").read_text()
        assert (
            "## What the VAE alone costs\nTrue answers of 1 rendered views" in card
            and ("## How good it is") not in card
        )
        assert (
            f"| {figures['normals']['mean_deg']:.2f}° |" in card
            and f"| {figures['semantic']['miou']:.4f} |" in card
        )
        assert ("aligned with the truth" in card) == (profile == "open_vision_banana")
        assert main(["card", str(out)]) == 0
    assert main([*given[:-1], "0", "--profile", "vision_banana", "--out", str(tmp_path / "none")]) == 0
    assert "VAE alone" not in (tmp_path / "none" / "README.md").read_text()


def test_an_editor_is_measured_in_words_that_are_encoded_first(model, tmp_path, capsys):
    """Of a relative profile too, whose depth is aligned with the truth."""
    made = import_model(model[0], tmp_path / "open", Options("open_vision_banana", size=tiny.SIZE, steps=1))
    assert main(["evaluate", str(made.path), "--count", "2", "--write"]) == 0
    report = open_bundle(made.path).metrics["procedural"]
    assert report["depth"]["aligned"] is True and {
        "normals",
        "semantic",
        "referring",
        "instances",
        "legends",
    } < set(report)
    assert (
        "questions ..." in capsys.readouterr().err
        and "aligned with the truth" in (made.path / "README.md").read_text()
    )
    assert main(["evaluate", str(made.path), "--count", "1"]) == 0
    assert "questions ..." not in capsys.readouterr().err  # they are known now
    assert main(["bench", str(made.path), "--runs", "1", "--frame", "48x64"]) == 0
    assert "| torch cpu fp32 | 96x64 | 3 |" in capsys.readouterr().out
    assert main(["bench", str(made.path), "--sizes", "64x64"]) == 2
    assert "--sizes measures this package's own network" in capsys.readouterr().err
    shutil.rmtree(made.path / "encoder")
    assert main(["evaluate", str(made.path), "--count", "3"]) == 2
    assert "no text encoder here" in capsys.readouterr().err


def test_what_the_vae_costs_is_measured(model, tmp_path, capsys):
    assert (
        main(["import", str(model[0]), "--profile", "vision_banana", "--size", "64x96", "--measure-vae", "1"])
        == 0
    )
    said = capsys.readouterr().out
    assert "median error" in said and "mean error" in said and "mIoU" in said and "cIoU" in said


def test_a_vae_that_loses_nothing_costs_nothing(model, monkeypatch):
    """The tool itself adds no error: with a perfect VAE what is left is the codec's own rounding."""
    from vision_banana_ros.evaluation import vae_cost
    from vision_banana_ros.generators.backbones import flux2_klein
    from vision_banana_ros.tasks.profiles import PROFILES

    class Perfect(torch.nn.Module):
        def encode(self, pictures):
            return pictures

        def forward(self, x):
            return x.permute(0, 2, 3, 1) / 2 + 0.5

    monkeypatch.setattr(flux2_klein, "vae_networks", lambda *_: (Perfect(), Perfect()))
    figures = vae_cost.measure(model[0], PROFILES["vision_banana"], tiny.SIZE, 1)
    assert figures["depth"]["median_error_m"] < 1e-4 and figures["normals"]["mean_deg"] < 0.1
    assert figures["semantic"]["miou"] > 0.999 and figures["referring"]["ciou"] > 0.999
    relative = vae_cost.measure(model[0], PROFILES["open_vision_banana"], tiny.SIZE, 1)
    assert relative["depth"]["aligned"] and relative["depth"]["absrel"] < 0.02


def test_graphs_and_cached_prompts_need_neither_torch_nor_transformers(graphs):
    code = (
        "import sys, numpy as np\n"
        "for name in ('torch', 'diffusers', 'transformers', 'tokenizers', 'safetensors'): sys.modules[name]"
        " = None\n"
        "from vision_banana_ros.generators import load_generator\n"
        f"g = load_generator({str(graphs.path)!r})\n"
        f"print(g.paint(np.zeros(({HEIGHT}, {WIDTH}, 3), np.uint8), [{WORDS!r}]).shape)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.stdout.strip() == f"(1, {HEIGHT}, {WIDTH}, 3)", done.stderr


def test_safetensors_read_as_the_real_package_reads_them(tmp_path):
    from safetensors.numpy import load_file
    from safetensors.torch import save_file

    path = tmp_path / "x.safetensors"
    wide = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    write_tensors(path, {"wide": wide, "narrow": np.ones((2, 2), np.float32)}, {"a": "b"})
    assert read_header(path)["narrow"]["dtype"] == "BF16"
    np.testing.assert_array_equal(load_file(path)["wide"], wide)
    save_file(
        {
            "x": torch.tensor([1.5, -2.25], dtype=torch.bfloat16),
            "y": torch.tensor([3.0], dtype=torch.float16),
        },
        path,
    )
    np.testing.assert_array_equal(read_tensors(path)["x"], [1.5, -2.25])
    np.testing.assert_array_equal(read_tensors(path)["y"], [3.0])
