# SPDX-License-Identifier: Apache-2.0
"""Models that cannot be imported, each with a sentence that says why, and nothing left behind."""

import errno
import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")
pytest.importorskip("tokenizers")

import tiny_editors as tiny  # noqa: E402

from vision_banana_ros.cli.main import main  # noqa: E402
from vision_banana_ros.errors import InputError  # noqa: E402
from vision_banana_ros.generators import load_generator, open_bundle  # noqa: E402
from vision_banana_ros.generators.backbones import importing  # noqa: E402
from vision_banana_ros.generators.backbones.importing import Options, import_model  # noqa: E402

WHOLE = Options("vision_banana", size=tiny.SIZE)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "klein"
    return folder, tiny.flux2_klein(folder)


@pytest.fixture
def model(whole, tmp_path):
    shutil.copytree(whole[0], tmp_path / "klein")
    return tmp_path / "klein"


def refused(model, said, options=WHOLE):
    out = model.parent / "bundle"
    with pytest.raises(InputError, match=said):
        import_model(model, out, options)
    assert sorted(path.name for path in out.parent.iterdir() if path.name.startswith((".", "bundle"))) == []


def test_the_command_makes_a_bundle(model, capsys):
    out = model.parent / "bundle"
    assert (
        main(
            [
                "import",
                str(model),
                "--profile",
                "vision_banana",
                "--size",
                "64x96",
                "--out",
                str(out),
                "--licence",
                "mine",
            ]
        )
        == 0
    )
    assert f"prompts encode {out}" in capsys.readouterr().out
    manifest = open_bundle(out).manifest
    assert (manifest.licence, manifest.codec, manifest.steps, manifest.size) == (
        "mine",
        "vision_banana",
        4,
        (64, 96),
    )
    assert main(["info", "--all", str(out)]) == 0
    assert "transformer/diffusion_pytorch_model.safetensors" in capsys.readouterr().out
    assert main(["import", str(model), "--profile", "vision_banana", "--out", str(out)]) == 2
    assert "already there" in capsys.readouterr().err
    assert main(["import", str(model), "--profile", "vision_banana"]) == 2
    assert "Give --out" in capsys.readouterr().err


def test_an_altered_bundle_is_refused(model):
    made = import_model(model, model.parent / "bundle", WHOLE)
    config = made.path / "vae" / "config.json"
    config.write_text(config.read_text() + " ")
    with pytest.raises(InputError, match="vae/config.json in bundle"):
        load_generator(made.path)


@pytest.mark.parametrize("component", ["transformer", "vae", "scheduler", "text_encoder", "tokenizer"])
def test_a_missing_component(model, component):
    shutil.rmtree(model / component)
    refused(model, f"lacks its component {component}")


def test_no_folder_and_no_index(model):
    refused(model / "nowhere", "There is no folder")
    refused(model / "vae", "holds no model_index.json")


def test_a_pipe_in_place_of_safetensors_is_not_waited_for(model):
    weights = model / "transformer" / "diffusion_pytorch_model.safetensors"
    weights.unlink()
    os.mkfifo(weights)
    refused(model, "no ordinary file")


def test_a_pickle_in_place_of_safetensors(model):
    weights = model / "transformer" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    refused(model, "only diffusion_pytorch_model.bin, a pickle")


def test_pickles_and_code_beside_safetensors_are_left_behind(model):
    (model / "transformer" / "evil.bin").write_bytes(b"pickle")
    (model / "transformer" / "evil.py").write_text("raise SystemExit")
    (model / "tokenizer" / "chat_template.jinja").write_text("{{ evil }}")
    made = import_model(model, model.parent / "bundle", WHOLE)
    kinds = {path.suffix for path in made.path.rglob("*") if path.is_file()}
    assert kinds == {".json", ".safetensors"}


def test_a_link_that_leads_out(model, tmp_path):
    weights = model / "vae" / "diffusion_pytorch_model.safetensors"
    weights.rename(tmp_path / "elsewhere.safetensors")
    weights.symlink_to(tmp_path / "elsewhere.safetensors")
    refused(model, "is a link to a place outside")


@pytest.mark.parametrize("pipeline", ["StableDiffusionPipeline", ["pipeline", "Evil"], None])
def test_an_unknown_pipeline(model, pipeline):
    index = json.loads((model / "model_index.json").read_text())
    (model / "model_index.json").write_text(json.dumps(index | {"_class_name": pipeline}))
    refused(model, "is not known here: choose weights of one of Flux2KleinPipeline")


