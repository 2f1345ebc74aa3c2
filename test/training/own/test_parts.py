# SPDX-License-Identifier: Apache-2.0
"""The pieces of training by themselves: flow, guide, data, parts of checkpoints."""

import json
import math
from dataclasses import replace
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: make test TORCH=1")
pytest.importorskip("diffusers", reason="training needs diffusers: make test TORCH=1")

import torch  # noqa: E402

from vision_banana_ros.errors import InputError  # noqa: E402
from vision_banana_ros.generators.own.network import COLOR, KEY, VisionBananaUNet, _finer  # noqa: E402
from vision_banana_ros.generators.own.tokenizer import tokenize  # noqa: E402
from vision_banana_ros.perception import Intrinsics, Perceiver, Question  # noqa: E402
from vision_banana_ros.scenes import CLASSES, make_world, render, sample_camera  # noqa: E402
from vision_banana_ros.tasks import depth, normals  # noqa: E402
from vision_banana_ros.tasks.vocabulary import LEGEND  # noqa: E402
from vision_banana_ros.training.data import batches  # noqa: E402
from vision_banana_ros.training.data.batches import Feed, Recipe, Stream, pixels  # noqa: E402
from vision_banana_ros.training.data.questions import QUESTIONS_A_VIEW, draw_samples, place_color  # noqa: E402
from vision_banana_ros.training.data.sources import FIRST_HELD_OUT_SEED, FIRST_TRAINING_SEED, shots  # noqa: E402
from vision_banana_ros.training.own import rectified_flow  # noqa: E402
from vision_banana_ros.training.own.answers import OWN_ANSWERS  # noqa: E402
from vision_banana_ros.training.own.checkpoint import Learner, State, join_parts, resume, save, save_parts  # noqa: E402
from vision_banana_ros.training.own.decoded_loss import RAREST, WORST, copied_wrongly, decoded_error, rarity  # noqa: E402
from vision_banana_ros.training.own.device import Machine  # noqa: E402
from vision_banana_ros.training.own.loop import _optimizers  # noqa: E402
from vision_banana_ros.training.own.sampler import Painter, batch_of  # noqa: E402
from vision_banana_ros.training.own.stages import CHANNELS, Painting, Plan, losses, most_lit  # noqa: E402

SIZE = (48, 64)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    own = VisionBananaUNet(channels=CHANNELS["tiny"]).eval()
    with torch.no_grad():
        for value in own.parameters():  # at first, words change nothing
            value.add_(0.02 * torch.randn_like(value))
    return own


@pytest.fixture(scope="module")
def asked():
    return next(iter(Stream(Recipe(SIZE, views=3, seed=3))))


@pytest.fixture(scope="module")
def drawn():
    return next(iter(Stream(Recipe(SIZE, views=2, mix=0.0, seed=3))))


def view_of(seed, size=SIZE):
    rng = np.random.default_rng(seed)
    world = make_world(FIRST_TRAINING_SEED + seed)
    return render(world, sample_camera(world, rng, size[1], size[0]), 7), rng


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
    x = rectified_flow.between(picture, noise, time)
    shaped = time[:, None, None, None]
    expected = ((x - guess) / shaped - (noise - picture)).square().mean((1, 2, 3))
    torch.testing.assert_close(rectified_flow.loss(guess, picture, time), expected)


def test_times_lie_where_answers_are_decided():
    torch.manual_seed(0)
    times = rectified_flow.draw_times(4000, torch.device("cpu"))
    assert times.min() > 0 and times.max() == 1
    assert 0.6 < times.median() < 0.75 and (times == 1).float().mean() > 0.03


# ---- guide


