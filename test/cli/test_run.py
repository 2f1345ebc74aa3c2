# SPDX-License-Identifier: Apache-2.0
"""`vision-banana run` and `decode`: what they write from pictures, folders and bags, and how they take bad
input."""

import json
import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import cv2
import numpy as np
import pytest
from bag_support import camera_info, compressed_image, header, picture, raw_image, write_bag
from oracle import Oracle, Truth
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from vision_banana_ros.cli.main import main
from vision_banana_ros.cli.run import doubts
from vision_banana_ros.cli.shared.bags import bag_frames
from vision_banana_ros.cli.shared.question_arguments import questions_for
from vision_banana_ros.errors import InputError
from vision_banana_ros.perception import Intrinsics, Question, points
from vision_banana_ros.tasks import depth, normals, referring, semantic

MERGED = "".join(f"a{k}: &a{k} {{<<: [{', '.join([f'*a{k - 1}'] * 10)}]}}\n" for k in range(1, 10))
"""10^9 entries where it is written out."""
SIZE = (48, 64)
LEGEND = {"floor": (200, 30, 30), "box": (30, 200, 30)}
EXPRESSIONS = ["the box", "the floor beside the box"]
STORE = get_typestore(Stores.ROS2_JAZZY)
STUBBED = """
import sys
import numpy as np
from oracle import Oracle, Truth
import vision_banana_ros.cli.run as run
from vision_banana_ros.cli.main import main
from vision_banana_ros.cli.main import parser
from vision_banana_ros.cli.shared.bags import bag_frames
from vision_banana_ros.cli.shared.question_arguments import questions_for
legend = {"floor": (200, 30, 30), "box": (30, 200, 30)}
size = (48, 64)
args = parser("run").parse_args(sys.argv[1:])
ones = np.ones(size)
truth = Truth(ones.astype("f4"), np.tile([0, 0, 1], (*size, 1)).astype("f4"), ones.astype("u1"),
              ones.astype("u2"), {text: ones > 0 for text in args.expression})
oracle = Oracle(size, truth, questions_for(Oracle.tasks, legend, args))
run.load_generator = lambda bundle, executor="auto": oracle
sys.exit(main(sys.argv[1:]))
"""
"""`vision-banana` in a process of its own, with a generator that paints one wall."""


