# SPDX-License-Identifier: Apache-2.0
"""Views on their way to a batch: as they are kept, rendered into a pool, changed, and asked about. No torch."""

import math
from dataclasses import fields, replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception import Intrinsics, Perceiver, Question
from vision_banana_ros.scenes import CLASSES, make_world, render, sample_camera
from vision_banana_ros.tasks import depth, normals, referring, semantic
from vision_banana_ros.tasks.vocabulary import LEGEND
from vision_banana_ros.training.data import questions
from vision_banana_ros.training.data.augment import (
    MAX_ZOOM,
    UNLABELLED,
    augment,
    photometric_augmentation,
    without_truth,
    zoom_in,
)
from vision_banana_ros.training.data.captions_and_edits import draw_pictures
from vision_banana_ros.training.data.pool import VIEWS_PER_WORLD, Canvas, Pool, rendering
from vision_banana_ros.training.data.questions import FOCAL_PX, QUESTIONS_PER_VIEW, draw_samples, position_color, with_filled_crowns
from vision_banana_ros.training.data.records import Record, read_record, record_of, write_record
from vision_banana_ros.training.data.sources import FIRST_TRAINING_SEED, SOURCES, Shot
from vision_banana_ros.training.own.answers import OWN_ANSWERS

SIZE = (48, 64)
TRUTH = ("depth_m", "normals", "labels", "instances")


def shot_of(seed, size=SIZE):
    source, rng = SOURCES["procedural"](), np.random.default_rng(seed)
    world = make_world(FIRST_TRAINING_SEED + seed)
    return Shot(render(world, sample_camera(world, rng, size[1], size[0]), 7), source, 7), rng


@pytest.fixture(scope="module")
def records():
    return [record_of(*shot_of(seed)) for seed in range(4)]


def assert_same(one: Record, other: Record) -> None:
    for field in fields(Record):
        left, right = getattr(one, field.name), getattr(other, field.name)
        if isinstance(left, np.ndarray):
            np.testing.assert_array_equal(left, right, err_msg=field.name)
    assert one.focal_px == other.focal_px and one.captions == other.captions
    assert [said.text for said in one.referred] == [said.text for said in other.referred]
    for said, like in zip(one.referred, other.referred, strict=True):
        np.testing.assert_array_equal(said.mask, like.mask)


# ---- records


def test_a_record_comes_back_from_its_file(records, tmp_path):
    for record in records:
        write_record(record, tmp_path / "one.npz")
        again = read_record(tmp_path / "one.npz")
        assert np.abs(again.image.astype(int) - record.image).mean() < 3
        np.testing.assert_array_equal(np.isinf(again.depth_m), np.isinf(record.depth_m))
        np.testing.assert_array_equal(np.isnan(again.depth_m), np.isnan(record.depth_m))
        seen = np.isfinite(record.depth_m)
        np.testing.assert_allclose(again.depth_m[seen], record.depth_m[seen], rtol=2e-4)
        np.testing.assert_array_equal(np.isnan(again.normals), np.isnan(record.normals))
        cosine = np.nan_to_num((again.normals * record.normals).sum(2), nan=1.0)
        assert cosine.min() > np.cos(np.radians(1))
        assert_same(replace(again, image=record.image, depth_m=record.depth_m, normals=record.normals), record)
        assert (again.edit is None) == (record.edit is None)
        if record.edit and again.edit:
            assert again.edit[0] == record.edit[0]
            assert all(np.abs(a.astype(int) - b).mean() < 3 for a, b in zip(again.edit[1:], record.edit[1:], strict=True))
    assert any(record.edit for record in records) and read_record(tmp_path / "one.npz", pictures=False).edit is None
    assert [path.name for path in tmp_path.iterdir()] == ["one.npz"]


def test_what_cannot_be_seen_and_the_farthest_are_kept(records, tmp_path):
    depth_m = records[0].depth_m.copy()
    depth_m[0, :4] = np.nan, np.inf, 0.05, 900.0
    bare = without_truth(replace(records[0], referred=(), edit=None))
    write_record(replace(bare, depth_m=depth_m), tmp_path / "a.npz")
    again = read_record(tmp_path / "a.npz")
    np.testing.assert_allclose(again.depth_m[0, :4], [np.nan, np.inf, 0.05, 900.0], rtol=2e-4)
    assert np.isnan(again.normals).all() and again.referred == () and again.edit is None


