# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.own.tokenizer import PIECES, tokenize

LENGTH, BUCKETS = 32, 4096


def read(text):
    return tokenize(text, LENGTH, BUCKETS)


def tokens(prompt):
    return int(prompt.mask.sum()) - 1  # the first is the summary


@pytest.mark.parametrize("written", ["#ff8000", "rgb(255, 128, 0)", "(255,128,0)", "[255, 128, 0]", "RGB(255,128,0)"])
def test_a_colour_is_one_token_with_its_value_however_it_is_written(written):
    prompt = read(f"floor: {written}")
    assert tokens(prompt) == 2
    np.testing.assert_allclose(prompt.colors[2], [1, 128 / 255, 0, 1])


def test_a_named_colour_is_a_word_and_a_value():
    red, ball = read("red ball").pieces[1:3]
    prompt = read("the red ball")
    np.testing.assert_allclose(prompt.colors[2], [1, 0, 0, 1])
    np.testing.assert_array_equal(prompt.pieces[2], red)
    np.testing.assert_array_equal(prompt.pieces[3], ball)
    assert not prompt.colors[[1, 3]].any()


def test_a_plural_shares_pieces_with_its_singular_and_not_with_another_word():
    chair, chairs, lamp = (set(p[p > 1]) for p in read("chair chairs lamp").pieces[1:4])
    assert len(chair & chairs) >= 3
    assert len(chair & lamp) == 0


def test_case_and_spaces_do_not_matter_and_commas_do():
    np.testing.assert_array_equal(read("The  Red\nball").pieces, read("the red ball").pieces)
    assert tokens(read("a, b")) == 3


@pytest.mark.parametrize("empty", ["", "   ", "\n"])
def test_an_empty_instruction_is_refused(empty):
    with pytest.raises(InputError, match="empty"):
        read(empty)


def test_too_many_words_and_too_many_characters_are_refused_with_the_limit():
    assert tokens(read("a " * (LENGTH - 1))) == LENGTH - 1
    with pytest.raises(InputError, match="31"):
        read("a " * LENGTH)
    with pytest.raises(InputError, match="4000"):
        read("x" * 10_000)


@given(st.text(min_size=1, max_size=60))
def test_any_text_is_read_or_refused(text):
    try:
        prompt = tokenize(text, 80, BUCKETS)
    except InputError:
        assert not text.strip()
        return
    assert prompt.pieces.shape == (80, PIECES)
    assert prompt.pieces.min() >= 0 and prompt.pieces.max() < BUCKETS
    assert prompt.colors.min() >= 0 and prompt.colors.max() <= 1
    assert not prompt.pieces[int(prompt.mask.sum()) :].any()