@pytest.fixture
def oracle(monkeypatch):
    """Answers every run with two surfaces: the box 1.5 m away on the left, the floor 4 m away on the
    right."""
    box = np.zeros(SIZE, bool)
    box[:, : SIZE[1] // 2] = True
    truth = Truth(
        depth_m=np.where(box, 1.5, 4).astype(np.float32),
        normals=np.where(box[..., None], (0, 0, 1), (0, 1, 0)).astype(np.float32),
        labels=box.astype(np.uint8),
        instances=box.astype(np.uint16),
        masks=dict(zip(EXPRESSIONS, [box, ~box], strict=True)),
    )
    asked = Namespace(legend=None, expression=EXPRESSIONS, instances="box")
    found = Oracle(SIZE, truth, questions_for(Oracle.tasks, LEGEND, asked))
    monkeypatch.setattr("vision_banana_ros.cli.run.load_generator", lambda bundle, executor="auto": found)
    monkeypatch.setattr("vision_banana_ros.cli.run.default_bundle", lambda: Path("nowhere"))
    return found


def save(path: Path, image: np.ndarray) -> Path:
    assert cv2.imwrite(str(path), image[..., ::-1])
    return path


def load(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None, path
    return image


def test_every_answer_of_a_picture_becomes_a_file(oracle, tmp_path, capsys):
    image = save(tmp_path / "kitchen.png", picture())
    asked = ["--expression", *EXPRESSIONS, "--instances", "box", "--fov", "90"]
    assert main(["run", str(image), "--out", str(tmp_path / "out"), *asked]) == 0
    out = tmp_path / "out" / "kitchen"
    left = np.arange(128) < 64

    metres = np.load(out / "depth.npy")
    np.testing.assert_allclose(metres, np.broadcast_to(np.where(left, 1.5, 4), (96, 128)), rtol=1e-3)
    millimetres = load(out / "depth.png")
    assert millimetres.dtype == np.uint16
    np.testing.assert_allclose(millimetres, metres * 1000, atol=0.51)
    assert load(out / "depth_confidence.png").min() > 240

    facing = np.load(out / "normals.npy")
    np.testing.assert_allclose(facing[:, :60], np.broadcast_to([0, 0, 1], (96, 60, 3)), atol=1e-5)
    assert load(out / "normals.png").shape == (96, 128, 3)
    np.testing.assert_array_equal(load(out / "labels.png"), np.broadcast_to(left, (96, 128)))
    np.testing.assert_array_equal(load(out / "instances.png") == 1, np.broadcast_to(left, (96, 128)))
    np.testing.assert_array_equal(load(out / "mask_1.png"), np.broadcast_to(left * 255, (96, 128)))
    np.testing.assert_array_equal(load(out / "mask_2.png"), np.broadcast_to(~left * 255, (96, 128)))

    # The cloud has every pixel, by the camera that was named.
    body = (out / "points.ply").read_bytes().partition(b"end_header\n")[2]
    cloud = np.frombuffer(body, [("xyz", "<f4", 3), ("rgb", "u1", 3)])
    expected = points(metres, Intrinsics.from_fov(128, 96, 90)).reshape(-1, 3)
    np.testing.assert_allclose(cloud["xyz"], expected, rtol=1e-6)
    np.testing.assert_array_equal(cloud["rgb"].reshape(96, 128, 3), picture())
    sheet = load(out / "sheet.png")
    assert sheet.shape[1] > 3 * 480

    legend = json.loads((tmp_path / "out" / "legend.json").read_text())
    assert [c["name"] for c in legend["classes"]] == ["floor", "box"] and legend["classes"][0][
        "color"
    ] == "#c81e1e"
    assert [m["expression"] for m in legend["masks"]] == EXPRESSIONS
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["bundle"] == "oracle" and summary["frames"][0]["points"] == 96 * 128
    assert summary["frames"][0]["readable"]["depth"] == 1
    said = capsys.readouterr()
    assert "1 frames answered, 0 not" in said.out and "[1/1] kitchen" in said.err


def test_a_folder_is_answered_in_order_and_a_broken_picture_does_not_stop_it(oracle, tmp_path, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    save(folder / "b.png", picture())
    save(folder / "a.jpg", picture(33, 77))
    (folder / "c.png").write_bytes(b"\x89PNG\r\n\x1a\n cut off")
    (folder / "notes.txt").write_text("not a picture")
    assert main(["run", str(folder), "--out", str(tmp_path / "out")]) == 1
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert [f["name"] for f in summary["frames"]] == ["a", "b"] and summary["not_answered"] == 1
    assert np.load(tmp_path / "out" / "a" / "depth.npy").shape == (33, 77)
    said = capsys.readouterr()
    assert "[3/3] not answered" in said.err and "c.png" in said.err
    assert "give --fov" in said.err and said.err.count("give --fov") == 1


@pytest.mark.parametrize("plugin", StoragePlugin)
@pytest.mark.parametrize("kind", ["rgb8", "bgr8", "padded", "compressed"])
def test_a_bag_is_answered_with_its_own_camera(oracle, tmp_path, plugin, kind):
    messages = {
        "rgb8": lambda k: raw_image(k, "rgb8"),
        "bgr8": lambda k: raw_image(k, "bgr8"),
        "padded": lambda k: raw_image(k, "rgb8", padding=7),
        "compressed": compressed_image,
    }[kind]
    topic = "/cam/image_raw" + ("/compressed" if kind == "compressed" else "")
    topics = {topic: [messages(k) for k in range(3)], "/cam/camera_info": [camera_info(100)]}
    topics["/other/camera_info"] = [camera_info(999)]
    bag = write_bag(tmp_path / "bag", plugin, topics)
    assert main(["run", str(bag), "--out", str(tmp_path / "out")]) == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    stamps = [7_000_000_000 + k for k in range(3)]
    assert [f["stamp_ns"] for f in summary["frames"]] == stamps
    frame = tmp_path / "out" / str(stamps[2])
    cloud = np.frombuffer(
        (frame / "points.ply").read_bytes().partition(b"end_header\n")[2], "<f4, <f4, <f4, 3u1"
    )
    # The top left pixel, 1.5 m away: x = (0 - cx) / fx z with the camera beside the image.
    assert cloud[0]["f0"] == pytest.approx(-63.5 / 100 * 1.5, rel=1e-3)
    assert cloud[0]["f2"] == pytest.approx(1.5, rel=1e-3)


def test_a_dark_frame_of_12_bits_in_a_bag_stays_dark(tmp_path):
    def grey(k, top):
        rows = np.linspace(0, top, 96 * 128).astype("<u2").view(np.uint8)
        return STORE.types["sensor_msgs/msg/Image"](header(7, k), 96, 128, "mono16", 0, 256, rows)

    bag = write_bag(tmp_path / "bag", StoragePlugin.MCAP, {"/image": [grey(0, 4095), grey(1, 1000)]})
    bright, dark = bag_frames(bag, None).read()
    assert bright.image.max() == 255 and dark.image.max() == 1000 >> 4


@pytest.mark.parametrize("plugin", StoragePlugin)
def test_the_file_of_a_bag_is_as_good_as_its_folder(oracle, tmp_path, plugin):
    bag = write_bag(tmp_path / "bag", plugin, {"/image": [raw_image(0, "rgb8")]})
    (file,) = (f for f in bag.iterdir() if f.suffix != ".yaml")
    assert main(["run", str(file), "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "7000000000" / "sheet.png").is_file()


def cloud_of(frame):
    return np.frombuffer(
        (frame / "points.ply").read_bytes().partition(b"end_header\n")[2], "<f4, <f4, <f4, 3u1"
    )


@pytest.mark.parametrize("topic", ["/cam/image_rect", "/cam/image_raw"])
@pytest.mark.parametrize(
    ("option", "said"), [([], "rectified here to P"), (["--rectified"], "rectified, by P")]
)
def test_images_follow_p_and_are_rectified_unless_told_that_they_are_whatever_the_topics_name(
    oracle, tmp_path, capsys, topic, option, said
):
    bag = write_bag(
        tmp_path / "bag",
        StoragePlugin.SQLITE3,
        {topic: [raw_image(0, "rgb8")], "/cam/camera_info": [camera_info(100, -0.3)]},
    )
    assert main(["run", str(bag), "--out", str(tmp_path / "out"), *option]) == 0
    assert said in capsys.readouterr().err
    cloud = cloud_of(tmp_path / "out" / "7000000000")
    leftmost = cloud["f0"][np.abs(cloud["f1"]) < 0.02].min()  # in the middle row
    if option:  # the picture as it came: its first column is the one at -63.5
        assert leftmost == pytest.approx(-63.5 / 50 * 1.5, rel=1e-3)
    else:  # P shows more than the raw picture does; what it does not show is left out
        seen = cv2.undistortPoints(
            np.float64([[[0, 47.5]]]),
            np.diag([100, 100, 1.0]) + [[0, 0, 63.5], [0, 0, 47.5], [0, 0, 0]],
            (-0.3, 0, 0, 0),
        )
        assert leftmost == pytest.approx(seen[0, 0, 0] * 1.5, abs=0.04)


def test_every_frame_of_a_bag_has_the_camera_of_its_time(oracle, tmp_path):
    infos = [camera_info(100), camera_info(200)]
    images = [raw_image(0, "rgb8"), raw_image(5, "rgb8"), raw_image(9, "rgb8")]
    infos[0].header, infos[1].header = images[0].header, images[1].header
    bag = write_bag(
        tmp_path / "bag", StoragePlugin.SQLITE3, {"/cam/image": images, "/cam/camera_info": infos}
    )
    assert main(["run", str(bag), "--out", str(tmp_path / "out")]) == 0
    for stamp, focal in ((0, 100), (5, 200), (9, 200)):
        cloud = cloud_of(tmp_path / "out" / f"{7_000_000_000 + stamp}")
        assert cloud["f0"].min() == pytest.approx(-63.5 / focal * 1.5, rel=1e-3)


@pytest.mark.parametrize(("frame_id", "own"), [("camera", True), ("", True), ("right_camera", False)])
def test_the_only_camera_info_of_a_bag_is_not_taken_for_another_camera(
    oracle, tmp_path, capsys, frame_id, own
):
    info = camera_info(100)
    info.header.frame_id = frame_id
    topics = {"/left/image": [raw_image(0, "rgb8")], "/right/camera_info": [info]}
    bag = write_bag(tmp_path / "bag", StoragePlugin.SQLITE3, topics)
    assert main(["run", str(bag), "--out", str(tmp_path / "out")]) == 0
    assert ("No camera is known" in capsys.readouterr().err) != own
    focal = 100 if own else 64 / np.tan(np.radians(30))
    cloud = cloud_of(tmp_path / "out" / "7000000000")
    assert cloud["f0"].min() == pytest.approx(-63.5 / focal * 1.5, rel=1e-3)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--expression", "\u200b"], "nobody sees"),
        (["--expression", "a ball", "!!!"], "Expression 2 has no letter"),
        (["--expression", "a ball", "A ball."], "are the same words"),
        (["--expression", os.fsdecode(b"the \xff")], "control characters"),
        (["--instances", ""], "is empty"),
        (["--instances", "\x1b[31mred"], "control characters"),
    ],
)
def test_words_that_say_nothing_are_not_asked_about(oracle, tmp_path, capsys, words, told):
    picture_file = tmp_path / "a.png"
    cv2.imwrite(str(picture_file), picture())
    assert main(["run", str(picture_file), "--out", str(tmp_path / "out"), *words]) == 2
    assert told in capsys.readouterr().err


def test_a_bag_with_several_image_topics_asks_which(oracle, tmp_path, capsys):
    topics = {"/left/image": [raw_image(0, "rgb8")], "/right/image": [raw_image(1, "rgb8")]}
    bag = write_bag(tmp_path / "bag", StoragePlugin.MCAP, topics)
    assert main(["run", str(bag), "--out", str(tmp_path / "out")]) == 2
    assert one_line(capsys).endswith("choose one with --topic: /left/image, /right/image.")
    assert main(["run", str(bag), "--out", str(tmp_path / "out"), "--topic", "/up/image"]) == 2
    assert "/left/image, /right/image" in one_line(capsys)
    assert main(["run", str(bag), "--out", str(tmp_path / "out"), "--topic", "/right/image"]) == 0
    assert (tmp_path / "out" / "7000000001").is_dir()


def test_a_message_that_cannot_be_read_does_not_stop_the_bag(oracle, tmp_path, capsys):
    wrong = raw_image(1, "rgb8")
    wrong.encoding = "32FC1"
    bag = write_bag(tmp_path / "bag", StoragePlugin.SQLITE3, {"/image": [raw_image(0, "rgb8"), wrong]})
    assert main(["run", str(bag), "--out", str(tmp_path / "out")]) == 1
    assert "[2/2] not answered: An image of 32FC1 is depth" in capsys.readouterr().err


CALIBRATION = """
image_width: 256
image_height: 192
camera_name: test
camera_matrix: {rows: 3, cols: 3, data: [200.0, 0, 127.5, 0, 200.0, 95.5, 0, 0, 1]}
distortion_coefficients: {rows: 1, cols: 5, data: [0.0, 0, 0, 0, 0]}
"""
ECHO = """header:
  frame_id: camera
height: 96
width: 128
distortion_model: plumb_bob
d: []
k:
- 100.0
- 0.0
- 63.5
- 0.0
- 100.0
- 47.5
- 0.0
- 0.0
- 1.0
---
"""


@pytest.mark.parametrize("text", [CALIBRATION, ECHO])
def test_a_calibration_file_gives_the_camera_for_any_size_of_image(oracle, tmp_path, text):
    yaml = tmp_path / "camera.yaml"
    yaml.write_text(text)
    image = save(tmp_path / "a.png", picture())
    assert main(["run", str(image), "--out", str(tmp_path), "--camera-info", str(yaml)]) == 0
    cloud = np.frombuffer(
        (tmp_path / "a" / "points.ply").read_bytes().partition(b"end_header\n")[2], "<f4, <f4, <f4, 3u1"
    )
    assert cloud[0]["f0"] == pytest.approx(-63.5 / 100 * 1.5, rel=1e-3)


def one_line(capsys) -> str:
    """What was said of a mistake: a single line, and no traceback."""
    said = capsys.readouterr().err
    lines = [line for line in said.splitlines() if line.startswith("vision-banana: ")]
    assert len(lines) == 1 and "Traceback" not in said
    return lines[0]


def test_mistakes_get_one_sentence_and_status_2(oracle, tmp_path, capsys):
    image = str(save(tmp_path / "a.png", picture()))
    text = tmp_path / "a.txt"
    text.write_text("words")
    (tmp_path / "empty").mkdir()
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag" / "metadata.yaml").write_text("nonsense: [")
    (tmp_path / "cut.mcap").write_bytes(b"\x89MCAP0\r\n cut")
    (tmp_path / "camera.yaml").write_text("width: 3\n")
    (tmp_path / "zero.yaml").write_text(ECHO.replace("100.0", "0.0"))
    out = ["--out", str(tmp_path / "out")]
    mistakes = {
        "nothing at": ["run", str(tmp_path / "missing.png"), *out],
        "not a picture": ["run", str(text), *out],
        "holds no picture": ["run", str(tmp_path / "empty"), *out],
        "cannot be read": ["run", str(tmp_path / "bag"), *out],
        "Copy it again": ["run", str(tmp_path / "cut.mcap"), *out],
        "only be chosen in a bag": ["run", image, *out, "--topic", "/image"],
        "is no camera": ["run", image, *out, "--camera-info", str(tmp_path / "camera.yaml")],
        "K has focal lengths of 0": ["run", image, *out, "--camera-info", str(tmp_path / "zero.yaml")],
        "between 0 and 180": ["run", image, *out, "--fov", "180"],
        "No such file": ["run", image, *out, "--camera-info", str(tmp_path / "gone.yaml")],
        "File exists": ["run", image, "--out", str(text)],
        "name everything once": ["run", image, *out, "--legend", "floor", "floor=red"],
        "not a colour": ["run", image, *out, "--legend", "floor=no such colour"],
        "too near": ["run", image, *out, "--legend", "floor=red", "wall=#fe0000"],
    }
    for word, argv in mistakes.items():
        assert main(argv) == 2, word
        assert word in one_line(capsys), word


def test_a_camera_that_does_not_fit_leaves_the_frame_unanswered(oracle, tmp_path, capsys):
    image = str(save(tmp_path / "a.png", picture()))
    (tmp_path / "tall.yaml").write_text(ECHO.replace("height: 96", "height: 512"))
    assert (
        main(["run", image, "--out", str(tmp_path / "out"), "--camera-info", str(tmp_path / "tall.yaml")])
        == 1
    )
    assert "no resize explains" in capsys.readouterr().err


def test_a_task_that_the_bundle_was_not_taught_is_refused():
    asked = Namespace(legend=None, expression=["the box"], instances=None)
    with pytest.raises(InputError, match="does not support referring"):
        questions_for(("depth",), {}, asked)


def test_results_of_an_earlier_run_are_not_answered_as_photographs(oracle, tmp_path, capsys):
    photograph = save(tmp_path / "depth.png", picture())  # named as a result is, and none
    assert main(["run", str(photograph), "--out", str(tmp_path / "out")]) == 0
    assert len(list((tmp_path / "out" / "depth").glob("*.png"))) > 5
    capsys.readouterr()
    assert main(["run", str(tmp_path), "--recursive", "--out", str(tmp_path / "again")]) == 0
    assert "are results of vision-banana and no photographs; they are left out" in capsys.readouterr().err
    frames = json.loads((tmp_path / "again" / "summary.json").read_text())["frames"]
    assert [frame["name"] for frame in frames] == ["depth"]
    assert main(["run", str(tmp_path / "out" / "depth"), "--out", str(tmp_path / "third")]) == 2
    assert "name the folder of the photographs" in one_line(capsys)


def test_pictures_that_may_be_depth_are_told_of(oracle, tmp_path, capsys):
    save(tmp_path / "photograph.png", picture())
    assert main(["run", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    assert "16 bits in one channel" not in capsys.readouterr().err
    assert cv2.imwrite(str(tmp_path / "depth.png"), picture()[..., 0].astype(np.uint16) * 40)
    for given, out in ((tmp_path, "folder"), (tmp_path / "depth.png", "file")):
        assert main(["run", str(given), "--out", str(tmp_path / out)]) == 0
        assert "16 bits in one channel, as depth has: 1, the first" in capsys.readouterr().err


def test_decode_reads_an_answer_of_another_generator(tmp_path, capsys):
    truth = np.linspace(0.5, 20, 60 * 80, dtype=np.float32).reshape(60, 80)
    painted = save(tmp_path / "answer.png", (depth.encode(truth) * 255).round().astype(np.uint8))
    assert main(["decode", "depth", str(painted), "--out", str(tmp_path)]) == 0
    np.testing.assert_allclose(np.load(tmp_path / "depth.npy"), truth, rtol=0.01)
    assert "100.0% readable" in capsys.readouterr().out
    assert load(tmp_path / "sheet.png").ndim == 3

    facing = np.zeros((60, 80, 3), np.float32)
    facing[..., 1] = 1
    painted = save(tmp_path / "answer.png", (normals.encode(facing) * 255).round().astype(np.uint8))
    assert main(["decode", "normals", str(painted), "--out", str(tmp_path)]) == 0
    np.testing.assert_allclose(np.load(tmp_path / "normals.npy"), facing, atol=0.01)

    labels = np.arange(4800).reshape(60, 80).astype(np.uint8) % 2
    painted = save(tmp_path / "answer.png", (semantic.encode(labels, LEGEND) * 255).round().astype(np.uint8))
    legend = ["--legend", "floor=#c81e1e", "box=#1ec81e"]
    assert main(["decode", "semantic", str(painted), "--out", str(tmp_path), *legend]) == 0
    np.testing.assert_array_equal(load(tmp_path / "labels.png"), labels)

    mask = labels == 1
    painted = save(tmp_path / "answer.png", (referring.encode(mask, "cyan") * 255).round().astype(np.uint8))
    assert main(["decode", "referring", str(painted), "--out", str(tmp_path), "--color", "cyan"]) == 0
    np.testing.assert_array_equal(load(tmp_path / "mask_1.png") == 255, mask)

    painted = np.zeros((60, 80, 3), np.uint8)
    painted[5:30, 5:30], painted[35:55, 40:70] = (255, 0, 0), (0, 0, 255)
    save(tmp_path / "answer.png", painted)
    assert main(["decode", "instances", str(tmp_path / "answer.png"), "--out", str(tmp_path)]) == 0
    assert load(tmp_path / "instances.png").max() == 2


def test_decode_doubts_what_is_hardly_an_answer_to_its_question(tmp_path, capsys):
    def told(name, image, task, *more):
        painted = str(save(tmp_path / f"{name}.png", image))
        assert main(["decode", task, painted, "--out", str(tmp_path / f"{name}-{task}"), *more]) == 0
        return capsys.readouterr()

    truth = np.linspace(1, 8, 4800).reshape(60, 80).astype(np.float32)
    answer = (depth.encode(truth) * 255).round().astype(np.uint8)
    said = told("answer", answer, "depth")
    assert not said.err and "m, half of it within 4.5" in said.out
    shrunk = cv2.resize(answer, (40, 30), interpolation=cv2.INTER_AREA)
    assert not told("shrunk", shrunk, "depth").err
    assert "about normals" in told("answer", answer, "normals").err
    labels = np.repeat(np.arange(12, dtype=np.uint8), 400).reshape(60, 80)
    said = told("labels", np.repeat(labels[..., None], 3, axis=2), "depth")
    assert "nearer than 0.1 m" in said.err and "0.00 to 0.03 m" in said.out
    assert "beyond all range" in told("white", np.full((60, 80, 3), 255, np.uint8), "depth").err
    assert "about depth" in told("noise", picture(), "depth").err


def test_decode_says_what_it_lacks(tmp_path, capsys):
    answer = str(save(tmp_path / "answer.png", picture()))
    out = ["--out", str(tmp_path / "out")]
    mistakes = {
        "give --legend": ["decode", "semantic", answer, *out],
        "class colors": ["decode", "semantic", answer, *out, "--legend", "floor"],
        "give --color": ["decode", "referring", answer, *out],
        "leave out the other": ["decode", "depth", answer, *out, "--color", "red"],
        "No such file": ["decode", "depth", str(tmp_path / "gone.png"), *out],
    }
    for word, argv in mistakes.items():
        assert main(argv) == 2, word
        assert word in one_line(capsys), word


def test_depth_beyond_16_bits_is_invalid_and_not_near():
    from vision_banana_ros.tasks.depth import millimetres

    metres = np.array([[0.0004, 0.001, 65.535, 65.5356, np.inf, np.nan, 0.0]], np.float32)
    np.testing.assert_array_equal(millimetres(metres), [[0, 1, 65535, 0, 0, 0, 0]])


def test_a_question_a_task_is_asked_of_a_generator_of_all_tasks():
    asked = Namespace(legend=["floor", "wall"], expression=["a", "b"], instances="cup")
    questions = questions_for(Oracle.tasks, LEGEND, asked)
    assert [q.task for q in questions] == [
        "depth",
        "normals",
        "semantic",
        "instances",
        "referring",
        "referring",
    ]
    assert list(questions[2].legend) == ["floor", "wall"] and questions[4].color != questions[5].color
    assert all(isinstance(q, Question) for q in questions)


def test_two_pictures_of_one_stem_keep_their_own_results_and_a_rerun_loses_none(oracle, tmp_path, capsys):
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    for name in ("city.jpg", "city.png", "deep/city.tiff", "deep/park.ppm", "deep/yard.webp"):
        save(folder / name, picture())
    out = tmp_path / "out"
    assert main(["run", str(folder), "--out", str(out)]) == 0
    assert sorted(p.parent.name for p in out.glob("*/sheet.png")) == ["city.jpg", "city.png"]
    before = (out / "city.jpg" / "depth.npy").read_bytes()
    assert main(["run", str(folder), "--out", str(out)]) == 2
    assert "holds results already" in one_line(capsys)
    assert (out / "city.jpg" / "depth.npy").read_bytes() == before
    assert main(["run", str(folder), "--out", str(out), "--overwrite", "--recursive"]) == 0
    assert (out / "deep_city" / "sheet.png").is_file() and (out / "deep_yard" / "depth.npy").is_file()


def test_frames_of_one_stamp_in_a_bag_keep_their_own_results(oracle, tmp_path):
    bag = write_bag(
        tmp_path / "bag", StoragePlugin.SQLITE3, {"/image": [raw_image(0, "rgb8"), raw_image(0, "bgr8")]}
    )
    assert main(["run", str(bag), "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "7000000000").is_dir() and (
        tmp_path / "out" / "7000000000-2" / "sheet.png"
    ).is_file()


def test_a_video_is_answered_frame_by_frame(oracle, tmp_path, capsys):
    video = tmp_path / "drive.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*"MJPG"), 10, (128, 96))
    for _ in range(3):
        writer.write(picture()[..., ::-1])
    writer.release()
    assert main(["run", str(video), "--out", str(tmp_path / "out")]) == 0
    assert len(list((tmp_path / "out").glob("*/depth.npy"))) == 3
    (tmp_path / "cut.mp4").write_bytes(b"no video")
    assert main(["run", str(tmp_path / "cut.mp4"), "--out", str(tmp_path / "out2")]) == 2
    assert "cannot be opened" in one_line(capsys)


def test_the_image_may_follow_an_option_of_several_words(oracle, tmp_path, capsys):
    image = save(tmp_path / "a.png", picture())
    assert main(["run", "--out", str(tmp_path / "out"), "--expression", *EXPRESSIONS, str(image)]) == 0
    assert (tmp_path / "out" / "a" / "mask_2.png").is_file()
    assert main(["run", "--out", str(tmp_path / "other"), "--expression", *EXPRESSIONS]) == 2
    assert "Name what to answer" in one_line(capsys)
    for missing in ("b.png", str(tmp_path / "drive.MP4"), str(tmp_path / "no_folder") + "/"):
        assert main(["run", "--out", str(tmp_path / "other"), "--expression", *EXPRESSIONS, missing]) == 2
        assert "nothing at" in one_line(capsys)
    assert main(["run", "--out", str(tmp_path / "other"), "--legend", "wall", "rtsp://127.0.0.1:9/x"]) == 2
    assert "The video 'rtsp://127.0.0.1:9/x' cannot be opened" in one_line(capsys)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    assert main(["run", "--out", str(tmp_path / "other"), "--expression", *EXPRESSIONS, str(broken)]) == 2
    assert "is not a picture that can be read" in one_line(capsys)


def test_an_unknown_option_suggests_the_nearest(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["run", "a.png", "--out", str(tmp_path), "--overwrte"])
    assert "did you mean --overwrite?" in capsys.readouterr().err


def test_the_summary_says_how_sure_the_answers_are(oracle, tmp_path, capsys):
    image = save(tmp_path / "a.png", picture())
    assert main(["run", str(image), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr()
    assert "confidence" in said.out and "a, 128x96:" in said.err
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert 0 < summary["frames"][0]["confidence"]["depth"] <= 1


def test_names_lead_nowhere_else_and_no_result_is_lost(oracle, tmp_path, capsys):
    folder, out = tmp_path / "in", tmp_path / "deep" / "out"
    folder.mkdir()
    names = ["...png", "....png", "same.png", "same.jpg", "a b.png"]
    for name in names:
        save(folder / name, picture())
    (folder / "folder.png").mkdir()
    (folder / "text.png").write_text("no picture")
    assert main(["run", str(folder), "--out", str(out)]) == 1
    report = json.loads((out / "summary.json").read_text())
    assert report["not_answered"] == 2
    folders = [out / frame["folder"] for frame in report["frames"]]
    assert len(set(folders)) == len(names) and all(
        (each / "depth.npy").is_file() and each.parent == out for each in folders
    )
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_names_that_fit_no_file_or_a_result_cost_nothing(oracle, tmp_path):
    """A hundred letters of three bytes are too many for a name; the summary has a name of its own."""
    folder, out = tmp_path / "in", tmp_path / "out"
    (folder / ("深" * 60)).mkdir(parents=True)
    for path in (folder / ("深" * 60) / ("度" * 60 + ".png"), folder / "summary.json.png", folder / "x.png"):
        save(path, picture())
    out.mkdir()
    (out / "x").symlink_to(tmp_path / "elsewhere")
    assert main(["run", str(folder), "--recursive", "--out", str(out)]) == 0
    frames = json.loads((out / "summary.json").read_text())["frames"]
    assert len(frames) == 3 and all((out / frame["folder"] / "depth.npy").is_file() for frame in frames)
    assert not (tmp_path / "elsewhere").exists()


def test_a_name_is_shown_without_its_control_characters(oracle, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    save(tmp_path / "in" / "a\x1b[31m.png", picture())
    (tmp_path / "in" / "b\x1b[2J.png").write_bytes(b"no picture")
    assert main(["run", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err and "a\\x1b[31m" in said.err and "b\\x1b[2J" in said.err


@pytest.mark.parametrize("whole", [0.5, 0.0])
def test_frames_that_a_video_lacks_are_told(oracle, tmp_path, capsys, whole):
    video = tmp_path / "drive.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*"MJPG"), 10, (128, 96))
    for _ in range(8):
        writer.write(picture()[..., ::-1])
    writer.release()
    data = video.read_bytes()
    keep = max(round(len(data) * whole), data.index(b"movi") + 4)
    video.write_bytes(data[:keep] + bytes(len(data) - keep))
    assert main(["run", str(video), "--out", str(tmp_path / "out")]) == 1
    assert "of 8 frames; it is cut off or damaged" in capsys.readouterr().err


@pytest.mark.parametrize("ending", [".mp4", ".mcap", ".db3", ".png"])
def test_pipes_and_folders_by_the_names_of_videos_and_bags_are_not_waited_for(
    oracle, tmp_path, capsys, ending
):
    os.mkfifo(tmp_path / f"pipe{ending}")
    (tmp_path / f"folder{ending}").mkdir()
    out = ["--out", str(tmp_path / "out")]
    assert main(["run", str(tmp_path / f"pipe{ending}"), *out]) == 2
    assert "no ordinary file" in one_line(capsys)
    assert main(["run", (tmp_path / f"pipe{ending}").as_uri(), *out]) == 2
    assert "no ordinary file" in one_line(capsys)
    assert main(["run", str(tmp_path / f"folder{ending}"), *out]) == 2
    assert "no ordinary file" in (said := one_line(capsys)) or "holds no picture" in said


def test_a_pipe_in_the_folder_of_a_bag_is_not_waited_for(oracle, tmp_path, capsys):
    bag = write_bag(tmp_path / "bag", StoragePlugin.MCAP, {"/image": [raw_image(0, "rgb8")]})
    (file,) = bag.glob("*.mcap")
    file.unlink()
    os.mkfifo(file)
    assert main(["run", str(bag), "--out", str(tmp_path / "out")]) == 2
    assert "no ordinary file" in one_line(capsys)


def compressed_bag(path, mode):
    """A bag that the library compresses."""
    storage = StoragePlugin.MCAP if mode == CompressionMode.STORAGE else StoragePlugin.SQLITE3
    writer = Writer(path, version=9, storage_plugin=storage)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection("/image", raw_image(0, "rgb8").__msgtype__, typestore=STORE)
        for k in range(2):
            message = raw_image(k, "rgb8")
            writer.write(connection, k, STORE.serialize_cdr(message, message.__msgtype__))
    return path


@pytest.mark.parametrize("mode", [CompressionMode.MESSAGE, CompressionMode.FILE, CompressionMode.STORAGE])
def test_compressed_bags_are_read_and_bombs_refused(oracle, tmp_path, capsys, monkeypatch, mode):
    bag = compressed_bag(tmp_path / "bag", mode)
    assert main(["run", str(bag), "--out", str(tmp_path / "out")]) == 0
    capsys.readouterr()
    for name in ("MAX_MESSAGE_BYTES", "MAX_UNPACKED_BYTES", "MOST_TIMES"):
        monkeypatch.setattr(f"vision_banana_ros.cli.shared.bags.{name}", 1)
    assert main(["run", str(bag), "--out", str(tmp_path / "out2")]) != 0
    assert "unpacks to" in (said := capsys.readouterr().err) and "Traceback" not in said


@pytest.mark.parametrize("text", ["a0: &a0 {k: v}\n" + MERGED, "[" * 5000, "a: &a [*a]"])
def test_metadata_that_grow_by_references_are_a_sentence(oracle, tmp_path, capsys, text):
    bag = write_bag(tmp_path / "bag", StoragePlugin.MCAP, {"/image": [raw_image(0, "rgb8")]})
    (bag / "metadata.yaml").write_text(text)
    assert main(["run", str(bag), "--out", str(tmp_path / "out")]) == 2
    assert "cannot be read as YAML" in one_line(capsys)


def test_names_that_are_no_text_are_answered_and_told(oracle, tmp_path):
    folder, out = tmp_path / "in", tmp_path / os.fsdecode(b"out\xff")
    folder.mkdir()
    image = save(tmp_path / "a.png", picture())
    os.link(image, os.fsencode(folder) + b"/\xff\xfe.png")
    os.link(image, folder / "a\nb\x1b[31m.png")
    asked = ["--fov", "90"]
    # OpenCV ended the process where it was to draw such a name
    done = subprocess.run(
        [sys.executable, "-c", STUBBED, "run", str(folder), "--out", str(out), *asked],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONIOENCODING": "utf-8"},
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert b"2 frames answered" in done.stdout
    assert len(list(out.glob("*/sheet.png"))) == 2
    assert main(["run", str(folder / os.fsdecode(b"\xff.mp4")), "--out", str(tmp_path / "o")]) == 2


def test_a_picture_of_one_column_gets_a_sheet_that_can_be_looked_at(tmp_path):
    image = save(tmp_path / "tall.png", np.full((20_000, 1, 3), 90, np.uint8))
    assert main(["decode", "depth", str(image), "--out", str(tmp_path / "out")]) == 0
    assert load(tmp_path / "out" / "sheet.png").shape[0] < 2500


def test_a_name_of_kilobytes_is_not_told_whole(tmp_path, capsys):
    assert main(["run", "x" * 100_000, "--out", str(tmp_path / "out")]) == 2
    assert "File name too long" in (said := one_line(capsys)) and len(said) < 800


def test_an_earlier_run_is_not_overwritten_unasked(oracle, tmp_path, capsys):
    image = save(tmp_path / "a.png", picture())
    command = ["run", str(image), "--out", str(tmp_path / "out")]
    assert main(command) == 0
    before = (tmp_path / "out" / "a" / "depth.npy").stat().st_mtime_ns
    capsys.readouterr()
    assert main(command) == 2
    assert "--overwrite" in one_line(capsys)
    assert (tmp_path / "out" / "a" / "depth.npy").stat().st_mtime_ns == before
    assert main([*command, "--overwrite"]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "legend.json", "summary.json"]


def test_a_picture_without_anything_in_it_is_not_answered(oracle, tmp_path, capsys):
    assert (
        main(
            [
                "run",
                str(save(tmp_path / "black.png", np.zeros((60, 80, 3), np.uint8))),
                "--out",
                str(tmp_path / "out"),
            ]
        )
        == 1
    )
    assert "there is nothing to see in black. It is dark" in capsys.readouterr().err


def test_a_disk_that_is_full_is_a_sentence_and_leaves_no_cut_file(oracle, tmp_path, capsys):
    import resource
    import signal

    image = save(tmp_path / "a.png", picture())
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))  # no file may grow beyond this
    try:
        assert main(["run", str(image), "--out", str(tmp_path / "out")]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert "File too large: " in one_line(capsys)
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert all(path.name in ("legend.json",) or path.stat().st_size < 2000 for path in files)
    assert not any(path.name.startswith(".") for path in files)


@pytest.mark.parametrize("broken", ["full disk", "pipe"])
def test_answers_and_their_summary_are_written_where_stderr_cannot_be(tmp_path, broken):
    for name in "ab":
        save(tmp_path / f"{name}.png", picture())
    if broken == "pipe":
        reading, writing = os.pipe()
        os.close(reading)
    else:
        writing = os.open("/dev/full", os.O_WRONLY)
    argv = [str(tmp_path), "--out", str(tmp_path / "out"), "--expression", "a box"]
    support = Path(__file__).parents[1] / "support"
    environment = os.environ | {"PYTHONPATH": f"{support}:{os.environ.get('PYTHONPATH', '')}"}
    called = subprocess.run(
        [sys.executable, "-c", STUBBED, "run", *argv], stdout=subprocess.PIPE, stderr=writing, env=environment
    )
    os.close(writing)
    assert called.returncode == 0 and b"2 frames answered, 0 not" in called.stdout
    assert len(json.loads((tmp_path / "out" / "summary.json").read_text())["frames"]) == 2


def test_the_card_is_told_where_it_speaks_against_the_depth():
    bands = {"0-1 m": {"delta1": 0.25}, "1-2 m": {"delta1": 0.7}}
    metrics = {"rooms": {"depth": {"delta1": 0.6, "bands": bands}}, "junk": {"frames": 3}}
    near, good, far = ([{"depth_m": [0.3, d, 4.0], "beyond_range": 0.0}] for d in (0.6, 1.5, 30.0))
    said = doubts("tiny", metrics, near)
    assert "60% (rooms)" in said[0] and "At 0.6 m that is 25% to 25% only" in said[1]
    assert len(doubts("tiny", metrics, good)) == 1
    assert "30 m is a depth at which tiny was never measured" in doubts("tiny", metrics, far)[1]
    assert "50% of the depth lies beyond" in doubts("tiny", {}, [{"beyond_range": 0.5}])[0]
    assert doubts("tiny", {}, []) == []
