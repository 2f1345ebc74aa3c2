# SPDX-License-Identifier: Apache-2.0
"""Tiny image editors with random weights, of the real classes and saved in the real format. Needs torch,
diffusers, transformers."""

import json
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    AutoencoderKLQwenImage,
    DDIMScheduler,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    FluxKontextPipeline,
    FluxTransformer2DModel,
    MarigoldDepthPipeline,
    MarigoldNormalsPipeline,
    QwenImageEditPlusPipeline,
    QwenImageTransformer2DModel,
    UNet2DConditionModel,
)
from diffusers.models.attention_processor import Attention
from diffusers.models.downsampling import Downsample2D
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2TokenizerFast,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen3Config,
    Qwen3ForCausalLM,
    T5Config,
    T5EncoderModel,
)
from transformers.processing_utils import ProcessorMixin

from vision_banana_ros.tasks import depth, normals, semantic
from vision_banana_ros.tasks.vocabulary import LEGEND

SIZE = (64, 96)
HIDDEN = 8
WORDS = 600
MARKS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
PICTURE_MARKS = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
#: Qwen3's template, as far as one user's message goes.
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{%"
    " endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n\n</think>\n\n{% endif %}"
)


def tokenizer(folder: Path, marks: tuple[str, ...] = MARKS) -> None:
    """A byte-level tokenizer of Qwen's class that has merged what the canonical instructions are made of."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=WORDS - len(MARKS), initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator(
        [depth.instruction(), normals.instruction(), semantic.instruction(LEGEND)] * 3, trainer
    )
    raw.add_special_tokens([*marks])
    made = Qwen2TokenizerFast(
        tokenizer_object=raw, pad_token=MARKS[0], eos_token=MARKS[2], unk_token=MARKS[0]
    )
    made.chat_template = CHAT
    made.save_pretrained(folder)


def flux2_klein(
    folder: Path,
    latent_channels: int = 4,
    text_width: int = HIDDEN,
    seed: int = 0,
    mosaic: bool = False,
    distilled: bool = True,
) -> Flux2KleinPipeline:
    """Save a FLUX.2-klein of about 100 000 weights in `folder` and return its pipeline. mosaic: its VAE can
    paint, see `_make_mosaic`; a random one cannot."""
    torch.manual_seed(seed)
    transformer = Flux2Transformer2DModel(
        in_channels=4 * latent_channels,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=3 * text_width,
        timestep_guidance_channels=16,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=False,
    )
    vae = AutoencoderKLFlux2(
        block_out_channels=(8, 8, 8, 8),
        layers_per_block=1,
        latent_channels=latent_channels,
        norm_num_groups=1 if mosaic else 4,
        sample_size=64,
    )
    with torch.no_grad():
        vae.bn.running_mean.normal_(std=0.3)
        vae.bn.running_var.uniform_(0.5, 1.5)
    if mosaic:
        _make_mosaic(vae)
    encoder = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=WORDS,
            hidden_size=text_width,
            intermediate_size=16,
            num_hidden_layers=28,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=4,
            max_position_embeddings=1024,
        )
    )
    tokenizer(folder / "tokenizer")
    pipeline = Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(
            use_dynamic_shifting=True, shift=3.0, time_shift_type="exponential"
        ),
        vae=vae.eval(),
        text_encoder=encoder.eval(),
        tokenizer=Qwen2TokenizerFast.from_pretrained(folder / "tokenizer"),
        transformer=transformer.eval(),
        is_distilled=distilled,
    )
    pipeline.save_pretrained(folder, safe_serialization=True)
    return pipeline


@torch.no_grad()
def _make_mosaic(vae: AutoencoderKLFlux2) -> None:
    """Make each latent of a VAE of 8 channels and one norm group the mean colour of its 8x8 pixels.

    Decoding random weights, no latents give a picture of chosen colours, so nothing could be learnt through
    them. Four constant channels outweigh the picture in the last norm, which therefore scales by a constant.
    """
    level, lift = 30.0, 12.0  # of the constant channels; SiLU is linear where values are lifted to
    for module in vae.modules():
        if isinstance(module, ResnetBlock2D):
            module.conv2.weight.zero_(), module.conv2.bias.zero_()
        elif isinstance(module, Attention):
            module.to_out[0].weight.zero_(), module.to_out[0].bias.zero_()
        elif isinstance(module, Downsample2D):
            module.conv.weight.zero_(), module.conv.bias.zero_()
            for channel in range(8):
                module.conv.weight[channel, channel, :2, :2] = 0.25
        elif isinstance(module, Upsample2D):
            torch.nn.init.dirac_(module.conv.weight), module.conv.bias.zero_()
    for end in (vae.encoder, vae.decoder):
        torch.nn.init.dirac_(end.conv_in.weight)
        end.conv_in.bias.copy_(torch.tensor([0, 0, 0, 0, level, level, -level, -level]))
        end.conv_norm_out.bias.fill_(lift)
        end.conv_out.weight.zero_(), end.conv_out.bias.zero_()
        middle = end.conv_out.weight[..., 1, 1]
        middle[:3, :3] = level / 2**0.5 * torch.eye(3)
        middle[:3, [4, 6]] = -level / 2**1.5  # the mean that the norm has taken away
    for convolution in (vae.quant_conv, vae.post_quant_conv):
        torch.nn.init.dirac_(convolution.weight), convolution.bias.zero_()


def lora(
    path: Path,
    pipeline: Flux2KleinPipeline,
    rank: int = 2,
    alpha: float = 6.0,
    seed: int = 1,
    strength: float = 1.0,
) -> None:
    """Save a LoRA for the pipeline's transformer as diffusers does; its alpha is not the rank."""
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    torch.manual_seed(seed)
    config = LoraConfig(
        r=rank, lora_alpha=alpha, target_modules=["to_q", "to_k", "to_qkv_mlp_proj"], init_lora_weights=False
    )
    transformer = Flux2Transformer2DModel.from_config(pipeline.transformer.config)
    transformer.add_adapter(config)
    Flux2KleinPipeline.save_lora_weights(
        path.parent,
        transformer_lora_layers={
            name: strength * value for name, value in get_peft_model_state_dict(transformer).items()
        },
        weight_name=path.name,
        transformer_lora_adapter_metadata=config.to_dict(),
    )


