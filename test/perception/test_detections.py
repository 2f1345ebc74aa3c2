# SPDX-License-Identifier: Apache-2.0
"""Masks as boxes, in the image and in space."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("scipy")

from vision_banana_ros.perception import Intrinsics
from vision_banana_ros.perception.detections import LEVEL_UP, detections, upright_box, without_speckle
from vision_banana_ros.tasks import depth

K = Intrinsics(160, 120, 150.0, 150.0, 79.5, 59.5)


def turned(orientation) -> np.ndarray:
    x, y, z, w = orientation
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip


def answers(labels, mask=None, depth_m=None):
    sure = np.full(labels.shape, 0.75, np.float32)
    out = {"instances": [SimpleNamespace(labels=labels, confidence=sure)]}
    if mask is not None:
        out["referring"] = [SimpleNamespace(mask=mask, confidence=sure)]
    if depth_m is not None:
        out["depth"] = [depth.Answer(depth_m, sure)]
    return out


def test_instances_and_expressions_have_class_score_and_box():
    labels = np.zeros((120, 160), np.uint16)
    labels[10:30, 20:60], labels[50:90, 100:110], labels[0, 0] = 1, 3, 2  # 2 is speckle
    mask = np.zeros((120, 160), bool)
    mask[40:60, 5:15] = mask[100, 150] = True
    found = detections(answers(labels, mask), "chair", ["the dog"], None)
    assert [(d.name, d.box) for d in found] == [
        ("chair", (20, 10, 40, 20)),
        ("chair", (100, 50, 10, 40)),
        ("the dog", (5, 40, 10, 20)),
    ]
    assert all(d.score == pytest.approx(0.75) and d.solid is None for d in found)
    assert detections(answers(np.zeros_like(labels), np.zeros_like(mask)), "chair", ["the dog"], None) == []


def test_a_mask_in_pieces_of_like_size_stays_whole():
    mask = np.zeros((50, 50), bool)
    mask[5:15, 5:15] = mask[30:40, 30:40] = True
    assert (without_speckle(mask) == mask).all()
    mask[45, 2] = True
    assert not without_speckle(mask)[45, 2]


def test_a_face_in_front_of_a_wall_has_its_place_and_size():
    labels = np.zeros((120, 160), np.uint16)
    labels[40:80, 60:100] = 1
    wall = np.full((120, 160), 5.0, np.float32)
    wall[41:79, 61:99] = 2.0  # one pixel at the rim is the wall's
    wall[60, 80] = np.nan
    (found,) = detections(answers(labels, depth_m=wall), "box", [], K)
    assert found.solid.center == pytest.approx((0.0, 0.0, 2.0), abs=0.02)
    assert found.solid.size == pytest.approx((0.0, 40 / 150 * 2, 40 / 150 * 2), abs=0.05)
    away, left, up = turned(found.solid.orientation).T
    assert away == pytest.approx([0, 0, 1], abs=1e-6) and left == pytest.approx([-1, 0, 0], abs=1e-6)
    assert up == pytest.approx([0, -1, 0], abs=1e-6)


def test_what_has_no_depth_has_no_place():
    labels = np.ones((120, 160), np.uint16)
    for nothing in (np.nan, np.inf):
        (found,) = detections(
            answers(labels, depth_m=np.full(labels.shape, nothing, np.float32)), "box", [], K
        )
        assert found.solid is None


@pytest.mark.parametrize("yaw_deg", [-30.0, 0.0, 20.0, 40.0])
@pytest.mark.parametrize("pitch_deg", [0.0, 25.0])
def test_a_box_stands_upright_and_is_turned_as_its_points_are(yaw_deg, pitch_deg):
    """A box 0.8 deep, 0.4 wide and 0.6 high, 3 m in front of a camera that looks down by pitch."""
    rng = np.random.default_rng(1)
    own = rng.uniform(-0.5, 0.5, (4000, 3)) * (0.8, 0.4, 0.6)
    yaw, pitch = np.radians([yaw_deg, pitch_deg])
    forward, left, up = (
        np.array([0, np.sin(pitch), np.cos(pitch)]),
        np.array([-1.0, 0, 0]),
        np.array([0, -np.cos(pitch), np.sin(pitch)]),
    )
    # The camera's own axes seen from the optical frame: forward along the ground, left, and up.
    forward = forward - (forward @ up) * up
    forward /= np.linalg.norm(forward)
    x = np.cos(yaw) * forward + np.sin(yaw) * left
    axes = np.stack([x, np.cross(up, x), up], axis=1)
    found = upright_box(own @ axes.T + 3 * forward, up)
    assert found.center == pytest.approx(3 * forward, abs=0.03)
    assert found.size == pytest.approx((0.8, 0.4, 0.6), abs=0.06)
    assert turned(found.orientation) == pytest.approx(axes, abs=0.08)
    assert np.linalg.norm(found.orientation) == pytest.approx(1)
    assert turned(found.orientation)[:, 2] == pytest.approx(up, abs=1e-6)


def test_level_up_is_up():
    assert upright_box(np.random.default_rng(0).normal(size=(30, 3)), np.array(LEVEL_UP)).size[2] > 0
