# SPDX-License-Identifier: Apache-2.0
"""Imports an open image editor in diffusers' format as a bundle, with or without a LoRA.

Of the folder only configuration JSON, tokenizer tables and safetensors are read: no pickle, no code, no link
that leads out of it.
"""

import argparse
from pathlib import Path

from vision_banana_ros.cli.shared.sizes import size
from vision_banana_ros.errors import InputError
from vision_banana_ros.evaluation.card import ONE_STEP, VAE, depth_note, vae_table, write_card
from vision_banana_ros.evaluation.figures import tidy
from vision_banana_ros.evaluation.vae_cost import measure
from vision_banana_ros.generators.backbones.diffusers_folder import open_folder, read_json
from vision_banana_ros.generators.backbones.family import FAMILIES
from vision_banana_ros.generators.backbones.importing import Options, import_model
from vision_banana_ros.generators.backbones.lora import comparison_of
from vision_banana_ros.generators.bundle import add_metrics
from vision_banana_ros.tasks.profiles import profile

VAE_VIEWS = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the verb to its parser."""
    parser.add_argument("source", type=Path, metavar="DIFFUSERS_DIR", help="folder with model_index.json")
    parser.add_argument(
        "--profile",
        required=True,
        help="vision_banana, open_vision_banana, marigold_depth or marigold_normals",
    )
    parser.add_argument(
        "--out", type=Path, metavar="BUNDLE", help="output folder of the bundle; optional with --measure-vae"
    )
    parser.add_argument(
        "--lora", type=Path, metavar="FILE", help="LoRA (.safetensors) to merge into the denoiser"
    )
    parser.add_argument(
        "--transformer",
        type=Path,
        metavar="DIR",
        help="folder of another denoiser, in place of that of the model",
    )
    parser.add_argument(
        "--size", type=size, help="resolution HxW of frame and answer (default: that of the family)"
    )
    parser.add_argument("--steps", type=int, help="sampling steps (default: that of the weights)")
    parser.add_argument(
        "--guidance",
        type=float,
        metavar="SCALE",
        help="classifier-free guidance scale; 1 disables (default: that of the weights)",
    )
    parser.add_argument(
        "--told-guidance",
        type=float,
        metavar="SCALE",
        help="guidance that FLUX.1 Kontext takes as an input (default: 3.5)",
    )
    parser.add_argument(
        "--scheduler",
        type=Path,
        metavar="JSON",
        help="JSON file with fields that replace those of scheduler_config.json (LoRAs for few steps)",
    )
    parser.add_argument(
        "--start",
        default="noise",
        help="initial latents: noise, frame (one step from the latents of the frame) or zeros",
    )
    parser.add_argument(
        "--words",
        type=Path,
        metavar="JSON",
        help="JSON file with the prompts by task that the weights were tuned on",
    )
    parser.add_argument(
        "--graphs",
        action="store_true",
        help="export fixed-shape ONNX graphs instead of weights; runs without torch",
    )
    parser.add_argument(
        "--precision",
        default="fp32",
        help="precision of the denoiser graph: fp32 or bf16 (GPU only; default: fp32)",
    )
    parser.add_argument(
        "--no-encoder",
        action="store_true",
        help="omit the text encoder; prompts are then encoded on another machine",
    )
    parser.add_argument(
        "--copy",
        action="store_true",
        help="copy the weights instead of sharing them with the model by hard links",
    )
    parser.add_argument("--licence", default="", help="licence of the weights, for the model card")
    parser.add_argument(
        "--measure-vae",
        type=int,
        metavar="N",
        help=f"measure the reconstruction error of the VAE on N rendered views (default: {VAE_VIEWS}; 0"
        " disables)",
    )


def run(args: argparse.Namespace) -> int:
    """Runs the verb and returns its exit status."""
    views = VAE_VIEWS if args.measure_vae is None and args.out is not None else args.measure_vae or 0
    if args.out is None and views < 1:
        raise InputError("Give --out for the bundle, or --measure-vae to measure alone.")
    words = read_json(args.words) if args.words else {}
    bundle = None
    if args.out is not None:
        options = Options(
            profile=args.profile,
            lora=args.lora,
            transformer=args.transformer,
            size=args.size,
            steps=args.steps,
            guidance=args.guidance,
            told=args.told_guidance,
            scheduler=read_json(args.scheduler) if args.scheduler else {},
            start=args.start,
            words=words,
            graphs=args.graphs,
            precision=args.precision,
            encoder=not args.no_encoder,
            copy=args.copy,
            licence=args.licence,
        )
        bundle = import_model(args.source, args.out, options, lambda what: print(f"{what} ...", flush=True))
        print(f"The bundle is in {args.out}.")
    if views > 0:
        painted = args.size or (bundle.manifest.size if bundle else open_folder(args.source).family.size)
        figures = measure(args.source, profile(args.profile, words), painted, views)
        print(
            f"Reconstruction error of the VAE on the ground truth of {views} rendered views."
            f"{depth_note(figures)}\n{vae_table(figures)}"
        )
        if bundle is not None:
            add_metrics(args.out, VAE, tidy(figures))
    if bundle is not None:
        compared = comparison_of(args.lora) if args.lora and args.start == "frame" else None
        if compared:
            add_metrics(args.out, ONE_STEP, compared)
        write_card(args.out)
        family = FAMILIES[bundle.manifest.backbone["family"]]
        if family.words and not family.encoder_sees_image:
            print(f"Encode its instructions next: vision-banana prompts encode {args.out}")
    return 0