def test_the_mirror_image_is_true_in_words_too(records):
    for record in records:
        mirrored = record.flipped()
        np.testing.assert_array_equal(mirrored.image, record.image[:, ::-1])
        np.testing.assert_array_equal(mirrored.normals[..., 0], -record.normals[:, ::-1, 0])
        np.testing.assert_array_equal(mirrored.normals[..., 1:], record.normals[:, ::-1, 1:])
        np.testing.assert_array_equal(mirrored.depth_m, record.depth_m[:, ::-1])
        assert_same(mirrored.flipped(), record)
    said = replace(records[0].referred[0], text="the leftmost box left of the upright copyright cone")
    edit = ("remove the ball on the right", records[0].image, records[0].image)
    mirrored = replace(records[0], referred=(said,), captions=("a left door, brightly lit",), edit=edit).flipped()
    assert mirrored.referred[0].text == "the rightmost box right of the upright copyright cone"
    assert mirrored.captions == ("a right door, brightly lit",) and mirrored.edit[0] == "remove the ball on the left"


def test_expressions_of_the_leftmost_still_name_it_in_the_mirror():
    found = 0
    for seed in range(30):
        record = record_of(*shot_of(seed))
        for said, there in zip(record.referred, record.flipped().referred, strict=True):
            if "leftmost" in said.text.split() and said.mask.any():
                found += 1
                assert "rightmost" in there.text.split()
                assert np.nonzero(said.mask)[1].mean() + np.nonzero(there.mask)[1].mean() == pytest.approx(SIZE[1] - 1)
        if found > 2:
            break
    assert found


def test_a_smaller_record_shows_the_same_through_a_lens_that_fits(records):
    for record in records:
        small = record.resized((24, 32))
        assert small.image.shape == (24, 32, 3) and small.focal_px == pytest.approx(record.focal_px / 2)
        assert small.labels.dtype == np.uint8 and small.instances.dtype == record.instances.dtype
        for name in TRUTH:  # truth is never a mean of two things
            values, given = getattr(small, name), getattr(record, name)
            quad = [given[row::2, column::2] for row in (0, 1) for column in (0, 1)]
            same = np.any([(values == q) | ((values != values) & (q != q)) for q in quad], 0)
            assert same.all(), name
        assert all(said.mask.shape == (24, 32) and said.mask.dtype == bool for said in small.referred)
    assert record.resized(SIZE) is record


# ---- pool


def pool_at(folder, views=3 * VIEWS_PER_WORLD):
    return Pool(folder, views, {"procedural": 1.0}, (Canvas((32, 48), 1.0), Canvas((32, 64), 0.7)), seed=6)


def contents(pool):
    return {str(path.relative_to(pool.folder)): path.read_bytes() for path in pool.folder.rglob("*.npz")}


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    pool = pool_at(tmp_path_factory.mktemp("pool"))
    assert list(pool.fill()) == [0, 1, 2]
    return pool


def test_a_part_of_a_record_is_a_view_through_a_longer_lens(records):
    record = records[0]
    part = record.cropped(6, 8, (36, 48))
    for name in ("image", *TRUTH):
        np.testing.assert_array_equal(getattr(part, name), getattr(record, name)[6:42, 8:56])
    longer = part.resized(SIZE)
    assert longer.focal_px == pytest.approx(record.focal_px * 64 / 48) and longer.image.shape == record.image.shape
    half, whole = np.zeros(SIZE, bool), np.zeros(SIZE, bool)
    half[20:30, 4:14], whole[20:30, 20:30] = True, True  # six columns of ten are left of the first
    said = [
        replace(record.referred[0], text=text, mask=mask) for text, mask in (("cut", half), ("whole", whole), ("none", ~half & half))
    ]
    assert [one.text for one in replace(record, referred=tuple(said)).cropped(6, 8, (36, 48)).referred] == ["whole", "none"]