def qwen_lora(path: Path, pipeline: QwenImageEditPlusPipeline) -> None:
    """The same for a Qwen-Image-Edit, with an alpha that is the rank."""
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    torch.manual_seed(1)
    transformer = QwenImageTransformer2DModel.from_config(pipeline.transformer.config)
    transformer.add_adapter(
        LoraConfig(r=2, lora_alpha=2, target_modules=["to_q", "add_v_proj"], init_lora_weights=False)
    )
    learned = get_peft_model_state_dict(transformer)
    QwenImageEditPlusPipeline.save_lora_weights(
        path.parent, transformer_lora_layers=learned, weight_name=path.name
    )


def bare_lora(path: Path, layer: str, width: int, rank: int = 2) -> None:
    """Save a LoRA of one layer, for any base."""
    names = {
        f"transformer.{layer}.lora_A.weight": torch.ones(rank, width),
        f"transformer.{layer}.lora_B.weight": torch.ones(width, rank),
    }
    save_file(names, path)


def clip(text_width: int = 16) -> tuple[CLIPTextModel, CLIPTokenizerFast]:
    """CLIP's text encoder with a tokenizer of bytes and its two marks."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizerFast(
        vocab={name: i for i, name in enumerate(names)}, merges=[], model_max_length=77
    )
    config = CLIPTextConfig(
        vocab_size=len(names),
        hidden_size=text_width,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        bos_token_id=len(names) - 2,
        eos_token_id=len(names) - 1,
        pad_token_id=len(names) - 1,
    )
    return CLIPTextModel(config).eval(), tokenizer


def small_vae(latent_channels: int, **more: float) -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        latent_channels=latent_channels,
        norm_num_groups=4,
        sample_size=64,
        **more,  # type: ignore[arg-type]
    ).eval()


def marigold(folder: Path, task: str) -> MarigoldDepthPipeline | MarigoldNormalsPipeline:
    """Save a Marigold of this task in `folder` and return its pipeline."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=8,
        in_channels=8,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(8, 8),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=4,
        norm_num_groups=4,
    ).eval()
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        rescale_betas_zero_snr=True,
    )
    text_encoder, words = clip()
    parts = {
        "unet": unet,
        "vae": small_vae(4),
        "scheduler": scheduler,
        "text_encoder": text_encoder,
        "tokenizer": words,
    }
    usual = {"default_denoising_steps": 4, "default_processing_resolution": 96}
    if task == "depth":
        pipeline = MarigoldDepthPipeline(**parts, **usual, prediction_type="depth")
    else:
        pipeline = MarigoldNormalsPipeline(
            **parts, **usual, prediction_type="normals", use_full_z_range=False
        )
    pipeline.save_pretrained(folder, safe_serialization=True)
    return pipeline