def test_the_truth_has_no_decoded_error_and_its_opposite_has(asked):
    truth = pixels(asked.target)
    even = torch.ones_like(truth[:, 0])
    none = decoded_error(truth, truth, asked.tasks, asked.palette, even)
    other = decoded_error(-truth, truth, asked.tasks, asked.palette, even)
    for task, right, wrong, palette in zip(asked.tasks, none, other, asked.palette, strict=True):
        if task == "depth" and palette[0, 0] == batches.NO_COLOR:
            assert right == wrong == 0
        else:
            # Things side by side have colours that are near, so even the truth could be read as the neighbour's.
            assert right < (0.3 if task == "instances" else 0.06) and 0.3 < wrong < 4, task


def error_of(task, answer, truth, palette=(), times=None):
    rows = torch.full((1, 24, 3), batches.NO_COLOR)
    if len(palette):
        rows[0, : len(palette)] = torch.tensor(palette) / 255
    answer, truth = (torch.from_numpy(x).permute(2, 0, 1)[None].float() * 2 - 1 for x in (answer, truth))
    even = np.ones(truth.shape[2:], np.float32)
    return float(decoded_error(answer, truth, [task], rows, torch.from_numpy(even if times is None else times)[None])[0])


def test_a_tenth_too_far_is_an_error_of_a_tenth():
    metres = np.linspace(0.3, 40, 48 * 64, dtype=np.float32).reshape(48, 64)
    walk = [tuple(255 * c for c in knot) for knot in depth.COLORMAPS["cube"].tolist()]
    error = error_of("depth", depth.encode(1.1 * metres), depth.encode(metres), walk)
    assert error == pytest.approx(0.1, rel=0.05)


def test_a_depth_that_is_far_off_still_leads_back_and_one_beyond_all_bounds_counts_as_the_worst():
    two, walk = np.full((8, 8), 2.0, np.float32), [tuple(255 * c for c in knot) for knot in depth.COLORMAPS["cube"].tolist()]
    off = [error_of("depth", depth.encode(two * times), depth.encode(two), walk) for times in (0.5, 1.5, 3, 6, 30)]
    assert off[:4] == pytest.approx([0.5, 0.5, 2, 5], rel=0.05) and off[4] == pytest.approx(WORST - 1)


def test_a_wrong_class_leads_to_the_true_one_from_wherever_it_is():
    palette = [(0, 0, 0), (255, 0, 0), (0, 0, 255)]
    truth = np.zeros((4, 4, 3), np.float32)
    truth[..., 0] = 1
    steps = [
        error_of("semantic", np.float32([1 - t, 0, t]) * np.ones((4, 4, 1), np.float32), truth, palette) for t in np.linspace(0, 1, 6)
    ]
    assert steps[0] < 1e-3 and np.all(np.diff(steps[2:]) > 0.3)  # a slope from the middle on, and no plateau at the end


def copied(scores, truth, times=(1, 1)):
    """Of a picture of two pixels, and a prompt of a word without a colour, red, and blue twice."""
    colors = torch.tensor([[(0, 0, 0, 0), (1, 0, 0, 1), (0, 0, 1, 1), (0, 0, 1, 1)]]).float()
    pictures = torch.tensor(truth).T[None, :, None].float() / 127.5 - 1
    return copied_wrongly(torch.tensor(scores).float().T[None, :, None], pictures, colors, torch.tensor(times)[None, None].float())


def test_a_colour_is_copied_from_any_word_that_has_it_and_another_one_is_painted_freely():
    sure, guess = [(0, -1e4, 50, 0, 0), (50, -1e4, 0, 0, 0)], [(0, -1e4, 0, 0, 0)] * 2
    assert copied(sure, [(255, 0, 0), (0, 255, 0)]) == pytest.approx(0, abs=1e-6)
    assert copied(sure, [(255, 0, 0), (0, 0, 255)]) == pytest.approx((50 - np.log(2)) / 2, rel=1e-3)
    assert copied(guess, [(0, 0, 255)] * 2) == pytest.approx(np.log(2), rel=1e-3)
    assert copied(guess, [(0, 0, 0)] * 2) == pytest.approx(np.log(4), rel=1e-3)  # black is nobody's: the word has no colour
    assert copied(sure, [(0, 255, 0), (0, 255, 0)], (0, 1)) == pytest.approx(0, abs=1e-6)