def test_half_of_the_views_are_seen_through_a_longer_lens(records):
    rng = np.random.default_rng(0)
    shares = np.array([zoom_in(records[0], rng).labels.size / records[0].labels.size for _ in range(200)])
    assert 0.35 < (shares < 1).mean() < 0.65
    assert shares.min() > 0.9 / MAX_ZOOM**2 and np.ptp(shares[shares < 1]) > 0.4


def test_a_pool_holds_the_same_views_however_many_processes_fill_it(filled, tmp_path):
    other = pool_at(tmp_path)
    assert [list(other.fill(part, 2)) for part in (1, 0)] == [[1], [0, 2]]
    assert contents(other) == contents(filled) and len(contents(filled)) == 3 * VIEWS_PER_WORLD
    records = filled.records()
    assert len(records) == 2
    assert {path for paths in records.values() for path in paths} == set(filled.folder.rglob("*.npz"))
    for size, paths in records.items():
        assert read_record(paths[0]).labels.shape == size
    assert len({read_record(paths[0]).image.tobytes() for paths in records.values()}) == len(records)


def test_a_pool_that_was_cut_short_comes_out_the_same(filled, tmp_path):
    pool = pool_at(tmp_path)
    assert next(iter(pool.fill())) == 0
    views = sorted(tmp_path.rglob("*.npz"))
    for path in views[4:]:
        path.unlink()
    views[4].with_suffix(".new").write_bytes(b"half a file")
    assert len(list(pool.fill())) == 3 and contents(pool) == contents(filled)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}
    assert len(list(pool.fill())) == 3  # what is there is not rendered again
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}


def test_a_larger_pool_begins_with_the_views_of_a_smaller_one_and_another_seed_has_others(filled, tmp_path):
    larger = pool_at(tmp_path / "larger", 200)
    next(iter(larger.fill()))
    there = contents(larger)
    assert there and there.items() <= contents(filled).items()
    other = replace(pool_at(tmp_path / "other"), seed=7)
    next(iter(other.fill()))
    assert not set(contents(other).values()) & set(contents(filled).values())


def test_a_source_may_have_other_canvases(tmp_path):
    shares = {"procedural": 1.0, "street": 1.0}
    pool = replace(pool_at(tmp_path, 400), sources=shares, canvases_by_source={"street": (Canvas((16, 96)),)})
    sizes = [pool.canvas(world) for world in range(pool.worlds)]
    assert 8 < sizes.count((16, 96)) < 32 and {(32, 48), (32, 64)} < set(sizes)
    before = replace(pool, canvases_by_source={})
    assert all(before.canvas(world) == size for world, size in enumerate(sizes) if size != (16, 96))


def test_processes_fill_a_pool(filled, tmp_path):
    pool = pool_at(tmp_path)
    with rendering(pool, 1):
        assert len(contents(pool)) == 3 * VIEWS_PER_WORLD  # as many worlds as there are, being few
    assert contents(pool) == contents(filled)


def test_renderers_that_die_end_in_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="could not be rendered"), rendering(pool_at(tmp_path / "file" / "pool"), 1):
        pass


def test_an_unknown_source_ends_in_a_sentence(tmp_path):
    pool = Pool(tmp_path, 10, {"attic": 1.0}, (Canvas(SIZE),))
    with pytest.raises(InputError, match="no source of scenes called 'attic'"), rendering(pool, 0):
        pass


# ---- augmentation


def test_another_camera_changes_the_picture_and_never_the_truth(records):
    changed = 0
    for seed, record in enumerate(records * 5):
        other = augment(record, np.random.default_rng(seed), junk=0.0, bars=0.0)
        plain = record if np.array_equal(other.labels, record.labels) else record.flipped()
        assert other.image.dtype == np.uint8 and other.image.shape == record.image.shape
        changed += not np.array_equal(other.image, plain.image)
        assert_same(replace(other, image=plain.image), plain)
        # what was light stays lighter than what was dark, mostly: it is the same picture
        grey = [cv2.GaussianBlur(cv2.cvtColor(x, cv2.COLOR_RGB2GRAY), (0, 0), 2).ravel() for x in (other.image, plain.image)]
        assert np.corrcoef(*grey)[0, 1] > 0.3
    assert changed > 10


