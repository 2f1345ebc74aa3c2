# SPDX-License-Identifier: Apache-2.0
"""What FLUX.2-klein-4B costs at its real size before a GPU sees it.

Random weights of the published shapes are written a block at a time (the text encoder with the 27 of its 36
layers that are used). Import, encoding, a LoRA, graphs, TensorRT's parser and start of the bundle each run in
a process of their own, of which CPU time, wall time, the most memory and the files are noted. `python
benchmark/open_weights_size.py FOLDER` needs 40 GB in FOLDER, and writes the figures into open_weights.json.
"""

import json
import os
import resource
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from transformers import Qwen3Config, Qwen3Model

from vision_banana_ros.evaluation.machine import cpu_name
from vision_banana_ros.generators.backbones.flux2_klein import _LAYERS

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "test" / "support"))
import tiny_editors  # noqa: E402

CONFIG = HERE.parent / "test" / "data" / "real_configs" / "FLUX.2-klein-4B.json"
OUT = HERE / "open_weights.json"
BLOCK = 1 << 22  # numbers that repeat in the files
LARGE = 2_000_000_000
COMMAND = "from vision_banana_ros.cli.main import main; import sys; sys.exit(main(sys.argv[1:]))"
OPEN = "from vision_banana_ros.generators import open_bundle; import sys; open_bundle(sys.argv[1])"
LOAD = "from vision_banana_ros.generators import load_generator; import sys; load_generator(sys.argv[1])"
PARSE = """
import sys, tensorrt_rtx as trt
messages = trt.Logger(trt.Logger.ERROR)
builder = trt.Builder(messages)
network = builder.create_network(0)
parser = trt.OnnxParser(network, messages)
parsed = parser.parse_from_file(sys.argv[1])
print(f"{network.num_layers} layers")
sys.exit(0 if parsed else 1)
"""


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")  # no checksum is remembered yet
    config = json.loads(CONFIG.read_text())
    model, lora = folder / "klein", folder / "lora.safetensors"
    write_model(model, config)
    write_lora(lora, config)
    given = ["import", str(model), "--profile", "vision_banana", "--measure-vae", "0"]
    steps: dict[str, Any] = {"model": about(model, folder)}

    bundle = folder / "bundle"
    steps["import"] = step(COMMAND, *given, "--out", str(bundle)) | about(bundle, folder)
    steps["open, checksums remembered from the import"] = step(OPEN, str(bundle))
    shutil.rmtree(folder / "cache")
    steps["open for the first time"] = step(OPEN, str(bundle))
    steps["open again"] = step(OPEN, str(bundle))
    steps["load without any encoded prompt"] = step(LOAD, str(bundle))
    steps["engine build"] = step(COMMAND, "engine", "build", str(bundle))
    encode = ["prompts", "encode", "--device", "cpu", str(bundle), "Estimate the depth."]
    steps["encode a prompt on the CPU"] = step(COMMAND, *encode)
    shutil.rmtree(bundle)

    tuned = folder / "tuned"
    asked = [*given, "--no-encoder", "--lora", str(lora), "--out", str(tuned)]
    steps["import with a LoRA of rank 16"] = step(COMMAND, *asked) | about(tuned, folder)
    shutil.rmtree(tuned)

    graphs = folder / "graphs"
    asked = [
        *given,
        "--no-encoder",
        "--size",
        "384x512",
        "--graphs",
        "--precision",
        "bf16",
        "--out",
        str(graphs),
    ]
    steps["import as graphs, bf16, 384x512"] = step(COMMAND, *asked, "--out", str(graphs)) | about(
        graphs, folder
    )
    steps["parse the denoiser's graph with TensorRT-RTX"] = step(PARSE, str(graphs / "denoiser.onnx"))
    steps["load graphs without any encoded prompt"] = step(LOAD, str(graphs))

    kept = json.loads(OUT.read_text()) if OUT.is_file() else {}
    made = {
        "command": "python benchmark/open_weights_size.py FOLDER",
        "cpu": cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "memory": "anonymous pages of the process, GB: those of files can be dropped by the kernel",
    }
    written = json.dumps({**kept, "size of klein-4B": {**made, "steps": steps}}, indent=1) + "\n"
    OUT.write_text(written.replace(str(folder), "FOLDER"))
    shutil.rmtree(folder)


