# SPDX-License-Identifier: Apache-2.0
"""`vision-banana view`: what it reads of `run`'s results and of a node, and what its keys do; without a
window."""

import json
import os
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from vision_banana_ros.cli.shared.answer_files import write_legend
from vision_banana_ros.cli.view import Show, folder_clouds, live_cloud
from vision_banana_ros.errors import InputError
from vision_banana_ros.perception import Question
from vision_banana_ros.perception.ply import write_ply

LEGEND = {"floor": (200, 30, 30), "box": (30, 200, 30)}
DEPTH = np.array([[1.0, 2.0, np.nan], [np.inf, 3.0, 4.0]], np.float32)
KNOWN = np.isfinite(DEPTH)


def _claims(folder):
    """A header of an array of a million square, and no more."""
    with (folder / "depth.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f4", "fortran_order": False, "shape": (10**6, 10**6)}
        )


def _in_place_of(name, make):
    def change(folder):
        (folder / name).unlink()
        make(folder / name)

    return change


#: What may have become of a frame's folder.
CHANGES = {
    "other depth": lambda folder: np.save(folder / "depth.npy", DEPTH * np.nan),
    "no numbers": lambda folder: (folder / "depth.npy").write_bytes(b"none"),
    "depth that claims much": _claims,
    "a cut cloud": lambda folder: (folder / "points.ply").write_bytes(
        (folder / "points.ply").read_bytes()[:-7]
    ),
    "a pipe for a cloud": _in_place_of("points.ply", os.mkfifo),
    "a cloud without end": _in_place_of("points.ply", lambda path: path.symlink_to("/dev/zero")),
    "classes in colours": lambda folder: cv2.imwrite(
        str(folder / "labels.png"), np.zeros((2, 3, 3), np.uint8)
    ),
    "flat normals": lambda folder: np.save(folder / "normals.npy", np.ones((2, 3), np.float32)),
}


@pytest.fixture
def results(tmp_path):
    """Two frames as `vision-banana run` writes them; the second has depth alone."""
    write_legend(tmp_path, [Question.semantic(LEGEND), Question.referring("the box", (0, 0, 255))])
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        np.save(folder / "depth.npy", DEPTH)
        xyz = np.where(KNOWN[..., None], DEPTH[..., None], np.nan).repeat(3, 2)
        write_ply(folder / "points.ply", xyz, np.full((2, 3, 3), 100, np.uint8))
    np.save(tmp_path / "a" / "normals.npy", np.broadcast_to(np.float32([0, 0, 1]), (2, 3, 3)))
    cv2.imwrite(str(tmp_path / "a" / "labels.png"), np.array([[0, 1, 1], [0, 255, 0]], np.uint8))
    cv2.imwrite(str(tmp_path / "a" / "mask_1.png"), np.array([[0, 255, 0], [0, 0, 0]], np.uint8))
    return tmp_path


def test_a_folder_gives_clouds_with_all_that_they_can_be_painted_with(results):
    first, second = folder_clouds(results)
    assert list(first.paints) == ["picture", "depth", "normals", "classes", "the box"] and list(
        second.paints
    ) == ["picture", "depth"]
    np.testing.assert_array_equal(first.points[:, 2], DEPTH[KNOWN])
    np.testing.assert_array_equal(
        first.paints["classes"], [(200, 30, 30), (30, 200, 30), (0, 0, 0), (200, 30, 30)]
    )
    np.testing.assert_array_equal(
        first.paints["the box"], [(50, 50, 50), (0, 0, 255), (50, 50, 50), (50, 50, 50)]
    )


@pytest.mark.parametrize("change", [*CHANGES, "no folder"])
def test_what_are_no_results_is_a_sentence(results, change):
    if change == "no folder":
        results = results / "a"
    else:
        CHANGES[change](results / "a")
    with pytest.raises(InputError, match=r"holds no results|cannot be shown"):
        folder_clouds(results)


@pytest.mark.parametrize("wrong", [{"expression": None}, {"file": "../a/mask_1.png"}])
def test_a_legend_names_masks_by_texts_and_files_of_its_frame(results, wrong):
    legend = json.loads((results / "legend.json").read_text())
    legend["masks"][0] |= wrong
    (results / "legend.json").write_text(json.dumps(legend))
    with pytest.raises(InputError, match="names a mask that is no text, or a file of another folder"):
        folder_clouds(results)


def test_a_frame_of_a_node_gives_a_cloud():
    points = np.where(KNOWN[..., None], 1.0, np.nan).repeat(3, 2).astype(np.float32)
    pictures = {
        topic: np.full((2, 3, 3), k, np.uint8)
        for k, topic in enumerate(("depth/color", "normals/color", "segmentation/overlay"))
    }
    cloud = live_cloud(7, {"points": points, **pictures})
    assert cloud.points.shape == (4, 3) and {name: int(p[0, 0]) for name, p in cloud.paints.items()} == {
        "depth": 0,
        "normals": 1,
        "classes": 2,
    }


class Window:
    """Of Open3D, as far as it is used: the keys, and what is drawn."""

    def __init__(self):
        self.keys = {}
        self.drawn = 0

    def register_key_callback(self, key, do):
        self.keys[chr(key)] = do

    def get_render_option(self):
        return SimpleNamespace()

    def get_view_control(self):
        return SimpleNamespace(set_front=print, set_up=print)

    def add_geometry(self, shape):
        self.drawn += 1
        shape.is_empty = lambda: False

    def update_geometry(self, shape):
        self.drawn += 1

    def run(self):
        pass


def test_keys_choose_the_paint_and_the_frame(results, capsys):
    open3d = SimpleNamespace(
        geometry=SimpleNamespace(PointCloud=lambda: SimpleNamespace(is_empty=lambda: True)),
        utility=SimpleNamespace(Vector3dVector=lambda values: values),
    )
    window = Window()
    show = Show(open3d, window)
    show.browse(folder_clouds(results))
    press = lambda key: window.keys[key](window)  # noqa: E731
    assert (show.cloud.name, show.paint) == ("a", "picture")
    press("4")
    assert show.paint == "classes"
    press("N")
    assert (show.cloud.name, show.paint) == ("b", "picture")  # it has no classes
    press("9")
    press("N")
    assert (show.cloud.name, show.paint) == ("a", "classes")
    press("P")
    assert show.cloud.name == "b" and window.drawn == 5
    assert "[classes]" in capsys.readouterr().err