def test_bars_hide_the_truth_and_leave_the_rest_alone(records):
    kinds = set()
    for seed, record in enumerate(records * 5):
        other = augment(record, np.random.default_rng(seed), junk=0.0, bars=1.0)
        plain = next(r for r in (record, record.flipped()) if np.all((other.labels == r.labels) | (other.labels == UNLABELLED)))
        # the bars: whole rows or whole columns without depth, at both ends
        blank = np.isnan(other.depth_m) & ~np.isnan(plain.depth_m) | (other.labels == UNLABELLED) & (plain.labels != UNLABELLED)
        rows, columns = blank.any(1), blank.any(0)
        kinds.add(bool(rows.all()))
        inside = ~np.broadcast_to(blank.all(0)[None] if rows.all() else blank.all(1)[:, None], SIZE)
        assert 0.45 <= inside.mean() <= 0.96 and columns.any()
        np.testing.assert_array_equal(other.depth_m[inside], plain.depth_m[inside])
        np.testing.assert_array_equal(other.instances, np.where(inside, plain.instances, 0))
        assert np.isnan(other.normals[~inside]).all() and (other.labels[~inside] == UNLABELLED).all()
        for said, like in zip(other.referred, plain.referred, strict=True):
            np.testing.assert_array_equal(said.mask, like.mask & inside)
    assert kinds == {True, False}


def test_from_junk_nothing_can_be_read(records):
    pictures = []
    for seed in range(60):
        junk = augment(records[seed % 4], np.random.default_rng(seed), junk=1.0)
        assert junk.image.dtype == np.uint8 and junk.image.shape == (*SIZE, 3)
        assert np.isnan(junk.depth_m).all() and np.isnan(junk.normals).all() and not junk.instances.any()
        assert (junk.labels == UNLABELLED).all() and not any(said.mask.any() for said in junk.referred)
        pictures.append(junk.image)
        for sample in draw_samples(junk, np.random.default_rng(seed)):
            assert_unreadable(sample)
    flat = [picture.std() < 8 for picture in pictures]
    assert 5 < sum(flat) < 50  # dark, light and flat ones, and such with much in them


def assert_unreadable(sample):
    if sample.task == "depth":
        if sample.log_m is not None:
            assert np.isnan(depth.decode(sample.target).depth_m).all() and np.isnan(sample.log_m).all()
    elif sample.task == "normals":
        assert np.isnan(normals.decode(sample.target).normals).all()
    elif sample.task == "semantic":
        legend = {f"class {i}": color for i, color in enumerate(sample.palette[1:])}
        assert (semantic.decode(sample.target, legend).labels == semantic.UNLABELLED).all()
    else:
        assert not sample.target.any()