def step(code: str, *arguments: str) -> dict[str, Any]:
    """Runs a process: its figures, its exit status and the last line that it wrote."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    most = 0
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        while process.poll() is None:
            most = max(most, anonymous_bytes(process.pid))
            time.sleep(0.05)
        assert process.stdout is not None
        said = process.stdout.read().strip().splitlines()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    figures = {
        "cpu_s": round(cpu_s, 1),
        "wall_s": round(time.monotonic() - started, 1),
        "memory_gb": round(most / 1e9, 2),
        "load_average": round(os.getloadavg()[0], 1),
        "exit": process.returncode,
        "said": said[-1][-300:] if said else "",
    }
    print(arguments, figures, flush=True)
    return figures


def anonymous_bytes(pid: int) -> int:
    """Memory of a process without pages of files."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon")), 0)


def about(made: Path, folder: Path) -> dict[str, Any]:
    """What a folder takes: its files, those that no other folder shares by hard links, and the large ones."""
    files = [file for file in made.rglob("*") if file.is_file()]
    own = sum(file.stat().st_size for file in files if file.stat().st_nlink == 1)
    large = {
        str(file.relative_to(made)): round(file.stat().st_size / 1e9, 2)
        for file in sorted(files)
        if file.stat().st_size > LARGE
    }
    total = sum(file.stat().st_size for file in files)
    figures = {"files_gb": round(total / 1e9, 2), "own_gb": round(own / 1e9, 2), "over_2_gb": large}
    print(made.relative_to(folder), figures, flush=True)
    return figures


def write_model(folder: Path, config: dict[str, Any]) -> None:
    for component in ("transformer", "vae", "scheduler", "text_encoder"):
        (folder / component).mkdir(parents=True)
    (folder / "model_index.json").write_text(json.dumps(config["model_index"]))
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(config["scheduler"]))
    tiny_editors.tokenizer(folder / "tokenizer")
    for component in ("transformer", "vae"):
        (folder / component / "config.json").write_text(json.dumps(config[component]))
        with torch.device("meta"):
            network = getattr(diffusers, config["model_index"][component][1]).from_config(config[component])
        write_weights(folder / component / "diffusion_pytorch_model.safetensors", shapes_of(network))
    layers = max(_LAYERS)
    encoder = {
        **config["text_encoder"],
        "num_hidden_layers": layers,
        "layer_types": config["text_encoder"]["layer_types"][:layers],
    }
    (folder / "text_encoder" / "config.json").write_text(json.dumps(encoder))
    with torch.device("meta"):
        words = Qwen3Model(Qwen3Config(**encoder))
    shapes = {f"model.{name}": shape for name, shape in shapes_of(words).items()}
    write_weights(folder / "text_encoder" / "model.safetensors", shapes)


def write_lora(path: Path, config: dict[str, Any], rank: int = 16) -> None:
    with torch.device("meta"):
        network = diffusers.Flux2Transformer2DModel.from_config(config["transformer"])
    shapes = {}
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.Linear) and ".attn." in name:
            shapes[f"transformer.{name}.lora_A.weight"] = (rank, module.in_features)
            shapes[f"transformer.{name}.lora_B.weight"] = (module.out_features, rank)
    write_weights(path, shapes)


def shapes_of(network: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {
        name: tuple(values.shape)
        for name, values in network.state_dict().items()
        if values.is_floating_point()
    }


def write_weights(path: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    """A safetensors file of bfloat16 weights of these shapes, written a block at a time."""
    block = (
        (np.random.default_rng(0).normal(0, 0.02, BLOCK).astype("<f4").view("<u4") >> 16)
        .astype("<u2")
        .tobytes()
    )
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, shape in shapes.items():
        length = 2 * int(np.prod(shape, dtype=np.int64))
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, offset + length]}
        offset += length
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        while offset:
            offset -= file.write(block[: min(len(block), offset)])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
