# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from oracle import answer_format

from vision_banana_ros.perception import Perceiver, Question
from vision_banana_ros.perception.mask_hysteresis import sure_regions
from vision_banana_ros.tasks import referring


def test_a_region_stays_whole_where_it_is_sure_somewhere_and_goes_where_it_is_not():
    mask, confidence = np.zeros((6, 10), bool), np.full((6, 10), 0.9, np.float32)
    mask[1:3, 1:3] = mask[3, 3] = True  # touches by a corner
    mask[1:5, 6:9] = True
    confidence[mask] = 0.3
    confidence[3, 3] = 0.8
    answer = sure_regions(referring.Answer(mask, confidence), 0.75)
    assert answer.mask[1:3, 1:3].all() and answer.mask[3, 3] and answer.mask.sum() == 5
    assert (answer.confidence[1:5, 6:9] == 0).all() and (answer.confidence[~mask] == np.float32(0.9)).all()
    assert answer.confidence[1, 1] == np.float32(0.3) and mask.sum() == 17  # what was given stays as it was


@given(arrays(bool, (7, 9)), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_nothing_is_added_and_a_lower_limit_keeps_more(mask, least, seed):
    confidence = np.random.default_rng(seed).random((7, 9), np.float32)
    answer = referring.Answer(mask, confidence)
    strict, lax = sure_regions(answer, least).mask, sure_regions(answer, least / 2).mask
    assert not (strict & ~lax).any() and not (lax & ~mask).any()
    assert np.array_equal(sure_regions(answer, 0.0).mask, mask)


def test_a_bundle_says_how_sure_a_region_must_be():
    painted = np.zeros((1, 32, 32, 3), np.float32)
    painted[0, 4:12, 4:12, 0], painted[0, 20:28, 20:28, 0] = 1.0, 0.6
    masks = []
    for core in (0.0, 0.75):
        painter = SimpleNamespace(
            size=(32, 32), manifest=answer_format(referring_core=core), paint=lambda image, texts: painted
        )
        looks = Perceiver(painter).look(
            np.zeros((32, 32, 3), np.uint8), [Question.referring("the box", "red")]
        )
        masks.append(looks[0].mask)
    assert masks[0].sum() == 128 and masks[1].sum() == 64 and masks[1][5, 5]
