# SPDX-License-Identifier: Apache-2.0
"""Several referring expressions in one picture: who is asked with whom, and that each gets its own answer."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Oracle, Truth, answer_format

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception import Perceiver, Question
from vision_banana_ros.perception.joint_expressions import joined
from vision_banana_ros.tasks.referring import MAX_EXPRESSIONS

NAMES = [f"thing {k}" for k in range(12)]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.sampled_from([None, *NAMES]), max_size=20), st.integers(1, MAX_EXPRESSIONS))
def test_every_question_is_answered_once_and_no_picture_holds_more_than_are_known(wanted, most):
    questions = [Question.depth() if name is None else Question.referring(name, "red") for name in wanted]
    asked = joined(questions, most)
    assert sorted(place for _, places in asked for place in places) == list(range(len(questions)))
    for question, places in asked:
        assert len(places) <= most
        if len(places) == 1:
            assert question is questions[places[0]]
        else:
            assert list(question.legend) == [questions[place].expression for place in places]
            assert all(f"{name}: " in question.instruction for name in question.legend)


def test_nine_expressions_are_two_pictures_of_a_generator_that_knows_eight():
    asked = joined([Question.referring(name, "red") for name in NAMES[:9]], 8)
    assert [len(places) for _, places in asked] == [8, 1]
    assert asked[1][0].expression == "thing 8", "who is alone is asked as ever"


def test_more_than_a_picture_holds_is_refused():
    with pytest.raises(InputError, match="1 to 8 expressions"):
        Question.referring_jointly({name: (20 * k, 255, 20 * k) for k, name in enumerate(NAMES[:9])})


@pytest.mark.parametrize("together", [False, True])
def test_each_expression_gets_its_own_mask_in_the_order_of_the_questions(together):
    size = (48, 64)
    masks = {name: np.zeros(size, bool) for name in NAMES[:3]}
    for k, mask in enumerate(masks.values()):
        mask[5:40, 20 * k : 20 * k + 12] = True
    questions = [
        Question.referring("thing 2", "red"),
        Question.depth(),
        *(Question.referring(n, "red") for n in NAMES[:2]),
    ]
    oracle = Oracle(
        size, Truth(depth_m=np.full(size, 2.0), masks=masks), [q for q, _ in joined(questions, 8)] + questions
    )
    oracle.manifest = answer_format(expressions_together=8)
    perceiver = Perceiver(oracle, together=together)
    looks = perceiver.look(np.full((*size, 3), 90, np.uint8), questions)
    for question, answer in zip(questions, looks, strict=True):
        if question.expression is None:
            np.testing.assert_allclose(answer.depth_m, 2.0, rtol=1e-4)
        else:
            np.testing.assert_array_equal(answer.mask, masks[question.expression])
    assert len(perceiver.asked(questions)) == (2 if together else 4)


def test_a_generator_that_was_not_taught_to_is_asked_one_by_one():
    questions = [Question.referring(name, "red") for name in NAMES[:2]]
    oracle = Oracle((48, 64), Truth(), questions)
    assert Perceiver(oracle, together=True).asked(questions) == questions
    oracle.manifest = replace(oracle.manifest, expressions_together=8)
    assert Perceiver(oracle, together=True, passes=2).asked(questions)[0] == questions[0], (
        "votes are one by one"
    )