def flux_kontext(folder: Path) -> FluxKontextPipeline:
    """Save a FLUX.1 Kontext in `folder` and return its pipeline."""
    torch.manual_seed(0)
    transformer = FluxTransformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=8,
        pooled_projection_dim=16,
        guidance_embeds=True,
        axes_dims_rope=(4, 4, 8),
    ).eval()
    text_encoder, words = clip()
    t5 = T5EncoderModel(
        T5Config(vocab_size=WORDS, d_model=8, d_kv=4, d_ff=16, num_layers=2, num_heads=2)
    ).eval()
    tokenizer(folder / "tokenizer_2")
    pipeline = FluxKontextPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift=3.0),
        vae=small_vae(4, shift_factor=0.1159, scaling_factor=0.3611),
        text_encoder=text_encoder,
        tokenizer=words,
        text_encoder_2=t5,
        tokenizer_2=Qwen2TokenizerFast.from_pretrained(folder / "tokenizer_2"),
        transformer=transformer,
    )
    pipeline.save_pretrained(folder, safe_serialization=True)
    index = json.loads((folder / "model_index.json").read_text())
    # what the family has; its tables are read by themselves
    index["tokenizer_2"] = ["transformers", "T5TokenizerFast"]
    (folder / "model_index.json").write_text(json.dumps(index))
    return pipeline


def qwen_image_edit(folder: Path, latent_channels: int = 4, text_width: int = 8) -> QwenImageEditPlusPipeline:
    """Save a Qwen-Image-Edit in `folder` and return its pipeline."""
    torch.manual_seed(0)
    transformer = QwenImageTransformer2DModel(
        in_channels=4 * latent_channels,
        out_channels=latent_channels,
        num_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=text_width,
        axes_dims_rope=(4, 6, 6),
    ).eval()
    with torch.no_grad():
        transformer.transformer_blocks[0].attn.add_v_proj.weight.mul_(10)  # what was read shall show
    vae = AutoencoderKLQwenImage(
        base_dim=8,
        z_dim=latent_channels,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        latents_mean=[0.1 * i for i in range(latent_channels)],
        latents_std=[1 + 0.2 * i for i in range(latent_channels)],
    ).eval()
    tokenizer(folder / "tokenizer", (*MARKS, *PICTURE_MARKS))
    words = Qwen2TokenizerFast.from_pretrained(folder / "tokenizer")
    marks = {mark: words.convert_tokens_to_ids(mark) for mark in PICTURE_MARKS}
    encoder = Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(
            text_config={
                "vocab_size": len(words),
                "hidden_size": text_width,
                "intermediate_size": 16,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "num_key_value_heads": 1,
                "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 0], "rope_theta": 1e4},
            },
            vision_config={
                "depth": 2,
                "hidden_size": 16,
                "intermediate_size": 16,
                "num_heads": 2,
                "out_hidden_size": text_width,
                "fullatt_block_indexes": [1],
            },
            vision_start_token_id=marks["<|vision_start|>"],
            vision_end_token_id=marks["<|vision_end|>"],
            image_token_id=marks["<|image_pad|>"],
            video_token_id=marks["<|video_pad|>"],
        )
    ).eval()
    pipeline = QwenImageEditPlusPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift=3.0),
        vae=vae,
        text_encoder=encoder,
        tokenizer=words,
        processor=Stills(image_processor=Qwen2VLImageProcessor(), tokenizer=words),
        transformer=transformer,
    )
    pipeline.save_pretrained(folder, safe_serialization=True)
    index = json.loads((folder / "model_index.json").read_text())
    index["processor"] = ["transformers", "Qwen2VLProcessor"]  # as which Stills is read
    (folder / "model_index.json").write_text(json.dumps(index))
    return pipeline


class Stills(Qwen2VLProcessor):
    """Qwen's processor without that of films, which needs torchvision."""

    def __init__(self, image_processor=None, tokenizer=None, chat_template=None, **_):
        self.image_token, self.video_token = "<|image_pad|>", "<|video_pad|>"
        self.image_token_id, self.video_token_id = tokenizer.convert_tokens_to_ids(
            [self.image_token, self.video_token]
        )
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)