def test_a_colour_that_is_never_chosen_still_leads_to_itself():
    colors = torch.tensor([[(1, 0, 0, 1), (0, 0, 1, 1)]]).float()
    scores = torch.tensor([0.0, 9, -9])[None, :, None, None].requires_grad_()
    blue = torch.tensor([-1.0, -1, 1])[None, :, None, None]
    (slope,) = torch.autograd.grad(copied_wrongly(scores, blue, colors, torch.ones(1, 1, 1)).sum(), scores)
    np.testing.assert_allclose(slope.flatten(), [0, 1, -1], atol=1e-3)


def test_a_right_angle_is_half_an_error():
    up, left = np.zeros((8, 8, 3), np.float32), np.zeros((8, 8, 3), np.float32)
    up[..., 1] = left[..., 0] = 1
    assert error_of("normals", normals.encode(up), normals.encode(left)) == pytest.approx(0.5, abs=0.01)


def test_a_small_mask_counts_four_times_at_first_and_twice_from_the_middle_of_a_run_on(asked):
    class Black(torch.nn.Module):
        def forward(self, image, of, *prompt):
            return torch.full((len(of), 3, *image.shape[2:]), -1.0), None

    early, middle, late = (losses(Black(), asked, Plan("distill", 1, guide=0.0), progress) for progress in (0.0, 0.25, 0.5))
    assert [most_lit(p) for p in (0, 0.25, 0.5, 1)] == [4, 3, 2, 2]
    lit = (asked.target.amax(1) > 0).float().mean((1, 2))
    for task, share, *each in zip(asked.tasks, lit, early, middle, late, strict=True):
        if task not in ("referring", "instances"):
            assert each[0] == each[2]
        elif 0 < share < 0.15:
            assert float(each[0]) == pytest.approx(2 * float(each[2])) and float(each[1]) == pytest.approx(1.5 * float(each[2]))
    assert any(0 < s < 0.15 for s, t in zip(lit, asked.tasks, strict=True) if t in ("referring", "instances"))


def test_a_rare_class_counts_more_by_the_root_of_how_rare_it_is():
    truth = np.zeros((20, 20, 3), np.float32)
    truth[:, :] = (0, 0, 1)
    truth[:3, :4] = (1, 0, 0)  # 12 pixels beside 387
    truth[19, 19] = (0, 1, 0)
    palette = torch.full((1, 5, 3), batches.NO_COLOR)
    palette[0, :4] = torch.tensor([(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)])
    times = rarity(torch.from_numpy(truth).permute(2, 0, 1)[None] * 2 - 1, palette)[0]
    assert times[10, 10] == 1 and times[0, 0] == pytest.approx((387 / 12) ** 0.5)
    assert times[19, 19] == RAREST
    truth[:10] = (1, 0, 0)
    times = rarity(torch.from_numpy(truth).permute(2, 0, 1)[None] * 2 - 1, palette)[0]
    assert times[0, 0] == 1 and times[10, 10] == pytest.approx((200 / 199) ** 0.5)


def test_half_of_a_small_mask_missed_counts_by_what_its_pixels_count():
    truth = np.zeros((40, 40, 3), np.float32)
    truth[:4, :4] = (1, 0, 0)
    half = truth.copy()
    half[:2, :4] = 0
    palette, lit = [(0, 0, 0), (255, 0, 0)], truth[..., 0]
    assert error_of("referring", half, truth, palette) == pytest.approx(8 / 1600, rel=1e-3)
    assert error_of("referring", half, truth, palette, 1 + 3 * lit) == pytest.approx(4 * 8 / (1600 + 3 * 16), rel=1e-3)


