# SPDX-License-Identifier: Apache-2.0
"""The pieces of training by themselves: flow, network, losses, batches, recipes, checkpoints."""

import math
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: make test TORCH=1")
pytest.importorskip("diffusers", reason="training needs diffusers: make test TORCH=1")

import torch  # noqa: E402
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from tiny_network import CHANNELS, tiny_network  # noqa: E402

from vision_banana_ros.errors import InputError  # noqa: E402
from vision_banana_ros.generators.own import network as own  # noqa: E402
from vision_banana_ros.generators.own.network import (
    COLOR_CHANNELS,
    KEY_CHANNELS,
    MAX_PROMPT_COLORS,
    PATCH,
    UNCERTAIN_DISTANCE,
    PaintPlan,
    VisionBananaUNet,
)  # noqa: E402
from vision_banana_ros.generators.own.tokenizer import tokenize  # noqa: E402
from vision_banana_ros.tasks import depth, normals  # noqa: E402
from vision_banana_ros.tasks.colors import far_apart  # noqa: E402
from vision_banana_ros.tasks.vocabulary import LEGEND  # noqa: E402
from vision_banana_ros.training.data.batches import PADDING_COLOR, BatchConfig, BatchStream, pixels  # noqa: E402
from vision_banana_ros.training.data.pool import Canvas, Pool  # noqa: E402
from vision_banana_ros.training.data.questions import QUESTIONS_PER_VIEW  # noqa: E402
from vision_banana_ros.training.own import losses as loss_terms  # noqa: E402
from vision_banana_ros.training.own import rectified_flow  # noqa: E402
from vision_banana_ros.training.own.checkpoint import Learner, State, join_parts, resume, save, save_parts  # noqa: E402
from vision_banana_ros.training.own.loop import make_optimizers, pool_of  # noqa: E402
from vision_banana_ros.training.own.losses import BatchForward, OutputRows, class_weights, losses  # noqa: E402
from vision_banana_ros.training.own.recipe import read_recipe  # noqa: E402
from vision_banana_ros.training.own.sampler import Painter, batch_of  # noqa: E402

SIZE = (48, 64)
CUBE = torch.tensor(depth.COLORMAPS["cube"])


@pytest.fixture(scope="module")
def network():
    return tiny_network()


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    made = Pool(tmp_path_factory.mktemp("pool"), 20, {"procedural": 1.0}, (Canvas(SIZE, 1.0), Canvas((32, 80), 1.0)), seed=4)
    assert list(made.fill()) == [0, 1] and len(made.records()) == 2
    return made


def batches_of(pool, count, **more):
    return list(islice(BatchStream(BatchConfig(pool, {SIZE: (SIZE,)}, frames=3, **more)), count))


@pytest.fixture(scope="module")
def asked(pool):
    return batches_of(pool, 1, pictures=0.0, junk=0.0, seed=4)[0]


@pytest.fixture(scope="module")
def drawn(pool):
    return batches_of(pool, 1, pictures=1.0, seed=4)[0]


# ---- flow


class Knows(torch.nn.Module):
    """A network that has the answer by heart, or paints its sample back."""

    def __init__(self, picture):
        super().__init__()
        self.picture = picture

    def encode_image(self, image):
        return image, image, image

    def encode_text(self, pieces, colors, mask):
        return pieces.float()

    def add_sample(self, features, sample):
        return sample, sample, sample

    def answer(self, features, time, text, mask):
        return features[0] if self.picture is None else self.picture


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_who_predicts_the_picture_arrives_at_it(asked, steps):
    picture = pixels(asked.target)
    for from_frame in (False, True):
        arrived = rectified_flow.sample(Knows(picture), asked, steps, from_frame=from_frame)
        np.testing.assert_allclose(arrived, picture, atol=1e-5)


def test_one_step_starts_at_the_frame_and_a_walk_at_noise(asked):
    stays = Knows(None)
    np.testing.assert_array_equal(rectified_flow.sample(stays, asked, 1, from_frame=True), pixels(asked.image)[asked.of])
    noise = rectified_flow.sample(stays, asked, 1, seed=5)
    assert abs(float(noise.std()) - 1) < 0.05
    np.testing.assert_array_equal(noise, rectified_flow.sample(stays, asked, 1, seed=5))


def test_the_loss_is_that_of_the_velocity():
    torch.manual_seed(0)
    picture, noise, guess = (torch.randn(6, 3, 16, 16) for _ in range(3))
    time = torch.linspace(0.2, 1, 6)
    x = rectified_flow.interpolate(picture, noise, time)
    shaped = time[:, None, None, None]
    expected = ((x - guess) / shaped - (noise - picture)).square().mean((1, 2, 3))
    torch.testing.assert_close(rectified_flow.loss(guess, picture, time), expected)


def test_times_lie_where_answers_are_decided():
    torch.manual_seed(0)
    times = rectified_flow.draw_times(4000, torch.device("cpu"))
    assert times.min() > 0 and times.max() == 1
    assert 0.6 < times.median() < 0.75 and (times == 1).float().mean() > 0.03


# ---- batches


def test_a_batch_of_questions_asks_each_frame_several_tasks(asked):
    assert asked.asks and len(asked.image) == 3 and asked.of.tolist() == [i for i in range(3) for _ in range(QUESTIONS_PER_VIEW)]
    assert asked.image.dtype == asked.target.dtype == torch.uint8 and asked.image.shape == (3, 3, *SIZE)
    assert asked.pieces.shape[1] == int(asked.mask.sum(1).max()) < 128  # trimmed to the longest
    assert asked.log_m.shape == (len(asked.ramps), *SIZE) and all(asked.tasks[i] == "depth" for i in asked.ramps)


