# SPDX-License-Identifier: Apache-2.0
"""Edits: what is asked for happens in the world, and nothing else does."""

from functools import cache

import numpy as np
import pytest

from vision_banana_ros.scenes import CLASSES, make_world, render, sample_camera
from vision_banana_ros.scenes.language.edits import KINDS, draw_edit

WORLDS = range(40)


@cache
def drawn(kind):
    """(view, edit) of all worlds in which there is such an edit."""
    found = []
    for seed in WORLDS:
        rng = np.random.default_rng(seed)
        world = make_world(seed)
        view = render(world, sample_camera(world, rng, 80, 60), 7)
        edit = draw_edit(view, rng, (kind,))
        if edit is not None:
            found.append((view, edit))
    return found


def plain(world, view):
    return render(world, view.camera, 7, effects=False)


@pytest.mark.parametrize("kind", KINDS)
def test_there_are_edits_of_every_kind_and_they_can_be_seen(kind):
    pairs = drawn(kind)
    assert len(pairs) >= (2 if kind == "fog" else 12)
    assert len({edit.text for _, edit in pairs}) >= min(3, len(pairs) // 2)
    for view, edit in pairs:
        assert edit.kind == kind and (edit.after if kind == "add" else edit.before) is view.world
        before, after = (plain(world, view).image.astype(int) for world in (edit.before, edit.after))
        assert (np.abs(before - after).max(2) > 8).mean() > 0.002, edit.text


@pytest.mark.parametrize("kind", ["recolor", "resurface", "fog"])
def test_colours_change_and_the_geometry_stays(kind):
    for view, edit in drawn(kind):
        after = plain(edit.after, view)
        np.testing.assert_array_equal(after.depth_m, view.depth_m)
        np.testing.assert_array_equal(after.instances, view.instances)
        np.testing.assert_array_equal(after.labels, view.labels)


def test_a_thing_takes_the_colour_that_is_asked_for():
    for view, edit in drawn("recolor"):
        changed = [(o, n) for o, n in zip(edit.before.objects, edit.after.objects, strict=True) if o != n]
        assert changed
        for old, new in changed:
            assert new.color in edit.text and old.color != new.color and old.instance == new.instance
            there = view.instances == new.instance
            if (
                new.class_name in ("ball", "box", "barrel", "sofa")
                and there.mean() > 0.02
                and new.color in ("red", "green", "blue")
            ):
                channel = ("red", "green", "blue").index(new.color)
                means = plain(edit.after, view).image[there].mean(0)
                assert means.argmax() == channel, edit.text


def test_what_is_removed_is_gone_and_what_was_behind_it_shows():
    for view, edit in drawn("remove"):
        after = plain(edit.after, view)
        gone = set(np.unique(view.instances)) - set(np.unique(after.instances))
        removed = np.isin(view.instances, list(gone))
        assert gone and removed.any()
        nearer = after.depth_m < view.depth_m - 1e-4
        assert not nearer.any(), edit.text
        stays = ~removed
        np.testing.assert_array_equal(after.instances[stays], view.instances[stays])
        np.testing.assert_array_equal(after.depth_m[stays], view.depth_m[stays])


def test_nothing_is_left_hanging_in_the_air():
    for view, edit in drawn("remove"):
        left = set(np.unique(edit.after.prims[:, 22]).astype(int))
        for thing in view.world.objects:
            assert not (thing.on and thing.instance in left and thing.on not in left), edit.text


def test_an_addition_is_a_removal_backwards_and_says_where():
    for view, edit in drawn("add"):
        before = plain(edit.before, view)
        new = set(np.unique(view.instances)) - set(np.unique(before.instances))
        (instance,) = new
        across = np.nonzero(view.instances == instance)[1].mean() / 80
        assert ("left" in edit.text) == (across < 0.38) and ("right" in edit.text) == (across > 0.62)


def test_walls_change_and_skirting_and_pictures_do_not():
    wall = CLASSES.index("wall")
    changed_shares = []
    for view, edit in drawn("resurface"):
        before, after = plain(edit.before, view), plain(edit.after, view)
        moved = (edit.before.prims[:, 23:35] != edit.after.prims[:, 23:35]).any(1)
        labels = set(edit.before.prims[moved, 21].astype(int))
        assert len(labels) == 1 and (edit.before.prims[moved, 22] == 0).all()
        if labels == {wall}:
            there = view.labels == wall
            changed_shares.append((np.abs(before.image.astype(int) - after.image).max(2) > 8)[there].mean())
    assert changed_shares and np.mean(changed_shares) > 0.6


def test_the_same_dice_give_the_same_edit():
    world = make_world(3)
    view = render(world, sample_camera(world, np.random.default_rng(0), 80, 60), 7)
    first, second = (draw_edit(view, np.random.default_rng(5)) for _ in range(2))
    assert first.text == second.text
    np.testing.assert_array_equal(first.after.prims, second.after.prims)