def test_a_component_of_another_class(model):
    index = json.loads((model / "model_index.json").read_text())
    (model / "model_index.json").write_text(
        json.dumps(index | {"transformer": ["my_module", "Flux2Transformer2DModel"]})
    )
    refused(model, "needs Flux2Transformer2DModel")


def test_files_that_cannot_be_read(model):
    (model / "vae" / "config.json").write_text("{")
    refused(model, "cannot be read as JSON")
    shutil.rmtree(model / "vae")
    refused(model, "lacks its component vae")


@pytest.mark.parametrize(
    "weights", ["vae/diffusion_pytorch_model", "transformer/diffusion_pytorch_model", "text_encoder/model"]
)
def test_cut_off_weights(model, weights):
    file = model / f"{weights}.safetensors"
    file.write_bytes(file.read_bytes()[:-10])
    refused(model, "no safetensors file, or was cut off")


def test_a_missing_shard(model):
    shards = {
        "a": "diffusion_pytorch_model.safetensors",
        "b": "diffusion_pytorch_model-00002-of-00002.safetensors",
    }
    (model / "transformer" / "diffusion_pytorch_model.safetensors.index.json").write_text(
        json.dumps({"weight_map": shards})
    )
    refused(model, "lacks diffusion_pytorch_model-00002-of-00002.safetensors")


def test_a_vae_with_other_latent_channels(model, tmp_path):
    tiny.flux2_klein(tmp_path / "other", latent_channels=8)
    shutil.rmtree(model / "vae")
    shutil.copytree(tmp_path / "other" / "vae", model / "vae")
    refused(model, "The VAE has 8 latent channels, the transformer was made for 4")
    config = json.loads((model / "vae" / "config.json").read_text())
    (model / "vae" / "config.json").write_text(json.dumps(config | {"latent_channels": 4}))
    refused(model, "weights have 8 latent channels, its configuration says 4")


def test_a_text_encoder_of_another_model(model, tmp_path):
    tiny.flux2_klein(tmp_path / "other", text_width=16)
    shutil.rmtree(model / "text_encoder")
    shutil.copytree(tmp_path / "other" / "text_encoder", model / "text_encoder")
    refused(model, "The text encoder gives 48 numbers a token, the transformer reads 24")


def test_profiles_and_options_that_do_not_fit(model):
    refused(
        model,
        "does not fit Flux2KleinPipeline: give vision_banana or open_vision_banana",
        Options("marigold_depth"),
    )
    refused(model, "There is no profile 'metric'", Options("metric"))
    refused(model, "fixed instructions", Options("vision_banana", words={"depth": "Depth!"}))
    refused(model, "lack {legend}", Options("open_vision_banana", words={"semantic": "Classes!"}))
    refused(model, "multiples of 16", Options("vision_banana", size=(100, 100)))
    refused(model, "0 steps cannot be", Options("vision_banana", steps=0))
    refused(model, "cannot start from 'nothing'", Options("vision_banana", start="nothing"))
    refused(model, "takes one step", Options("vision_banana", start="frame", steps=4))
    refused(model, "not in int8", Options("vision_banana", precision="int8"))


def test_loras_that_do_not_fit(model, tmp_path):
    def with_lora(path):
        return Options("vision_banana", size=tiny.SIZE, lora=path)

    path = tmp_path / "lora.safetensors"
    refused(model, "no LoRA file", with_lora(path))
    tiny.bare_lora(path, "transformer_blocks.0.attn.to_q", width=3072)
    refused(
        model,
        "made for another base: its 'transformer_blocks.0.attn.to_q' is .2, 3072., this model's layer is"
        " 32x32",
        with_lora(path),
    )
    tiny.bare_lora(path, "transformer_blocks.20.attn.to_q", width=32)
    refused(model, "which this model does not have", with_lora(path))
    path.write_bytes(b"\x80\x04pickled")
    refused(model, "no safetensors file", with_lora(path))
    path.rename(tmp_path / "lora.bin")
    refused(model, "can run any code", with_lora(tmp_path / "lora.bin"))


def test_a_disk_without_room(model, monkeypatch):
    full = type("Usage", (), {"free": 1000})()
    monkeypatch.setattr(importing.shutil, "disk_usage", lambda _: full)
    refused(model, "make room there")


def test_a_disk_that_fills_while_importing(model, monkeypatch):
    copied = []

    def fill(source, to):
        if len(copied) == 3:
            raise OSError(errno.ENOSPC, "No space left on device", str(to))
        copied.append(to)
        to.write_bytes(source.read_bytes())

    monkeypatch.setattr(importing.shutil, "copyfile", fill)
    refused(model, "is full: nothing was imported")
    assert len(copied) == 3


