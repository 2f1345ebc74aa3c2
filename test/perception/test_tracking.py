# SPDX-License-Identifier: Apache-2.0
"""Ids that stay with things, frame after frame."""

import numpy as np
import pytest

pytest.importorskip("scipy")

from vision_banana_ros.perception.detections import Detection
from vision_banana_ros.perception.tracking import LOST_S, SURE_AFTER, Tracker, distance_iou

MS = 1_000_000


def box(x, y, size=20, name="chair"):
    return Detection(name, 1.0, (round(x), round(y), size, size))


def test_things_that_cross_keep_their_ids():
    tracker, ids = Tracker(), []
    for i in range(40):
        found = tracker([box(10 + 6 * i, 100), box(250 - 6 * i, 112)], i * 100 * MS)
        ids.append([each.id for each in found])
    assert all(pair == ids[0] for pair in ids) and len(set(ids[0])) == 2


def test_the_order_of_detections_does_not_matter_and_classes_do():
    tracker = Tracker()
    first = {d.detection.name: d.id for d in tracker([box(10, 10), box(12, 10, name="table")], 0)}
    second = {d.detection.name: d.id for d in tracker([box(11, 10, name="table"), box(11, 10)], 100 * MS)}
    assert first == second


def test_a_thing_that_is_missed_is_found_again_where_it_has_moved_to():
    tracker = Tracker()
    for i in range(10):
        (before,) = tracker([box(10 + 10 * i, 50)], i * 100 * MS)
    for i in range(10, 15):
        assert tracker([], i * 100 * MS) == []
    (after,) = tracker([box(10 + 10 * 15, 50)], 1500 * MS)
    assert after.id == before.id and after.sure


def test_what_was_lost_for_long_or_lies_elsewhere_is_new_and_no_id_comes_twice():
    tracker = Tracker()
    (first,) = tracker([box(10, 10)], 0)
    (elsewhere,) = tracker([box(300, 200)], 100 * MS)
    (late,) = tracker([box(300, 200)], 100 * MS + int((LOST_S + 0.1) * 1e9))
    (back,) = tracker([box(300, 200)], 50 * MS)  # time began anew
    assert [first.id, elsewhere.id, late.id, back.id] == [1, 2, 3, 4]


def test_no_thing_inherits_an_id_from_an_image_of_another_size():
    tracker = Tracker()
    for k in range(3):
        left, right = tracker([box(40, 60), box(100, 60)], k * 100 * MS, (240, 320))
    # at half the size the thing on the right lies where the one on the left was
    found = tracker([box(20, 30, 10), box(50, 60)], 300 * MS, (120, 160))
    assert {each.id for each in found}.isdisjoint({left.id, right.id})
    again = tracker([box(20, 30, 10), box(50, 60)], 400 * MS, (120, 160))
    assert [each.id for each in again] == [each.id for each in found]


def test_a_track_is_sure_after_some_frames_and_equal_stamps_are_no_fault():
    tracker = Tracker()
    assert [tracker([box(10, 10)], 5)[0].sure for _ in range(SURE_AFTER + 1)] == [False] * (
        SURE_AFTER - 1
    ) + [True] * 2


def test_the_filtered_box_trembles_less_than_the_measured_one():
    rng, tracker = np.random.default_rng(0), Tracker()
    measured, filtered = [], []
    for i in range(60):
        (found,) = tracker([box(50 + rng.normal(0, 2), 50, 60)], i * 100 * MS)
        measured.append(found.detection.box[0])
        filtered.append(found.box[0])
    assert np.std(np.diff(filtered[10:])) < 0.8 * np.std(np.diff(measured[10:]))


def test_distance_iou_of_equal_near_and_far_boxes():
    one = np.array([[10.0, 10, 4, 4]])
    others = np.array([[10.0, 10, 4, 4], [12, 10, 4, 4], [100, 10, 4, 4]])
    same, near, far = distance_iou(one, others)[0]
    assert same == pytest.approx(1) and near == pytest.approx(1 / 3 - 4 / (36 + 16)) and -1 < far < -0.9