def test_a_batch_of_pictures_has_captions_of_no_frame_and_edits_of_a_frame(drawn):
    assert not drawn.asks and set(drawn.tasks) <= {"picture", "edit"} and (drawn.image[0] == 128).all()
    assert "edit" in drawn.tasks
    for task, of, target in zip(drawn.tasks, drawn.of, drawn.target, strict=True):
        assert (of == 0) == (task == "picture")
        if task == "edit":  # most of the picture stays
            near = (drawn.image[of].int() - target.int()).abs().amax(0) < 40
            assert near.float().mean() > 0.25


def test_processes_draw_other_views_of_the_same_resolutions(pool):
    sizes = {SIZE: (SIZE, (32, 32)), (32, 80): ((32, 80), (16, 48))}
    streams = [iter(BatchStream(BatchConfig(pool, sizes, frames=1, pictures=0.3, rank=rank))) for rank in range(2)]
    pairs = [tuple(next(stream) for stream in streams) for _ in range(16)]
    assert all(one.image.shape[2:] == other.image.shape[2:] and one.asks == other.asks for one, other in pairs)
    assert sum(torch.equal(one.image, other.image) for one, other in pairs) < 4
    assert len({one.image.shape[2:] for one, _ in pairs}) == 4 and len({one.asks for one, _ in pairs}) == 2


def test_batches_are_mixed_by_share_and_come_from_the_canvases_that_are_asked_for(pool):
    kinds = [batch.asks for batch in batches_of(pool, 30, pictures=0.3)]
    assert 12 <= sum(kinds) < 30
    sizes = {SIZE: ((32, 48), (48, 64)), (32, 80): ((32, 80),)}
    mixed = BatchStream(BatchConfig(pool, sizes, frames=1, pictures=0.0))
    assert {tuple(batch.image.shape[2:]) for batch in islice(mixed, 40)} == {(32, 48), (48, 64), (32, 80)}
    with pytest.raises(InputError, match="no views"):
        next(iter(BatchStream(BatchConfig(pool, {(64, 64): ((64, 64),)}))))