def test_a_disk_that_fills_while_a_lora_is_added(model, whole, tmp_path, monkeypatch):
    pytest.importorskip("peft")
    tiny.lora(tmp_path / "lora.safetensors", whole[1])

    def fill(source, to):
        raise OSError(errno.ENOSPC, "No space left on device", str(to))

    monkeypatch.setattr("vision_banana_ros.generators.backbones.lora.shutil.copyfile", fill)
    refused(
        model,
        "is full: nothing was imported",
        Options("vision_banana", size=tiny.SIZE, lora=tmp_path / "lora.safetensors"),
    )


def test_a_lora_is_added_to_bfloat16_in_float32_and_rounded_once(model, whole, tmp_path):
    """As it is added to the same weights in float32, and rounded after that."""
    pytest.importorskip("peft")
    from safetensors.torch import load_file, save_file

    tiny.lora(tmp_path / "lora.safetensors", whole[1], strength=0.05)
    file = model / "transformer" / "diffusion_pytorch_model.safetensors"
    halves = {name: values.bfloat16() for name, values in load_file(file).items()}
    save_file(halves, file, {"format": "pt"})
    from diffusers import Flux2KleinPipeline

    pipeline = Flux2KleinPipeline.from_pretrained(model)
    pipeline.transformer.float()
    pipeline.load_lora_weights(tmp_path, weight_name="lora.safetensors")
    pipeline.fuse_lora()
    pipeline.unload_lora_weights()
    out = model.parent / "bundle"
    import_model(
        model,
        out,
        Options("vision_banana", size=tiny.SIZE, encoder=False, lora=tmp_path / "lora.safetensors"),
    )
    fused = load_file(out / "transformer" / file.name)
    changed = 0
    for name, values in pipeline.transformer.state_dict().items():
        assert fused[name].dtype == torch.bfloat16
        torch.testing.assert_close(
            fused[name], values.bfloat16(), rtol=0.008, atol=0
        )  # a sum in another order: one step at most
        assert (fused[name] != values.bfloat16()).float().mean() < 0.01
        changed += not torch.equal(fused[name], halves[name])
    assert changed == 3


def test_copies_of_the_weights_in_another_precision_are_left_behind(model):
    for component in ("transformer", "vae"):
        for name in (
            "diffusion_pytorch_model.fp16.safetensors",
            "diffusion_pytorch_model.safetensors.index.fp16.json",
        ):
            (model / component / name).write_bytes(b"not read")
    (model / "text_encoder" / "model.fp16-00001-of-00002.safetensors").write_bytes(b"not read")
    out = model.parent / "bundle"
    manifest = import_model(model, out, WHOLE).manifest
    assert not any("fp16" in name for name in (*manifest.files, *manifest.backbone["encoder"]["files"]))
    assert not [path for path in out.rglob("*") if "fp16" in path.name]


@pytest.mark.parametrize("copy", [False, True])
def test_weights_take_no_room_twice_unless_a_copy_is_wanted(model, copy, monkeypatch):
    file = model / "transformer" / "diffusion_pytorch_model.safetensors"
    made = import_model(model, model.parent / "bundle", replace(WHOLE, copy=copy))
    shared = [path.stat().st_nlink == 2 for path in made.path.rglob("*.safetensors")]
    assert len(shared) == 3 and set(shared) == {not copy}
    assert file.stat().st_nlink == (1 if copy else 2)
    assert (made.path / "transformer" / "config.json").stat().st_nlink == 1

    def no_links(source, to):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(importing.os, "link", no_links)
    other = import_model(model, model.parent / "other", replace(WHOLE, copy=copy))
    assert {path.stat().st_nlink for path in other.path.rglob("*.safetensors")} == {1}


def test_only_a_copy_in_another_precision(model):
    file = model / "vae" / "diffusion_pytorch_model.safetensors"
    file.rename(file.with_name("diffusion_pytorch_model.fp16.safetensors"))
    refused(model, "only diffusion_pytorch_model.fp16.safetensors, a copy in another precision")


def test_what_was_imported_is_the_model(model, whole):
    made = import_model(model, model.parent / "bundle", WHOLE)
    from vision_banana_ros.generators.backbones.diffusers_folder import read_tensors

    weights = read_tensors(made.path / "transformer" / "diffusion_pytorch_model.safetensors")
    np.testing.assert_array_equal(
        weights["proj_out.weight"], whole[1].transformer.proj_out.weight.detach().numpy()
    )