def test_the_guide_leads_downhill(asked):
    torch.manual_seed(0)
    truth = pixels(asked.target)
    answer = (truth + 0.3 * torch.randn_like(truth)).requires_grad_()
    even = torch.ones_like(truth[:, 0])
    before = decoded_error(answer, truth, asked.tasks, asked.palette, even).sum()
    (slope,) = torch.autograd.grad(before, answer)
    assert torch.isfinite(slope).all()
    with torch.no_grad():
        after = decoded_error(answer - 0.5 * slope / slope.abs().max(), truth, asked.tasks, asked.palette, even).sum()
    assert after < before


# ---- data


def test_a_batch_of_questions_asks_each_frame_the_same_tasks(asked):
    assert asked.asks and len(asked.image) == 3 and asked.of.tolist() == [i for i in range(3) for _ in range(QUESTIONS_A_VIEW)]
    assert asked.image.dtype == asked.target.dtype == torch.uint8
    assert asked.pieces.shape[1] == int(asked.mask.sum(1).max()) < 128  # trimmed to the longest


def test_a_batch_of_pictures_has_captions_of_no_frame_and_edits_of_a_frame(drawn):
    assert not drawn.asks and set(drawn.tasks) <= {"picture", "edit"} and len(drawn.image) == 5 and len(drawn.tasks) == 8
    assert (drawn.image[0] == 128).all()
    for task, of, target in zip(drawn.tasks, drawn.of, drawn.target, strict=True):
        assert (of == 0) == (task == "picture")
        if task == "edit":  # most of the picture stays
            near = (drawn.image[of].int() - target.int()).abs().amax(0) < 40
            assert near.float().mean() > 0.25


def test_mixture_and_held_out_worlds():
    def count(mix):
        stream = Stream(Recipe((16, 16), views=1, mix=mix, seed=1))
        return sum(batch.asks for batch in islice(stream, 60))

    assert count(0.0) == 0 and count(1.0) == 60 and 5 < count(0.25) < 26
    rng = np.random.default_rng(0)
    for first, last in ((FIRST_HELD_OUT_SEED, FIRST_TRAINING_SEED), (FIRST_TRAINING_SEED, 2**31)):
        seeds = {shot.view.world.seed for shot in islice(shots({"procedural": 1.0}, (16, 16), rng, first), 12)}
        assert len(seeds) == 3 and all(first <= seed < last for seed in seeds)


def test_an_unknown_source_ends_in_a_sentence():
    from vision_banana_ros.training.data.sources import check

    with pytest.raises(InputError, match="no source of scenes called 'attic'"):
        check({"attic": 1.0})


def test_rendering_that_is_slow_lets_batches_be_learnt_from_again():
    feed = Feed(Recipe((16, 16), views=1), workers=1, device=torch.device("cpu"))
    try:
        taken = [next(feed) for _ in range(3 * batches.KEPT)]
    finally:
        feed.close()
    assert feed.fresh + feed.replayed == len(taken) and len({id(batch) for batch in taken}) == feed.fresh
    assert feed.fresh >= batches.KEPT // 4 and feed.replayed <= batches.REPLAYS * feed.fresh


@pytest.mark.parametrize("seed", range(3))
def test_samples_decode_back_to_the_truth_of_the_view(seed):
    view, rng = view_of(seed)
    samples = draw_samples(view, rng)
    assert len(samples) == QUESTIONS_A_VIEW
    for sample in samples:
        assert sample.target.shape == (48, 64, 3) and sample.target.min() >= 0
        assert sample.target.max() <= (255 if sample.target.dtype == np.uint8 else 1)
        tokenize(sample.instruction, 128, 4096)
    if samples[0].palette:
        once = lambda image, instructions: samples[0].target[None]  # noqa: E731
        no_limit = replace(OWN_ANSWERS, depth_range_m=(0.0, math.inf))
        painter = SimpleNamespace(size=(48, 64), manifest=no_limit, paint=once)
        (depth,) = Perceiver(painter).look(view.image, [Question.depth()], Intrinsics.of(view.camera))
        np.testing.assert_allclose(depth.depth_m, view.depth_m, rtol=1e-3)