def test_depth_is_the_same_at_every_training_resolution(pool):
    middle = []
    for size in (SIZE, (SIZE[0] // 2, SIZE[1] // 2)):
        stream = BatchStream(BatchConfig(pool, {SIZE: (size,)}, frames=16, pictures=0.0, junk=0.0, seed=2))
        log_m = torch.cat([batch.log_m for batch in islice(stream, 4)])
        log_m = log_m.masked_fill(~log_m.isfinite(), math.nan)
        middle.append(float(log_m.flatten(1).nanmedian(1).values.nanmean()))
    assert abs(middle[0] - middle[1]) < 0.3  # half of the pixels a side was a factor of 2: 0.69


def test_a_position_has_the_same_coordinates_at_every_resolution():
    small, large = (own.position_coordinates(torch.zeros(1, 1, *size)) for size in ((18, 24), (36, 48)))
    pooled = torch.nn.functional.avg_pool2d(large, 2)
    assert torch.allclose(small, pooled, atol=1e-6) and large[0, 1, -1, 0] > 0.9 * small[0, 1, -1, 0] > 0.5


def test_the_same_seed_gives_the_same_batches(pool):
    one, other = (batches_of(pool, 2, seed=9)[1] for _ in range(2))
    assert one.instructions == other.instructions and torch.equal(one.image, other.image) and torch.equal(one.target, other.target)


# ---- the ramp


@st.composite
def uncertain_distances(draw):
    return draw(st.floats(math.log(0.05), math.log(100.0))), draw(st.floats(0.0, 1.0).filter(lambda u: abs(u - 0.5) > 1e-3))


def painted_ramp(log_m, unsure, knots=CUBE):
    """(n,) logs of metres and uncertainties -> (1, n, 3) in 0..1."""
    colors = torch.cat([knots, torch.ones(len(knots), 1)], 1)[None]
    log_m, unsure = (torch.as_tensor(x, dtype=torch.float32).reshape(1, 1, -1) for x in (log_m, unsure))
    return own.ramp_colors(log_m, unsure, colors)[0].permute(1, 2, 0).numpy()


@settings(deadline=None, max_examples=300)
@given(uncertain_distances())
def test_what_is_uncertain_is_painted_beside_the_ramp_and_read_as_the_same_depth(one):
    log_m, unsure = one
    answer = depth.decode(painted_ramp([log_m], [unsure]))
    if unsure < 0.5:
        assert answer.depth_m[0, 0] == pytest.approx(math.exp(log_m), rel=3e-3)
        assert answer.confidence[0, 0] == pytest.approx(1 - 2 * unsure, abs=5e-3)
    else:
        assert np.isnan(answer.depth_m[0, 0]) and answer.confidence[0, 0] == 0


def test_the_whole_range_is_read_back_as_it_was_painted():
    log_m = np.linspace(math.log(0.05), math.log(100), 2000)
    metres = np.exp(log_m).astype(np.float32)
    sure = painted_ramp(log_m, np.zeros(2000))
    np.testing.assert_allclose(sure[0], depth.encode(metres[None])[0], atol=1e-5)
    for unsure in (0.0, 0.2, 0.35, 0.49):
        np.testing.assert_allclose(depth.decode(painted_ramp(log_m, np.full(2000, unsure))).depth_m[0], metres, rtol=3e-3)
    assert np.isnan(depth.decode(painted_ramp(log_m, np.full(2000, 0.51))).depth_m).all()


def test_a_ramp_runs_through_whatever_colours_are_named():
    grey = painted_ramp(np.log([0.5, 5.0, 50.0]), np.zeros(3), torch.tensor([[0.0, 0, 0], [1, 1, 1]]))
    np.testing.assert_allclose(grey, depth.encode(np.float32([[0.5, 5, 50]]), "grey"), atol=1e-5)


def test_the_way_aside_is_square_to_the_ramp_and_leads_to_grey():
    named = CUBE[None]
    along = named[:, 1:] - named[:, :-1]
    aside = own.off_ramp_vectors(named, along)[0].unflatten(0, (7, 2))
    torch.testing.assert_close(aside.norm(dim=2), torch.full((7, 2), UNCERTAIN_DISTANCE))
    for edge in range(7):
        for half in (0, 1):
            way, beside = aside[edge, half], edge + (1 if half else -1)
            assert abs(float(way @ along[0, edge])) < 1e-6
            if 0 <= beside < 7:
                assert abs(float(way @ along[0, beside])) < 1e-6
            middle = (CUBE[edge] + CUBE[edge + 1]) / 2
            assert (middle + way - 0.5).norm() < (middle - 0.5).norm()


def test_gradients_of_the_ramp_are_those_of_the_picture_and_finite_at_its_ends():
    colors = torch.cat([CUBE, torch.ones(8, 1)], 1)[None]
    log_m = torch.tensor([own.MIN_LOG_DEPTH, 0.0, 1.0, math.log(0.8015), own.MAX_LOG_DEPTH]).reshape(1, 1, -1).requires_grad_()
    unsure = torch.full_like(log_m, 0.1).requires_grad_()
    painted = own.ramp_colors(log_m, unsure, colors)
    slopes = torch.autograd.grad(painted.square().sum(), (log_m, unsure))
    assert all(torch.isfinite(slope).all() for slope in slopes) and slopes[0].abs().min() > 0
    ahead = own.ramp_colors(log_m + 1e-3, unsure, colors)
    assert (ahead - painted).abs().sum(1).min() > 0


# ---- the network as it is called


def test_one_call_paints_what_the_parts_paint(network, asked):
    everything = torch.arange(len(asked.of))
    ramps = torch.tensor(asked.ramps, dtype=torch.long)
    with torch.no_grad():
        meant, painted, log_m, unsure = BatchForward(network)(asked, OutputRows(everything, ramps))
        image = pixels(asked.image)
        features = network.add_sample(network.encode_image(image), image)
        features = tuple(level.repeat_interleave(QUESTIONS_PER_VIEW, 0) for level in features)
        text = network.encode_text(asked.pieces, asked.colors, asked.mask)
        expected = network.answer(features, torch.ones(len(text)), text, asked.mask)
    torch.testing.assert_close(painted, expected, atol=1e-4, rtol=1e-3)
    named = min(MAX_PROMPT_COLORS, asked.pieces.shape[1] - 1)
    assert meant.scores.shape == (len(asked.tasks), 2 + named, SIZE[0] // PATCH, SIZE[1] // PATCH)
    assert log_m.shape == unsure.shape == asked.log_m.shape


def prompt_of(network, text):
    made = tokenize(text, 128, 4096)
    words = int(made.mask.sum())
    pieces, colors, mask = (torch.from_numpy(a)[None, :words] for a in (made.pieces, made.colors, made.mask))
    return network.encode_text(pieces, colors, mask), mask


def meant_of(network, asked, text):
    image = pixels(asked.image[:1])
    features = network.add_sample(network.encode_image(image), image)
    return network.plan(features, torch.ones(1), *prompt_of(network, text)), network.upsampling_weights(features)


def painted_with(network, meant, edges, *ways):
    scores = torch.full_like(meant.scores, -1e4)
    scores[:, list(ways)] = 0.0
    return network.paint(meant._replace(scores=scores), edges)


@torch.no_grad()
def test_a_position_has_exactly_the_colour_that_it_copies_or_is_painted_freely(network, asked):
    meant, edges = meant_of(network, asked, "the ball: #ff0000, the wall: #0000ff")
    red, blue = meant.colors[0, :, 3].nonzero()[:, 0].tolist()
    assert (red, blue) == (0, 1)  # colours come first, in the order that they are named in
    for word, color in ((red, (1, -1, -1)), (blue, (-1, -1, 1))):
        painted = painted_with(network, meant, edges, 2 + word)
        torch.testing.assert_close(painted, torch.tensor(color).float()[None, :, None, None].expand_as(painted), atol=1e-4, rtol=0)
    mixed = painted_with(network, meant, edges, 2 + red, 2 + blue)
    torch.testing.assert_close(mixed.mean((0, 2, 3)), torch.tensor([0.0, -1, 0]), atol=1e-4, rtol=0)
    freely = painted_with(network, meant, edges, 0)
    assert freely.std() > 0.01
    other = meant._replace(colors=torch.cat([torch.full_like(meant.colors[..., :3], 0.5), meant.colors[..., 3:]], 2))
    torch.testing.assert_close(painted_with(network, other, edges, 0), freely)  # nothing of the colours is in it


@torch.no_grad()
def test_on_the_ramp_a_picture_says_the_distance_that_is_meant(network, asked):
    meant, edges = meant_of(network, asked, depth.instruction())
    log_m, unsure = network.distance(meant.features, edges)
    painted = painted_with(network, meant, edges, 1)[0].permute(1, 2, 0) / 2 + 0.5
    answer = depth.decode(painted.clamp(0, 1).numpy())
    assert unsure.sigmoid().max() < 0.48 and log_m.std() > 0.01
    np.testing.assert_allclose(answer.depth_m, log_m.exp()[0].numpy(), rtol=5e-3)


@torch.no_grad()
def test_only_words_that_are_colours_are_copied_and_a_ramp_takes_two(network, asked):
    meant, _ = meant_of(network, asked, "the ball: #ff0000, the wall: blue")
    there = meant.colors[0, :, 3] > 0
    assert there.sum() == 2 and not meant.scores[:, 0].any()
    assert meant.scores[:, 2:][:, ~there].max() < -1e3 < meant.scores[:, 2:][:, there].min()
    assert meant.scores[:, 1].min() > -1e3
    one, _ = meant_of(network, asked, "the ball: #ff0000")
    assert one.scores[:, 1].max() < -1e3


@torch.no_grad()
def test_frames_of_any_size_in_sixteens_are_painted_whole(network):
    for size in ((48, 64), (80, 48), (16, 112)):
        painted = Painter(network, size, from_frame=True).paint(np.zeros((*size, 3), np.uint8), [depth.instruction()])
        assert painted.shape == (1, *size, 3)


def test_a_painter_answers_like_a_generator(network):
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    texts = ["Paint depth.", "make the ball green"]
    once = Painter(network, SIZE, from_frame=True).paint(image, texts)
    assert once.shape == (2, *SIZE, 3) and once.dtype == np.float32 and once.min() >= 0 and once.max() <= 1
    guided = Painter(network, SIZE, steps=2, guidance=2.0).paint(image, texts)
    assert not np.array_equal(guided, Painter(network, SIZE, steps=2).paint(image, texts))
    assert batch_of(network, [image], [(0, "a"), (0, "b")]).of.tolist() == [0, 0]


@torch.no_grad()
def test_the_question_decides_and_padding_does_not(network):
    short = tokenize("paint the ball red", 128, 4096)
    pieces, colors, mask = (torch.from_numpy(a)[None] for a in (short.pieces, short.colors, short.mask))
    text = network.encode_text(pieces, colors, mask)
    words = int(mask.sum())
    pieces[:, 60:] = 7  # behind the mask: must not matter
    width = network.config.text_width + KEY_CHANNELS + COLOR_CHANNELS
    assert text.shape == (1, 128, width)
    np.testing.assert_allclose(network.encode_text(pieces, colors, mask), text, atol=1e-5)
    np.testing.assert_allclose(network.encode_text(pieces[:, :9], colors[:, :9], mask[:, :9]), text[:, :9], atol=1e-5)
    assert not text[:, words:].any() and text[:, 1, -1] == 1  # the summary, and then the colour


def test_the_shipped_sizes_are_small():
    counts = {}
    for encoder in ("efficientnet_lite0", "efficientnet_lite2"):
        with torch.device("meta"):
            counts[encoder] = sum(value.numel() for value in VisionBananaUNet(encoder).parameters())
    assert 4e6 < counts["efficientnet_lite0"] < counts["efficientnet_lite2"] < 14e6


# ---- edges


def test_a_finer_position_is_made_of_the_shares_of_the_nine_around_its_coarse_one():
    torch.manual_seed(0)
    x, shares = torch.randn(1, 2, 3, 4), torch.rand(1, 9 * 4, 3, 4)
    finer = own.upsample(x, shares, 2)
    assert finer.shape == (1, 2, 6, 8)
    for row, column, channel in ((0, 0, 0), (3, 7, 1), (5, 2, 0)):
        expected = 0.0
        for k in range(9):
            near = min(max(row // 2 + k // 3 - 1, 0), 2), min(max(column // 2 + k % 3 - 1, 0), 3)
            place = 4 * k + 2 * (row % 2) + column % 2
            expected += float(shares[0, place, row // 2, column // 2] * x[0, channel, near[0], near[1]])
        assert float(finer[0, channel, row, column]) == pytest.approx(expected, abs=1e-5)


@torch.no_grad()
def test_shares_sum_to_one_and_no_sample_changes_them(network, asked):
    image = pixels(asked.image)
    features = network.encode_image(image)
    added = network.add_sample(features, torch.randn_like(image))
    for level, after, channels, side in zip(features, added, network.config.channels, (4, 2, 2), strict=True):
        shares = level[:, channels:].unflatten(1, (9, -1))
        assert shares.shape[2] == side**2 and shares.min() >= 0
        torch.testing.assert_close(shares.sum(1), torch.ones_like(shares[:, 0]))
        assert torch.equal(level[:, channels:], after[:, channels:]) and not torch.equal(level[:, :channels], after[:, :channels])


# ---- losses


def in_squares(x):
    """The same with each square of PATCH pixels of one value, its first."""
    return x[..., ::PATCH, ::PATCH].repeat_interleave(PATCH, -1).repeat_interleave(PATCH, -2)


class Answers(torch.nn.Module):
    """Stands for the network: paints pictures, and distances in log of metres, that it is given. sure: its scores' size."""

    def __init__(self, pictures, log_m, sure=60.0):
        super().__init__()
        self.pictures, self.log_m, self.sure = pictures, log_m, sure

    def forward(self, batch, rows, sample=None, time=None):
        colors = batch.colors[:, 1:]
        coarse = self.pictures[..., ::PATCH, ::PATCH] / 2 + 0.5
        same = (coarse[:, None] - colors[..., :3, None, None]).square().sum(2) < own.SAME_COLOR
        scores = torch.zeros(len(coarse), 2 + colors.shape[1], *coarse.shape[2:])
        scores[:, 2:] = self.sure * (same & (colors[..., 3] > 0)[..., None, None])
        scores[:, 2:] -= self.sure * ~same
        scores[:, 0] = -self.sure * same.any(1)
        scores[:, 1] = -self.sure
        scores[batch.ramps] = -self.sure
        scores[batch.ramps, 1] = self.sure
        known = ~torch.isnan(self.log_m)
        unsure = torch.where(known, -self.sure, self.sure)
        return PaintPlan(coarse, scores, colors), self.pictures[rows.painted], self.log_m.nan_to_num(0, 4.7, 0), unsure


@pytest.fixture(scope="module")
def several(pool):
    """Batches whose truth has squares of one value, and a colour for each: what a network can paint without error."""
    made = []
    for batch in batches_of(pool, 4, pictures=0.0, junk=0.0, seed=11, random_legends=0.0):
        made.append(replace(batch, target=in_squares(batch.target), log_m=in_squares(batch.log_m)))
    return made


def test_the_truth_is_without_loss_and_another_view_s_truth_is_not(several):
    for batch in several:
        truth = pixels(batch.target)
        right = losses(Answers(truth, batch.log_m), batch)
        wrong = losses(Answers(truth.flip(3), batch.log_m.flip(2) + 0.5), batch)
        assert right.shape == (len(batch.tasks),) and right.max() < 0.05
        for task, before, after, picture in zip(batch.tasks, right, wrong, truth, strict=True):
            if not torch.equal(picture, picture.flip(2)):
                assert after > before + 0.02, task


def test_the_loss_grows_with_what_is_wrong(several):
    batch = several[0]
    truth = pixels(batch.target)
    free = [i for i, task in enumerate(batch.tasks) if task not in loss_terms.PALETTE_TASKS and i not in batch.ramps]
    torch.manual_seed(0)
    noise = torch.randn_like(truth)
    levels = [losses(Answers(truth + share * noise, batch.log_m + share), batch) for share in (0.0, 0.1, 0.3, 0.9)]
    for i in (*free, *batch.ramps):
        values = [float(level[i]) for level in levels]
        assert values == sorted(values) and values[0] + 0.05 < values[-1]


def test_depth_counts_in_ratios_whatever_the_distance_and_not_beyond_what_can_be_told_apart():
    true = torch.log(torch.tensor([0.5, 5.0, 50.0]))[:, None, None].expand(3, 8, 8).clone()
    tenth = math.log(1.1)
    sure = torch.full_like(true, -60.0)
    errors = loss_terms.depth_loss(true + tenth, sure, true)
    assert errors.tolist() == pytest.approx([float(errors[0])] * 3, rel=1e-4)
    certain = (
        loss_terms.UNCERTAINTY_WEIGHT * 60 * loss_terms.MAX_UNCERTAINTY * (1 - math.exp(-tenth / loss_terms.UNCERTAINTY_SCALE))
    )  # who is sure and wrong pays
    assert float(errors[0]) == pytest.approx(tenth + certain, rel=1e-3)
    sky = torch.full_like(true, math.inf)
    far = torch.full_like(true, loss_terms.MAX_LOG_DEPTH)
    assert loss_terms.depth_loss(far + 1, sure, sky).max() < 1e-3 < loss_terms.depth_loss(far - 1, sure, sky).min()


def test_uncertainty_is_learnt_from_the_error_and_where_nothing_is_known():
    true = torch.zeros(1, 4, 4)
    for error, told in ((0.0, 0.0), (0.3, loss_terms.MAX_UNCERTAINTY * (1 - math.exp(-1))), (9.0, loss_terms.MAX_UNCERTAINTY)):
        unsure = torch.zeros(1, 4, 4, requires_grad=True)
        for _ in range(300):  # the best answer is what is told
            (slope,) = torch.autograd.grad(loss_terms.depth_loss(true + error, unsure, true).sum(), unsure)
            unsure = (unsure - 100 * slope).detach().requires_grad_()
        assert float(unsure.sigmoid().mean()) == pytest.approx(told, abs=0.02) and told < 0.5
    unknown = torch.full((1, 4, 4), math.nan)
    costs = [float(loss_terms.depth_loss(true, torch.full((1, 4, 4), logit), unknown)) for logit in (-3.0, 0.0, 3.0)]
    assert costs[0] > costs[1] > costs[2] and all(map(math.isfinite, costs))


def test_an_edge_in_the_wrong_place_costs_more_than_a_slope():
    true = torch.zeros(1, 8, 8)
    true[..., 4:] = 1
    blurred = torch.linspace(0, 1, 8).expand(1, 8, 8)
    even = (blurred - true).abs().mean()
    shifted = true + even  # the same mean error, but the edge is where it belongs
    sure = torch.full_like(true, 0.0)
    assert loss_terms.depth_loss(shifted, sure, true) < loss_terms.depth_loss(blurred, sure, true)


def test_a_right_angle_is_half_of_the_worst_and_what_is_no_surface_does_not_count():
    up, left = np.zeros((8, 8, 3), np.float32), np.zeros((8, 8, 3), np.float32)
    up[..., 1] = left[..., 0] = 1
    up, left = (torch.from_numpy(normals.encode(x)).permute(2, 0, 1)[None] * 2 - 1 for x in (up, left))
    assert float(loss_terms.cosine_loss(up, left)) == pytest.approx(1, abs=0.01)
    assert float(loss_terms.cosine_loss(-left, left)) == pytest.approx(2, abs=0.01)
    nowhere = torch.from_numpy(normals.encode(np.full((8, 8, 3), np.nan, np.float32))).permute(2, 0, 1)[None] * 2 - 1
    assert float(loss_terms.cosine_loss(up, nowhere)) == 0


def chosen(scores, truth, times=(1.0, 1.0), on_ramp=False):
    """Of a picture of two pixels, and a prompt of red, blue, blue again, and a word that is no colour."""
    colors = torch.tensor([[(1, 0, 0, 1), (0, 0, 1, 1), (0, 0, 1, 1), (0, 0, 0, 0)]]).float()
    pictures = torch.tensor(truth).T[None, :, None].float() / 127.5 - 1
    scores = torch.tensor(scores).float().T[None, :, None]
    return float(loss_terms.choice_cross_entropy(scores, pictures, colors, torch.tensor(times)[None, None], torch.tensor([on_ramp])))


def test_a_colour_is_copied_from_any_word_that_has_it_and_another_one_is_painted_freely():
    no = -1e4
    sure, guess = [(0, no, 50, 0, 0, no), (50, no, 0, 0, 0, no)], [(0, no, 0, 0, 0, no)] * 2
    assert chosen(sure, [(255, 0, 0), (0, 255, 0)]) == pytest.approx(0, abs=1e-6)
    assert chosen(sure, [(255, 0, 0), (0, 0, 255)]) == pytest.approx((50 - np.log(2)) / 2, rel=1e-3)
    assert chosen(guess, [(0, 0, 255)] * 2) == pytest.approx(np.log(2), rel=1e-3)
    assert chosen(guess, [(0, 0, 0)] * 2) == pytest.approx(np.log(4), rel=1e-3)  # black is nobody's: the word is no colour
    assert chosen(sure, [(0, 255, 0), (0, 255, 0)], (0.0, 1.0)) == pytest.approx(0, abs=1e-6)
    ramp = [(0, 50, 0, 0, 0, no)] * 2
    assert chosen(ramp, [(255, 0, 0), (9, 9, 9)], on_ramp=True) == pytest.approx(0, abs=1e-6) and chosen(ramp, [(255, 0, 0)] * 2) > 40


@pytest.mark.parametrize("name", LEGEND)
def test_each_colour_of_the_legend_is_found_in_mixed_precision(name):
    colors = torch.tensor([[(*color, 255) for color in LEGEND.values()]]).float() / 255
    target = (torch.tensor(LEGEND[name]).float() / 127.5 - 1)[None, :, None, None]
    sure = torch.full((2 + len(LEGEND),), -50.0)
    sure[2 + list(LEGEND).index(name)] = 50
    with torch.autocast("cpu", torch.bfloat16):
        loss = loss_terms.choice_cross_entropy(sure[None, :, None, None], target, colors, torch.ones(1, 1, 1), torch.tensor([False]))
    assert float(loss) == pytest.approx(0, abs=1e-6)


def test_a_colour_that_is_never_chosen_still_leads_to_itself():
    colors = torch.tensor([[(1, 0, 0, 1), (0, 0, 1, 1)]]).float()
    scores = torch.tensor([0.0, -9, 9, -9])[None, :, None, None].requires_grad_()
    blue = torch.tensor([-1.0, -1, 1])[None, :, None, None]
    wrong = loss_terms.choice_cross_entropy(scores, blue, colors, torch.ones(1, 1, 1), torch.tensor([False])).sum()
    np.testing.assert_allclose(torch.autograd.grad(wrong, scores)[0].flatten(), [0, 0, 1, -1], atol=1e-3)


def test_a_rare_class_counts_more_by_the_root_of_how_rare_it_is():
    truth = np.zeros((20, 20, 3), np.float32)
    truth[:, :] = (0, 0, 1)
    truth[:3, :4] = (1, 0, 0)  # 12 pixels beside 387
    truth[19, 19] = (0, 1, 0)
    palette = torch.full((1, 5, 3), PADDING_COLOR)
    palette[0, :4] = torch.tensor([(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)])
    times = class_weights(torch.from_numpy(truth).permute(2, 0, 1)[None] * 2 - 1, palette)[0]
    assert times[10, 10] == 1 and times[0, 0] == pytest.approx((387 / 12) ** 0.5)
    assert times[19, 19] == loss_terms.MAX_CLASS_WEIGHT


def test_a_small_mask_counts_three_times_and_a_large_one_as_the_rest(asked):
    index = next(i for i, task in enumerate(asked.tasks) if task == "referring")
    one = replace(asked, tasks=["referring"], palette=asked.palette[index : index + 1])
    truth = torch.full((1, 3, 40, 40), -1.0)
    truth[:, 0, :4, :4] = 1
    times = loss_terms.pixel_weights(truth, one)[0]
    assert times[0, 0] == loss_terms.MAX_MASK_WEIGHT and times[20, 20] == 1
    truth[:, 0, :, :30] = 1
    assert (loss_terms.pixel_weights(truth, one) == 1).all()


def test_junk_and_sky_have_finite_losses_and_slopes(network, pool):
    own_network = tiny_network().train()
    painting = BatchForward(own_network)
    junk = batches_of(pool, 2, pictures=0.0, junk=1.0, seed=1)
    sky = [replace(batch, log_m=torch.full_like(batch.log_m, math.inf)) for batch in batches_of(pool, 2, pictures=0.0, seed=2)]
    pictures = batches_of(pool, 1, pictures=1.0, seed=3)
    assert any(batch.ramps for batch in junk) and any(batch.ramps for batch in sky)
    for batch in (*junk, *sky, *pictures):
        own_network.zero_grad()
        each = losses(painting, batch)
        assert each.shape == (len(batch.tasks),) and torch.isfinite(each).all()
        each.mean().backward()
        slopes = [value.grad for value in own_network.parameters() if value.grad is not None]
        assert all(torch.isfinite(slope).all() for slope in slopes) and max(slope.abs().max() for slope in slopes) > 0


@pytest.mark.parametrize("left", [("referring", "semantic"), ("depth",), ("normals", "instances")])
def test_a_batch_that_lacks_a_way_of_painting_is_learnt_from_too(pool, left):
    """Few frames may happen to be asked nothing that is painted freely, or no depth."""
    made = tiny_network().train()
    batch = next(part for each in batches_of(pool, 6, pictures=0.0, junk=0.0, seed=8) if (part := those(each, left)).tasks)
    assert bool(batch.ramps) == (left == ("depth",))
    each = losses(BatchForward(made), batch)
    assert each.shape == (len(batch.tasks),) and torch.isfinite(each).all() and each.min() > 0
    each.mean().backward()
    slopes = [value.grad for value in made.parameters() if value.grad is not None]
    assert all(torch.isfinite(slope).all() for slope in slopes)


def those(batch, tasks):
    """The samples of a batch that are of these tasks, depth on the ramp alone."""
    kept = [i for i, task in enumerate(batch.tasks) if task in tasks and (task != "depth" or i in batch.ramps)]
    rows = torch.tensor(kept, dtype=torch.long)
    parts = {name: getattr(batch, name)[rows] for name in ("target", "of", "pieces", "colors", "mask", "palette")}
    ramps = [place for place, i in enumerate(kept) if i in batch.ramps]
    log_m = batch.log_m if ramps else batch.log_m[:0]
    tasks, texts = [batch.tasks[i] for i in kept], [batch.instructions[i] for i in kept]
    return replace(batch, **parts, tasks=tasks, instructions=texts, ramps=ramps, log_m=log_m)


# ---- recipes

RECIPE = """\
name: one
encoder: efficientnet_lite0
channels: [16, 32, 64]
sources: {procedural: 1.0}
canvases: {48x64: 1.0, 32x80: 0.5}
pool_views: 20
parts:
- {views: 16, sizes: {48x64: 32x48, 32x80: 32x80}, rate: 0.002}
- {views: 8, sizes: {48x64: [32x48, 48x64]}, frozen: 3}
"""


def recipe_of(tmp_path, text):
    (tmp_path / "r.yaml").write_text(text)
    return read_recipe(tmp_path / "r.yaml")


def test_a_recipe_says_all_and_is_known_by_its_hash(tmp_path):
    recipe = recipe_of(tmp_path, RECIPE)
    assert recipe.size == (48, 64) and recipe.channels == (16, 32, 64) and recipe.canvases == {(48, 64): 1.0, (32, 80): 0.5}
    assert recipe.parts[0].sizes == {(48, 64): ((32, 48),), (32, 80): ((32, 80),)} and recipe.parts[1].frozen == 3
    facts = recipe.facts
    assert facts["parts"][0]["sizes"] == {"48x64": ["32x48"], "32x80": ["32x80"]} and facts["canvases"] == {
        "48x64": 1.0,
        "32x80": 0.5,
    }
    other = recipe_of(tmp_path, RECIPE + "canvases_by_source: {procedural: {32x80: 1}}\n")
    assert other.canvases_by_source == {"procedural": {(32, 80): 1}} and not recipe.canvases_by_source
    assert other.facts["canvases_by_source"] == {"procedural": {"32x80": 1}}
    assert {pool_of(other, tmp_path).canvas(world) for world in range(20)} == {(32, 80)}
    assert len(facts["digest"]) == 64 and recipe_of(tmp_path, RECIPE + "seed: 1\n").digest != recipe.digest


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("encoder: efficientnet_lite0", "encoder: resnet", "no encoder 'resnet'; the encoders are efficientnet_lite0"),
        ("48x64: [32x48, 48x64]", "64x64: 64x64", "canvas 64x64, which is not in 'canvases'"),
        ("32x80: 32x80", "32x80: 30x80", "'30x80' is no size"),
        ("32x80: 32x80", "32x80: []", "'sizes' of a part must be 1 or more"),
        ("pool_views: 20\n", "", "field 'pool_views' is missing"),
        ("frozen: 3", "frosen: 3", "frosen"),
        ("name: one", "name: one\nspeed: 3", "speed"),
        (RECIPE, "- 1\n- 2\n", "must be a mapping"),
        ("{procedural: 1.0}", "{procedural: 1.0", "cannot be read as YAML"),
        ("{procedural: 1.0}", "[" * 5000, "nested too deeply"),
        ("{procedural: 1.0}", "&a [*a]", "refers to itself"),
        ("{procedural: 1.0}", "{procedural: 1.0} #" + "x" * 100_000, "too large"),
        ("parts:", "pieces:", "no field 'pieces'"),
        ("views: 16", "views: many", "'views' must be a number"),
        ("channels: [16, 32, 64]", "channels: [20, 32, 64]", "three multiples of 16"),
        ("views: 16", "views: 0", "1 or more"),
        ("views: 16", "views: 1000000000000000000", "'views' must be at most"),
        ("frozen: 3", "frames: 100000", "'frames' must be at most"),
        ("frozen: 3", "pictures: 1.5", "'pictures' must be at most 1.0"),
        ("frozen: 3", "random_legends: 20", "'random_legends' must be at most 1.0"),
        ("rate: 0.002", "rate: 2.0e+15", "'rate' must be at most"),
        ("rate: 0.002", "rate: 0", "'rate' must be above 0"),
        ("pool_views: 20", "pool_views: 0", "'pool_views' must be 1 or more"),
        ("channels: [16, 32, 64]", "channels: [16, 32, 16000000]", "'channels' must be at most 4096"),
        ("48x64: [32x48, 48x64]", "32x80: 32x80", "last part needs a size for 48x64"),
        ("name: one", "name: one\npretrained: 1", "'pretrained' must be true or false"),
        ("views: 16", "views: 16.5", "an integer"),
        ("channels: [16, 32, 64]", "channels: 16", "'channels' must be a list"),
        ("sources: {procedural: 1.0}", "sources: procedural", "'sources' must be a mapping"),
        ("{procedural: 1.0}", "{attic: 1.0}", "no source of scenes called 'attic'"),
        ("canvases: {48x64: 1.0, 32x80: 0.5}", "canvases: {48x64: much, 32x80: 0.5}", "'canvases' must be a number"),
        ("name: one", "name: one\ncanvases_by_source: {attic: {48x64: 1}}", "no source of scenes called 'attic'"),
        ("name: one", "name: one\ncanvases_by_source: {street: {64x64: 1}}", "'street' has the canvas 64x64, which is not in"),
        ("name: one", "name: one\ncanvases_by_source: {street: {48x64: 0}}", "'canvases_by_source, street' needs a canvas"),
        ("name: one", "name: one\ncanvases_by_source: {street: 48x64}", "'canvases_by_source, street' must be a mapping"),
    ],
)
def test_what_is_wrong_in_a_recipe_is_said_in_a_sentence(tmp_path, old, new, sentence):
    assert old in RECIPE
    with pytest.raises(InputError, match=sentence):
        recipe_of(tmp_path, RECIPE.replace(old, new))


def test_a_recipe_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_recipe(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="no ordinary file"):
        read_recipe(tmp_path)


# ---- checkpoints


@pytest.fixture
def learner():
    torch.manual_seed(1)
    made = VisionBananaUNet(channels=CHANNELS).to(memory_format=torch.channels_last)
    optimizers = make_optimizers(made)
    for value in made.parameters():
        value.grad = torch.randn_like(value)
    for optimizer in optimizers:
        optimizer.step()
    return Learner(
        made, optimizers, {name: value.detach().clone() + 0.01 for name, value in made.state_dict().items()}, State(step=7)
    )


def fresh():
    made = VisionBananaUNet(channels=CHANNELS).to(memory_format=torch.channels_last)
    return Learner(made, make_optimizers(made), {name: value.clone() for name, value in made.state_dict().items()})


FACTS = {"recipe": {"name": "one"}}


def test_every_weight_is_learnt_by_one_optimizer():
    made = VisionBananaUNet(channels=CHANNELS)
    taught = [id(value) for optimizer in make_optimizers(made) for group in optimizer.param_groups for value in group["params"]]
    assert sorted(taught) == sorted(id(value) for value in made.parameters())


def test_a_checkpoint_brings_back_everything(learner, tmp_path):
    save(learner, tmp_path, FACTS)
    again = fresh()
    resume(again, tmp_path)
    assert again.state == learner.state
    for name, value in learner.tensors().items():
        torch.testing.assert_close(again.tensors()[name], value, rtol=0, atol=0)
    for optimizer in again.optimizers:
        for weight, moments in optimizer.state.items():
            assert all(m.stride() == weight.stride() for m in moments.values() if m.shape == weight.shape)
    for value, like in zip(again.network.parameters(), learner.network.parameters(), strict=True):
        value.grad = torch.ones_like(value)  # and the next step is the same
        like.grad = torch.ones_like(like)
    for each in (learner, again):
        for optimizer in each.optimizers:
            optimizer.step()
    for value, other in zip(learner.network.parameters(), again.network.parameters(), strict=True):
        torch.testing.assert_close(value, other)


def test_a_checkpoint_of_another_network_is_refused(learner, tmp_path):
    save(learner, tmp_path, FACTS)
    other = VisionBananaUNet(channels=(24, 32, 64))
    with pytest.raises(InputError, match="another network"):
        resume(Learner(other, [], dict(other.state_dict())), tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("state.json", b""),
        ("state.json", b"[" * 100_000),
        ("state.json", b'{"state": []}'),
        ("state.json", b'{"state": {"steps": 1}}'),
        ("checkpoint.safetensors", b""),
        ("checkpoint.safetensors", b"\xff" * 100),
    ],
)
def test_a_damaged_checkpoint_is_a_sentence(learner, tmp_path, name, content):
    save(learner, tmp_path, FACTS)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match="cannot be read"):
        resume(fresh(), tmp_path)


@pytest.mark.parametrize(("name", "content"), [("state.json", b"{"), ("part_0_average.safetensors", b"\xff" * 9)])
def test_damaged_parts_make_no_run(learner, tmp_path, name, content):
    save_parts(learner, tmp_path / "parts", FACTS)
    (tmp_path / "parts" / name).write_bytes(content)
    with pytest.raises(InputError, match="cannot be read"):
        join_parts(tmp_path / "parts", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_parts_are_small_and_make_a_run_again(learner, tmp_path):
    save_parts(learner, tmp_path / "parts", FACTS, part=4 << 20)
    parts = sorted((tmp_path / "parts").glob("part_*"))
    assert len(parts) > 2 and all(part.stat().st_size <= (4 << 20) + (64 << 10) for part in parts)
    join_parts(tmp_path / "parts", tmp_path / "run")
    again = fresh()
    resume(again, tmp_path / "run")
    assert again.state.step == 7 and again.state.warm_from == 0
    for name, value in learner.tensors().items():
        torch.testing.assert_close(again.tensors()[name], value, rtol=1e-2, atol=1e-3)


def test_of_a_small_budget_the_average_is_kept_and_the_rest_made_anew(learner, tmp_path):
    save_parts(learner, tmp_path / "parts", FACTS, budget=12 << 20)
    assert {path.stem.split("_")[-1] for path in (tmp_path / "parts").glob("part_*")} == {"average"}
    join_parts(tmp_path / "parts", tmp_path / "run")
    again = fresh()
    resume(again, tmp_path / "run")
    assert again.state.warm_from == again.state.step == 7 and not any(optimizer.state for optimizer in again.optimizers)
    for name, value in learner.average.items():
        torch.testing.assert_close(again.network.state_dict()[name], value, rtol=1e-3, atol=1e-3)
    with pytest.raises(InputError, match="half precision"):
        save_parts(learner, tmp_path / "none", FACTS, budget=1 << 20)
    with pytest.raises(InputError, match="contains no parts"):
        join_parts(tmp_path / "run" / "nowhere", tmp_path / "other")


# ---- copying a colour that the instruction names


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 10_000), st.integers(2, 12))
def test_however_unsure_the_nearest_colour_is_the_likeliest(seed, count):
    rng = np.random.default_rng(seed)
    named = np.array(far_apart(count, avoid=["black"]), np.float32) / 255
    colors = torch.zeros(1, count + 3, 4)  # what is no colour stands between them
    places = rng.permutation(count + 3)[:count]
    colors[0, places, :3], colors[0, places, 3] = torch.from_numpy(named), 1
    chances = torch.zeros(1, count + 3, 1, 50)
    chances[0, places, 0] = torch.from_numpy(rng.dirichlet(np.full(count, 0.7), 50).T.astype(np.float32))
    painted = own.copied_colors(chances, colors)[0, :, 0].T.numpy() / 2 + 0.5
    palette = np.vstack([named, np.zeros(3)])
    distances = np.linalg.norm(painted[:, None] - palette[None], axis=2)
    told = chances[0, places, 0].T.numpy()
    clear = np.diff(np.sort(told, 1)[:, -2:], axis=1)[:, 0] > 1e-3
    np.testing.assert_array_equal(distances.argmin(1)[clear], told.argmax(1)[clear])


def test_between_two_colours_the_mean_is_painted():
    colors = torch.tensor([[[0.0, 0, 0, 1], [1, 0, 0, 1]]])
    chances = torch.tensor([0.3, 0.7])[None, :, None, None] * 0.5  # the other half is painted otherwise
    torch.testing.assert_close(own.copied_colors(chances, colors)[0, :, 0, 0], torch.tensor([0.7 * 2 - 1, -1, -1]) * 0.5)