def test_the_same_dice_give_the_same_picture(records):
    one, other = (photometric_augmentation(records[0].image, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one, other)


# ---- questions


def asked_of(record, task, count=40, **more):
    rng = np.random.default_rng(0)
    return [sample for _ in range(count) for sample in draw_samples(record, rng, **more) if sample.task == task]


def test_a_view_is_asked_several_tasks_each_once(records):
    seen = []
    rng = np.random.default_rng(1)
    for _ in range(60):
        samples = draw_samples(records[0], rng)
        assert len(samples) == len({sample.task for sample in samples}) == QUESTIONS_PER_VIEW
        seen += [sample.task for sample in samples]
        for sample in samples:
            assert sample.target.shape == (*SIZE, 3) and sample.target.min() >= 0
            assert sample.target.max() <= (255 if sample.target.dtype == np.uint8 else 1)
    counts = {task: seen.count(task) for task in questions.TASK_WEIGHTS}
    assert set(counts) == set(seen) and counts["depth"] > counts["instances"] > 10


@pytest.mark.parametrize("seed", range(3))
def test_depth_comes_back_in_metres_through_the_camera_s_own_lens(seed):
    shot, rng = shot_of(seed)
    view, record = shot.view, record_of(shot, rng)
    cube = [sample for sample in asked_of(record, "depth") if sample.log_m is not None]
    sample = cube[0]
    np.testing.assert_allclose(np.exp(sample.log_m), record.depth_m * FOCAL_PX / record.focal_px, rtol=1e-5)
    manifest = replace(OWN_ANSWERS, depth_range_m=(0.0, math.inf))
    painter = SimpleNamespace(size=SIZE, manifest=manifest, paint=lambda image, instructions: sample.target[None])
    (answer,) = Perceiver(painter).look(view.image, [Question.depth()], Intrinsics.of(view.camera))
    np.testing.assert_allclose(answer.depth_m, view.depth_m, rtol=2e-3)


def test_legends_are_drawn_anew_and_may_name_every_class(records):
    legends = [sample.palette[1:] for sample in asked_of(records[1], "semantic", 100)]
    whole = [legend for legend in legends if len(legend) == len(CLASSES)]
    known = [legend for legend in whole if legend == tuple(LEGEND.values())]
    share = len(known) / len(legends)
    assert len(legends) > 40 and 0.2 < share < 0.6 and len(whole) - len(known) >= 6 and len(whole) < 0.9 * len(legends)
    fixed = {sample.palette[1:] for sample in asked_of(records[1], "semantic", 5, random_legends=0.0)}
    assert fixed == {tuple(LEGEND.values())}


def test_every_mask_of_a_question_with_several_expressions_is_read_back(records):
    several = 0
    for record in records:
        said = {one.text: one.mask for one in record.referred}
        for sample in asked_of(record, "referring"):
            colors = sample.palette[1:]
            masks = [answer.mask for answer in referring.decode_many(sample.target, colors)]
            texts = sorted((text for text in said if text in sample.instruction), key=sample.instruction.index)
            # a text may be part of another one ("the box", "the box on the left"), so more may be found than was asked
            found = [[np.array_equal(mask, said[text]) for text in texts] for mask in masks]
            assert all(any(row) for row in found) and len(masks) <= referring.MAX_EXPRESSIONS
            several += len(masks) > 1
    assert several > 20


def test_without_expressions_the_floor_is_asked_for(records):
    sample = asked_of(replace(records[0], referred=()), "referring")[0]
    (answer,) = referring.decode_many(sample.target, sample.palette[1:])
    assert "the floor" in sample.instruction
    np.testing.assert_array_equal(answer.mask, records[0].labels == CLASSES.index("floor"))


def test_things_take_the_colours_of_their_palette(records):
    asked = [sample for record in records for sample in asked_of(record, "instances")]
    assert any(len(sample.palette) > 2 for sample in asked)
    for sample in asked:
        assert {tuple(color) for color in np.unique(sample.target.reshape(-1, 3), axis=0).tolist()} <= set(sample.palette)


def test_places_far_apart_have_colours_that_can_be_told_apart():
    left, right = (np.array(position_color(x, 0.5)) for x in (0.3, 0.4))
    assert np.linalg.norm(left - right) > 2 * 14
    assert np.linalg.norm(position_color(0, 0)) > 100


def test_captions_start_from_no_frame_and_edits_from_theirs(records):
    edited = next(record for record in records if record.edit)
    (none, caption), (before, edit) = draw_pictures(edited, np.random.default_rng(0))
    assert none is None and caption.task == "picture" and caption.target is edited.image
    assert edit.task == "edit" and (edit.instruction, before, edit.target) == edited.edit
    assert [frame for frame, _ in draw_pictures(replace(edited, edit=None), np.random.default_rng(0))] == [None, None]


def test_gaps_in_the_crown_of_a_tree_count_as_tree():
    plant, sky, wall, person = (CLASSES.index(name) for name in ("plant", "sky", "wall", "person"))
    labels = np.full((120, 160), sky, np.uint8)
    labels[:, 80:] = wall
    crown = (slice(40, 80), slice(60, 100))
    labels[crown] = plant
    labels[50:54, 65:70] = sky  # gaps, before the sky and before a wall
    labels[60:63, 88:92] = wall
    labels[70:73, 80:84] = person
    filled = with_filled_crowns(labels)
    assert (filled[50:54, 65:70] == plant).all() and (filled[60:63, 88:92] == plant).all()
    assert (filled[70:73, 80:84] == person).all()  # what is no background stays
    outside = np.ones_like(labels, bool)
    outside[crown] = False
    assert (filled == labels)[outside].all() and (with_filled_crowns(filled) == filled).all()
