# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vision_banana_ros.errors import InputError
from vision_banana_ros.tasks import referring
from vision_banana_ros.tasks.colors import far_apart


@pytest.mark.parametrize("color", ["red", "#00ff00", (0, 0, 128), "white", "rgb(60, 60, 60)"])
@settings(deadline=None, max_examples=20)
@given(mask=arrays(np.bool_, (6, 7)))
def test_round_trip(color: object, mask: np.ndarray) -> None:
    rgb = referring.encode(mask, color)
    assert rgb.dtype == np.float32
    for painted in (rgb, np.rint(rgb * 255).astype(np.uint8)):
        answer = referring.decode(painted, color)
        assert answer.mask.dtype == np.bool_ and answer.confidence.dtype == np.float32
        np.testing.assert_array_equal(answer.mask, mask)
        np.testing.assert_array_equal(answer.confidence, 1)


@settings(deadline=None, max_examples=60)
@given(arrays(np.uint8, (5, 6, 3)), st.integers(0, 6), st.sampled_from([30.0, 127.5, 400.0]))
def test_against_brute_force(rgb: np.ndarray, which: int, max_distance: float) -> None:
    color = far_apart(7, ["black"])[which]
    answer = referring.decode(rgb, color, max_distance=max_distance)
    to_color = np.linalg.norm(np.float64(rgb) - color, axis=2)
    to_black = np.linalg.norm(np.float64(rgb), axis=2)
    near, far = np.minimum(to_color, to_black), np.maximum(to_color, to_black)
    np.testing.assert_array_equal(answer.mask, (to_color < to_black) & (to_color < max_distance))
    np.testing.assert_allclose(
        answer.confidence, np.maximum(1 - near / np.minimum(far, max_distance), 0), atol=1e-5
    )


def test_another_colour_is_in_no_mask() -> None:
    colors = far_apart(7, ["black"])
    for color in colors:
        others = [other for other in colors if other != color]
        answer = referring.decode(np.array([others], np.uint8), color)
        assert not answer.mask.any() and not answer.confidence.any()


def test_masks_survive_noise() -> None:
    mask = np.zeros((60, 80), bool)
    mask[20:40, 30:60] = True
    noisy = referring.encode(mask, "yellow") + np.random.default_rng(0).normal(0, 20 / 255, (60, 80, 3))
    np.testing.assert_array_equal(referring.decode(noisy, "yellow").mask, mask)


def test_the_background_may_have_a_colour() -> None:
    mask = np.array([[True, False]])
    rgb = referring.encode(mask, "black", background="white")
    assert rgb.tolist() == [[[0, 0, 0], [1, 1, 1]]]
    assert referring.decode(rgb, "black", background="white").mask.tolist() == [[True, False]]


@pytest.mark.parametrize("channel", range(3))
def test_nan_colours_are_in_no_mask(channel: int) -> None:
    rgb = np.array([[[1.0, 0, 0]]])
    rgb[..., channel] = np.nan
    answer = referring.decode(rgb, "red")
    assert not answer.mask[0, 0] and answer.confidence[0, 0] == 0


def test_bad_input_is_refused() -> None:
    rgb, mask = np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), bool)
    with pytest.raises(InputError, match="too near"):
        referring.decode(rgb, (5, 5, 5))
    with pytest.raises(InputError, match="too near"):
        referring.encode(mask, "white", background="snow")
    with pytest.raises(InputError, match="bool"):
        referring.encode(mask.astype(np.uint8), "red")
    with pytest.raises(InputError, match="shape"):
        referring.encode(mask[0], "red")
    with pytest.raises(InputError, match="max_distance"):
        referring.decode(rgb, "red", max_distance=-1)


@settings(deadline=None, max_examples=60)
@given(
    masks=arrays(np.bool_, st.tuples(st.integers(1, referring.MAX_EXPRESSIONS), st.just(5), st.just(6))),
    bits=st.booleans(),
)
def test_several_masks_come_back_each_by_its_colour(masks: np.ndarray, bits: bool) -> None:
    colors = far_apart(len(masks), ["black"])
    rgb = referring.encode_many(masks, colors)
    assert rgb.dtype == np.float32
    answers = referring.decode_many(np.rint(rgb * 255).astype(np.uint8) if bits else rgb, colors)
    hidden = np.zeros(masks.shape[1:], bool)
    for mask, answer in zip(masks, answers, strict=True):  # where they overlap, the first is seen
        np.testing.assert_array_equal(answer.mask, mask & ~hidden)
        np.testing.assert_array_equal(answer.confidence, 1)
        hidden |= mask


@settings(deadline=None, max_examples=40)
@given(arrays(np.uint8, (5, 6, 3)), st.integers(2, 8), st.sampled_from([30.0, 127.5]))
def test_several_against_brute_force(rgb: np.ndarray, count: int, max_distance: float) -> None:
    colors = far_apart(count, ["black"])
    answers = referring.decode_many(rgb, colors, max_distance=max_distance)
    apart = np.linalg.norm(np.float64(rgb)[:, :, None] - np.array([(0, 0, 0), *colors], float), axis=3)
    ordered = np.sort(apart, axis=2)
    clear = (ordered[..., 0] < max_distance) & (ordered[..., 1] - ordered[..., 0] > 1e-3)
    for i, answer in enumerate(answers, start=1):
        np.testing.assert_array_equal(answer.mask[clear], (apart.argmin(2) == i)[clear])
        assert not answer.mask[ordered[..., 0] >= max_distance].any()


def test_one_of_several_is_what_one_alone_is() -> None:
    rng = np.random.default_rng(0)
    rgb = rng.uniform(size=(20, 30, 3)).astype(np.float32)
    (several,), alone = referring.decode_many(rgb, ["red"]), referring.decode(rgb, "red")
    np.testing.assert_array_equal(several.mask, alone.mask)
    np.testing.assert_array_equal(several.confidence, alone.confidence)


def test_several_expressions_are_asked_in_one_sentence() -> None:
    asked = {"the man in the pink shirt": "white", "the other man": "green"}
    for phrasing in range(len(referring.PHRASINGS_MANY)):
        text = referring.instruction_many(asked, phrasing=phrasing, style="name")
        assert (
            "the man in the pink shirt: white" in text and "the other man: green" in text and "black" in text
        )
        assert text.index("pink") < text.index("other")
    texts = {referring.instruction_many(asked, phrasing=i) for i in range(len(referring.PHRASINGS_MANY))}
    assert len(texts) == len(referring.PHRASINGS_MANY) > 1


def test_bad_lists_are_refused() -> None:
    colors = far_apart(9, ["black"])
    nine = {f"box {i}": color for i, color in enumerate(colors)}
    with pytest.raises(InputError, match="1 to 8 expressions, not 9: ask for them in parts"):
        referring.instruction_many(nine)
    with pytest.raises(InputError, match="1 to 8 expressions, not 0"):
        referring.decode_many(np.zeros((2, 2, 3)), [])
    with pytest.raises(InputError, match="An expression is empty"):
        referring.instruction_many({"a box": "red", " ": "green"})
    with pytest.raises(InputError, match="too near"):
        referring.instruction_many({"a box": "red", "a ball": (250, 0, 0)})
    with pytest.raises(InputError, match="2 masks and 1 colours"):
        referring.encode_many(np.zeros((2, 3, 3), bool), ["red"])
    with pytest.raises(InputError, match="bool"):
        referring.encode_many(np.zeros((1, 3, 3)), ["red"])
    with pytest.raises(InputError, match="max_distance"):
        referring.decode_many(np.zeros((2, 2, 3)), ["red"], max_distance=0)