def test_legends_are_drawn_anew_and_may_name_every_class():
    view, rng = view_of(1)
    legends = [draw_samples(view, rng)[2].palette[1:] for _ in range(60)]
    whole = [legend for legend in legends if len(legend) == len(CLASSES)]
    known = [legend for legend in whole if legend == tuple(LEGEND.values())]
    assert 12 <= len(known) < 38 and len(whole) - len(known) >= 6 and len(whole) < 54
    fixed = {draw_samples(view, rng, random_legends=0.0)[2].palette[1:] for _ in range(5)}
    assert fixed == {tuple(LEGEND.values())}


def test_places_far_apart_have_colours_that_can_be_told_apart():
    left, right = (np.array(place_color(x, 0.5)) for x in (0.3, 0.4))
    assert np.linalg.norm(left - right) > 2 * 14
    assert np.linalg.norm(place_color(0, 0)) > 100


def test_things_take_the_colours_of_their_palette():
    view, rng = view_of(0)
    asked = [s for _ in range(20) for s in draw_samples(view, rng) if s.task == "instances"]
    assert any(len(sample.palette) > 2 for sample in asked)
    for sample in asked:
        assert {tuple(color) for color in np.unique(sample.target.reshape(-1, 3), axis=0).tolist()} <= set(sample.palette)


# ---- the network as it is called


def test_one_call_paints_what_the_parts_paint(network, asked):
    with torch.no_grad():
        image = pixels(asked.image)
        painted, scores = Painting(network)(image, asked.of, asked.pieces, asked.colors, asked.mask)
        features = network.add_sample(network.encode_image(image), image)
        features = tuple(level.repeat_interleave(QUESTIONS_A_VIEW, 0) for level in features)
        text = network.encode_text(asked.pieces, asked.colors, asked.mask)
        expected = network.answer(features, torch.ones(len(text)), text, asked.mask)
    torch.testing.assert_close(painted, expected)
    assert scores.shape == (len(asked.tasks), 1 + asked.colors.shape[1], SIZE[0] // 4, SIZE[1] // 4)


def prompt_of(network, text):
    made = tokenize(text, 128, 4096)
    pieces, colors, mask = (torch.from_numpy(a)[None, :12] for a in (made.pieces, made.colors, made.mask))
    return network.encode_text(pieces, colors, mask), mask, colors[0, :, 3].nonzero()[:, 0].tolist()


@torch.no_grad()
def test_a_position_has_exactly_the_colour_that_it_copies_or_is_painted_freely(network, asked, monkeypatch):
    image = pixels(asked.image[:1])
    features, now = network.add_sample(network.encode_image(image), image), torch.ones(1)
    text, mask, (red, blue) = prompt_of(network, "the ball: #ff0000, the wall: #0000ff")

    def paint(*chosen):
        scores = torch.zeros(1, 1 + text.shape[1], SIZE[0] // 4, SIZE[1] // 4)
        for word in chosen:
            scores[:, word] = 20
        monkeypatch.setattr(network.answer_copies, "forward", lambda x, words, named: scores)
        return network.answer(features, now, text, mask)

    for word, color in ((red, (1, -1, -1)), (blue, (-1, -1, 1))):
        torch.testing.assert_close(
            paint(1 + word), torch.tensor(color).float()[None, :, None, None].expand_as(image), atol=1e-4, rtol=0
        )
    torch.testing.assert_close(paint(1 + red, 1 + blue).mean((0, 2, 3)), torch.tensor([0.0, -1, 0]), atol=1e-4, rtol=0)
    freely = paint(0)
    assert freely.std() > 0.01
    text[..., -COLOR:-1] = 0.5  # other colours: nothing of them is in what is painted freely
    torch.testing.assert_close(paint(0), freely)


@torch.no_grad()
def test_only_words_that_are_colours_are_copied(network):
    text, _, colors = prompt_of(network, "the ball: #ff0000, the wall: blue")
    keys, values = text.split([network.config.text_width, KEY, COLOR], 2)[1:]
    scores = network.answer_copies(torch.randn(1, network.config.channels[0], 3, 4), keys, values[..., 3])
    others = [i for i in range(text.shape[1]) if i not in colors]
    assert len(colors) == 2 and not scores[:, 0].any()
    assert scores[:, 1:][:, others].max() < -1e3 and scores[:, 1:][:, colors].min() > -1e3


def test_a_painter_answers_like_a_generator(network):
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    texts = ["Paint depth.", "make the ball green"]
    once = Painter(network, SIZE, from_frame=True).paint(image, texts)
    assert once.shape == (2, *SIZE, 3) and once.dtype == np.float32 and once.min() >= 0 and once.max() <= 1
    guided = Painter(network, SIZE, steps=2, guidance=2.0).paint(image, texts)
    assert not np.array_equal(guided, Painter(network, SIZE, steps=2).paint(image, texts))
    assert batch_of(network, [image], [(0, "a"), (0, "b")]).of.tolist() == [0, 0]


def test_the_question_decides_and_padding_does_not(network):
    short = tokenize("paint depth", 128, 4096)
    with torch.no_grad():
        pieces, colors, mask = (torch.from_numpy(a)[None] for a in (short.pieces, short.colors, short.mask))
        text = network.encode_text(pieces, colors, mask)
        pieces[:, 60:] = 7  # behind the mask: must not matter
        np.testing.assert_allclose(network.encode_text(pieces, colors, mask), text, atol=1e-5)
        np.testing.assert_allclose(network.encode_text(pieces[:, :9], colors[:, :9], mask[:, :9]), text[:, :9], atol=1e-5)
    assert not text[:, 3:].any()


def test_presets_are_of_the_sizes_they_promise():
    counts = {}
    for name, channels in CHANNELS.items():
        with torch.device("meta"):
            counts[name] = sum(value.numel() for value in VisionBananaUNet(channels=channels).parameters())
    assert counts["tiny"] < 2e6 and 12e6 < counts["small"] < 14e6 and 25e6 < counts["large"] < 29e6


# ---- edges


def test_a_finer_position_is_made_of_the_shares_of_the_nine_around_its_coarse_one():
    torch.manual_seed(0)
    x, shares = torch.randn(1, 2, 3, 4), torch.rand(1, 9 * 4, 3, 4)
    finer = _finer(x, shares, 2)
    assert finer.shape == (1, 2, 6, 8)
    for row, column, channel in ((0, 0, 0), (3, 7, 1), (5, 2, 0)):
        expected = 0.0
        for k in range(9):
            near = min(max(row // 2 + k // 3 - 1, 0), 2), min(max(column // 2 + k % 3 - 1, 0), 3)
            place = 4 * k + 2 * (row % 2) + column % 2
            expected += float(shares[0, place, row // 2, column // 2] * x[0, channel, near[0], near[1]])
        assert float(finer[0, channel, row, column]) == pytest.approx(expected, abs=1e-5)


def test_the_shares_of_every_position_sum_to_one(network, asked):
    with torch.no_grad():
        features = network.encode_image(pixels(asked.image))
    for level, channels, side in zip(features, network.config.channels, (4, 2, 2), strict=True):
        shares = level[:, channels:].unflatten(1, (9, -1))
        assert shares.shape[2] == side**2 and shares.min() >= 0
        torch.testing.assert_close(shares.sum(1), torch.ones_like(shares[:, 0]))


def test_a_sample_changes_no_edges(network, asked):
    image = pixels(asked.image)
    with torch.no_grad():
        features = network.encode_image(image)
        added = network.add_sample(features, torch.randn_like(image))
    for before, after, channels in zip(features, added, network.config.channels, strict=True):
        assert torch.equal(before[:, channels:], after[:, channels:])
        assert not torch.equal(before[:, :channels], after[:, :channels])


# ---- checkpoints


@pytest.fixture
def learner(network):
    torch.manual_seed(1)
    own = VisionBananaUNet(channels=CHANNELS["tiny"]).to(memory_format=torch.channels_last)
    optimizers = _optimizers(own, 1e-3)
    for value in own.parameters():
        value.grad = torch.randn_like(value)
    for optimizer in optimizers:
        optimizer.step()
    return Learner(own, optimizers, {name: value.detach().clone() + 0.01 for name, value in own.state_dict().items()}, State(step=7))


def fresh():
    own = VisionBananaUNet(channels=CHANNELS["tiny"]).to(memory_format=torch.channels_last)
    return Learner(own, _optimizers(own, 1e-3), {name: value.clone() for name, value in own.state_dict().items()})


FACTS = {"plan": {"stage": "base"}}
CPU = torch.device("cpu")


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
    for left, right in ((learner, again), (again, learner)):  # and the next step is the same
        for value, like in zip(left.network.parameters(), right.network.parameters(), strict=True):
            value.grad = torch.ones_like(value) if left is learner else like.grad
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


def test_parts_are_small_and_make_a_run_again(learner, tmp_path):
    save_parts(learner, tmp_path / "parts", FACTS, part=4 << 20)
    parts = sorted((tmp_path / "parts").glob("part_*"))
    assert len(parts) > 2 and all(part.stat().st_size <= (4 << 20) + (64 << 10) for part in parts)
    assert join_parts(tmp_path / "parts", tmp_path / "run") == "base"
    again = fresh()
    resume(again, tmp_path / "run" / "base")
    assert again.state.step == 7 and again.state.warm_from == 0
    for name, value in learner.tensors().items():
        torch.testing.assert_close(again.tensors()[name], value, rtol=1e-2, atol=1e-3)


def test_what_does_not_fit_is_left_out_and_made_anew(learner, tmp_path):
    half = sum(2 * value.numel() for value in learner.average.values())
    save_parts(learner, tmp_path / "parts", FACTS, budget=int(1.2 * half))
    assert sum(part.stat().st_size for part in (tmp_path / "parts").glob("part_*")) <= 1.2 * half
    join_parts(tmp_path / "parts", tmp_path / "run")
    again = fresh()
    resume(again, tmp_path / "run" / "base")
    assert again.state.warm_from == 7  # the learning rate warms up once more
    for name, value in learner.average.items():
        torch.testing.assert_close(again.network.state_dict()[name], value, rtol=1e-3, atol=1e-3)
    save_parts(learner, tmp_path / "all", FACTS)
    for file in (tmp_path / "all").glob("part_*"):  # who has little room carries the average alone
        if "average" not in file.name:
            file.unlink()
    join_parts(tmp_path / "all", tmp_path / "light")
    resume(again, tmp_path / "light" / "base")
    with pytest.raises(InputError, match="half precision"):
        save_parts(learner, tmp_path / "parts", FACTS, budget=half // 2)


def test_parts_never_overwrite_a_run_and_no_parts_are_refused(learner, tmp_path):
    save_parts(learner, tmp_path / "parts", FACTS)
    folder = tmp_path / "run" / "base"
    folder.mkdir(parents=True)
    (folder / "state.json").write_text(json.dumps({"mine": 1}))
    join_parts(tmp_path / "parts", tmp_path / "run")
    assert json.loads((folder / "state.json").read_text()) == {"mine": 1}
    with pytest.raises(InputError, match="holds no parts"):
        join_parts(tmp_path, tmp_path / "other")


def test_a_plan_says_honestly_how_weights_were_made():
    alone = Plan("distill", minutes=1)
    assert alone.share == 1 and "without a teacher" in alone.method and "distilled" not in alone.method
    taught = replace(alone, start="instruct", teacher="instruct")
    assert taught.share < 1 and taught.method.startswith("distilled") and taught.rate < alone.rate
    assert Plan("base", minutes=1).share == 0 and 0 < Plan("instruct", minutes=1).share < 0.5
    with pytest.raises(InputError, match="no stage"):
        Plan("tune", minutes=1)


def test_one_process_needs_no_accelerate():
    assert Machine(CPU).writes and Machine(CPU).agree(0.5) == 0.5
