# SPDX-License-Identifier: Apache-2.0
"""`vision-banana demo`: the truth that it compares with, its scores and faults, and that every failure
ends in time."""

import importlib
import json
import os
import re
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image

from vision_banana_interfaces.srv import SetPrompts
from vision_banana_ros.cli import demo
from vision_banana_ros.cli.main import main
from vision_banana_ros.cli.shared import demo_scene, node_process
from vision_banana_ros.cli.shared.demo_scene import Scene, score, write_results
from vision_banana_ros.generators.bundle import write_manifest
from vision_banana_ros.node.client.demo import SHOWN, Heard
from vision_banana_ros.perception import Intrinsics, points
from vision_banana_ros.scenes import CLASSES
from vision_banana_ros.tasks.colors import far_apart

LEGEND = dict(zip(CLASSES, far_apart(len(CLASSES), avoid=["black"]), strict=True))
SECOND = 1_000_000_000


@pytest.fixture(scope="module")
def scene():
    return Scene(3, 96, 72, 10)


class Listener:
    """Has heard the outputs of a perfect node for some frames of a scene."""

    labels_expected = True

    def __init__(self, scene: Scene, stamps: list[int]):
        self.labels = dict(enumerate(LEGEND))
        self.diagnostics = {"dropped: replaced": "4", "dropped: stale": "0"}
        self.heard = {topic: Heard(list(stamps), [0.1] * len(stamps)) for topic in SHOWN}
        self.kept = {stamp: self.outputs(scene, stamp) for stamp in stamps if scene.keeps(stamp)}

    @staticmethod
    def outputs(scene: Scene, stamp: int) -> dict[str, np.ndarray]:
        view = scene.truth(stamp)
        camera = Intrinsics.of(view.camera)
        names = {o.instance for o in scene.camera.world.objects if o.name == scene.kind}
        target = view.instances == scene.target.instance
        return {
            "depth/image_rect": view.depth_m,
            "depth/camera_info": np.array(
                [camera.width, camera.height, camera.fx, 0, camera.cx, 0, camera.fy, camera.cy, 0, 0, 1]
            ),
            "normals/image": view.normals * np.array((1, -1, -1), np.float32),
            "segmentation/mask": view.labels,
            "segmentation/confidence": np.full(view.labels.shape, 255, np.uint8),
            "instances/mask": np.where(np.isin(view.instances, list(names)), view.instances, 0),
            "referring/mask": np.where(target, 7, 0).astype(np.uint8),
            "points": points(view.depth_m, camera),
            "depth/color": view.image,
            "normals/color": view.image,
            "segmentation/overlay": view.image,
        }


@pytest.fixture
def stamps(scene):
    """30 frames at 10 Hz within the measured span."""
    with scene.measuring():
        first = time.time_ns()
        scene.indices = {first + k: 5 * k for k in range(30)}
        time.sleep(0.001)
    assert scene.measured == list(scene.indices)
    yield scene.measured
    scene.indices, scene.samples = {}, {}


def test_the_expression_fits_one_thing_of_the_world(scene):
    color, name = scene.target.color, scene.target.name
    assert scene.expression == f"the {color} {name}"
    fitting = [o for o in scene.camera.world.objects if o.color == color and name in (o.name, o.class_name)]
    assert fitting == [scene.target]
    assert any(o.name == scene.kind for o in scene.camera.view(0).visible())
    assert any((scene.camera.view(t).instances == scene.target.instance).any() for t in (0, 8, 16, 24))


def test_one_frame_a_second_is_compared(scene, stamps):
    kept = [stamp for stamp in stamps if scene.keeps(stamp)]
    assert [scene.indices[s] for s in kept] == list(range(0, 150, 10))
    assert kept == [stamp for stamp in stamps if scene.keeps(stamp)], "the choice does not change"
    assert not scene.keeps(5)


def test_a_perfect_node_has_no_error_and_no_fault(scene, stamps, tmp_path):
    results = score(Listener(scene, stamps), scene, LEGEND, 7, 3.0)
    assert results.faults == []
    rows = {line.split()[0]: line for line in results.table.splitlines()}
    assert "AbsRel 0.000, delta1 1.000, 100.0% readable" in rows["depth/image_rect"]
    assert "10.0 Hz" in rows["points"] and "100 ms" in rows["points"] and "0.00 m off" in rows["points"]
    assert "median 0.1" in rows["normals/image"] or "median 0.0" in rows["normals/image"]
    assert "mIoU 1.000" in rows["segmentation/mask"] and "mean 1.00" in rows["segmentation/confidence"]
    assert "IoU 1.000" in rows["referring/mask"] and "pmF1 1.000" in rows["instances/mask"]
    assert rows["depth/camera_info"].endswith("exact")
    assert "30 frames published (10.0 Hz), 30 answered, 0 not" in results.table
    assert "4 replaced, 0 stale" in results.table
    write_results(tmp_path, results)
    assert cv2.imread(str(tmp_path / "sheet.png")).shape[1] > 5 * 480
    assert (tmp_path / "points.ply").stat().st_size > 1000
    assert (tmp_path / "table.txt").read_text().strip() == results.table


def test_errors_are_measured(scene, stamps):
    listener = Listener(scene, stamps)
    for outputs in listener.kept.values():
        outputs["depth/image_rect"] = outputs["depth/image_rect"] * np.float32(1.1)
        outputs["referring/mask"] = np.zeros_like(outputs["referring/mask"])
        outputs["normals/image"] = outputs["normals/image"] * np.array((1, -1, -1), np.float32)
        outputs["depth/camera_info"] = outputs["depth/camera_info"] + 1
    table = score(listener, scene, LEGEND, 7, 3.0).table
    assert "AbsRel 0.100, delta1 1.000" in table and "IoU 0.000" in table and "WRONG" in table
    assert "median 0.1" not in table


def test_outputs_without_one_readable_pixel_are_a_fault(scene, stamps):
    listener = Listener(scene, stamps)
    for outputs in listener.kept.values():
        outputs["depth/image_rect"] = np.full_like(outputs["depth/image_rect"], np.nan)
        outputs["normals/image"] = np.full_like(outputs["normals/image"], np.nan)
    faults = score(listener, scene, LEGEND, 7, 3.0).faults
    assert [f.split()[2] for f in faults] == ["depth/image_rect", "normals/image"]


def test_what_a_run_lacks_is_a_fault(scene, stamps):
    listener = Listener(scene, stamps)
    listener.heard["points"] = Heard()
    listener.heard["normals/image"].faults.append("ValueError: cannot reshape")
    listener.heard["depth/color"].stamps.append(17)
    listener.heard["depth/color"].ages_s.append(0.1)
    listener.heard["instances/mask"].stamps.append(stamps[0])
    listener.heard["instances/mask"].ages_s.append(0.1)
    listener.labels, listener.diagnostics = {}, {}
    faults = score(listener, scene, LEGEND, 7, 3.0).faults
    for word in (
        "Nothing arrived on points",
        "normals/image could not be read: ValueError",
        "1 messages on depth/color have stamps that no frame had",
        "twice on instances/mask",
        "segmentation/labels",
        "/diagnostics",
    ):
        assert any(word in fault for fault in faults), word
    assert len(faults) == 6


@pytest.fixture
def bundle(tmp_path):
    folder = tmp_path / "bundle"
    folder.mkdir()
    for name in ("image.onnx", "text.onnx", "answer.onnx"):
        (folder / name).write_bytes(b"graph")
    (folder / "metrics.json").write_text(json.dumps({}))
    fields = dict(
        name="tiny",
        description="",
        licence="Apache-2.0",
        tasks=["depth"],
        codec="vision_banana",
        size=[48, 64],
    )
    more = dict(
        steps=1, depth_range_m=[0.1, 20], legend={"floor": "red"}, text_length=64, text_buckets=256, made={}
    )
    write_manifest(folder, {**fields, **more})
    return folder


def fake_node(folder, script: str, monkeypatch) -> None:
    """An executable vision_banana_node, first on the PATH, in a ROS domain of its own."""
    folder.mkdir(exist_ok=True)
    program = folder / node_process.EXECUTABLE
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("ROS_DOMAIN_ID", str(10 + (os.getpid() + 45) % 90))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    monkeypatch.setattr(demo, "SIZE", (96, 72))


STEADY = """
import sys
import numpy as np
from vision_banana_ros.node.main import main
from vision_banana_ros.tasks import depth, normals
from vision_banana_ros.tasks.answer_format import AnswerFormat

class Steady:
    name = executor = why = "steady"
    size = (48, 64)
    faults = []
    tasks = ("depth", "normals", "semantic", "instances", "referring")
    manifest = AnswerFormat(
        tasks=tasks, codec="vision_banana", legend={"floor": (255, 0, 0)}, depth_range_m=(0.1, 20.0),
        depth_focal_px=0.0, instance_taus={}, referring_core=0.0, expressions_together=1,
    )

    def asked(self, question):
        return question

    def prepare(self, instruction):
        pass

    def paint(self, image, instructions):
        painted = np.zeros((len(instructions), 48, 64, 3), np.float32)
        for answer, instruction in zip(painted, instructions):
            if instruction == depth.instruction():
                answer[:] = depth.encode(np.full((48, 64), 2.0))
            elif instruction == normals.instruction():
                answer[:] = normals.encode(np.broadcast_to([0.0, 0.0, 1.0], (48, 64, 3)))
            else:
                answer[10:30, 10:40] = (1, 0, 0)
        return painted

if __name__ == "__main__":
    sys.exit(main(generator_loader=lambda bundle, executor: Steady()))
"""


@contextmanager
def robot():
    """A robot in the ROS domain of the environment, with the usual names.

    Yields the pictures and the prompts that have come.
    """
    context = Context()
    rclpy.init(context=context, args=[])
    node, executor = (
        rclpy.create_node("vision_banana", context=context),
        SingleThreadedExecutor(context=context),
    )
    pictures: list[Image] = []
    prompts: list[SetPrompts.Request] = []

    def set_prompts(request, response):
        prompts.append(request)
        return response

    node.create_subscription(Image, "image", pictures.append, 1)
    node.create_service(SetPrompts, "~/set_prompts", set_prompts)
    executor.add_node(node)
    ended = threading.Event()

    def spin():
        while not ended.is_set():
            executor.spin_once(timeout_sec=0.1)

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        yield pictures, prompts
    finally:
        ended.set()
        thread.join()
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()


def test_the_whole_demo_with_a_generator_that_always_says_two_metres(bundle, tmp_path, monkeypatch, capsys):
    (tmp_path / "steady.py").write_text(STEADY)
    root = Path(__file__).resolve().parents[2]
    monkeypatch.setenv("PYTHONPATH", f"{root}:{os.environ.get('PYTHONPATH', '')}")
    fake_node(tmp_path / "bin", f'exec {sys.executable} {tmp_path / "steady.py"} "$@"', monkeypatch)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(demo, "load_generator", lambda path: importlib.import_module("steady").Steady())
    out = tmp_path / "out"
    with robot() as (pictures, prompts):
        status = main(["demo", "--out", str(out), "--bundle", str(bundle), "--seconds", "4", "--rate", "5"])
    assert not pictures and not prompts, "a robot in the same ROS domain sees another camera"
    said = capsys.readouterr()
    assert status == 0, said.err + (out / "node.log").read_text()
    rows = {line.split()[0]: line for line in said.out.splitlines()}
    assert set(SHOWN) <= set(rows) and not any("nan" in rows[topic] for topic in SHOWN)
    assert "100.0% readable" in rows["depth/image_rect"] and rows["depth/camera_info"].endswith("exact")
    assert "Drops that the node counted" in said.out and "4 s:" in said.err
    assert cv2.imread(str(out / "sheet.png")).ndim == 3
    assert cv2.imread(str(out / "photographs.png")).shape[1] > 5 * 480, "each photograph and four answers"
    # Every point of the cloud is where the generator said.
    body = (out / "points.ply").read_bytes().partition(b"end_header\n")[2]
    cloud = np.frombuffer(body, [("xyz", "<f4", 3), ("rgb", "u1", 3)])
    assert len(cloud) == 96 * 72
    np.testing.assert_allclose(cloud["xyz"][:, 2], 2, rtol=1e-4)


def test_a_node_that_dies_ends_the_demo_with_its_last_words(bundle, tmp_path, monkeypatch, capsys):
    fake_node(tmp_path / "bin", "echo no accelerator; exit 3", monkeypatch)
    assert main(["demo", "--out", str(tmp_path / "out"), "--bundle", str(bundle)]) == 1
    said = capsys.readouterr().err
    assert "The node's process ended" in said and "no accelerator" in said and "Traceback" not in said


def test_a_node_that_never_comes_up_ends_the_demo_in_time(bundle, tmp_path, monkeypatch, capsys):
    fake_node(tmp_path / "bin", "echo $$ > pid; exec sleep 100", monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "BRING_UP_S", 1.5)
    assert main(["demo", "--out", str(tmp_path / "out"), "--bundle", str(bundle)]) == 1
    assert re.search(
        r"waited for the service /vision_banana_\w+/vision_banana/get_state", capsys.readouterr().err
    )
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_node_that_does_not_heed_its_end_is_killed(tmp_path, monkeypatch):
    fake_node(tmp_path / "bin", "trap '' TERM; while true; do sleep 0.1; done", monkeypatch)
    monkeypatch.setattr(node_process, "STOP_S", 0.5)
    with node_process.running_node(tmp_path / "log", tmp_path, "/alone") as process:
        assert process.poll() is None
        time.sleep(0.3)
    assert process.poll() == -9


def test_mistakes_get_one_sentence(bundle, tmp_path, monkeypatch, capsys):
    for seconds in ("0", "nan", "inf"):
        assert main(["demo", "--seconds", seconds]) == 2
        assert "at least 1 second" in capsys.readouterr().err
    assert main(["demo", "--bundle", str(tmp_path / "gone")]) == 2
    assert "no bundle at" in capsys.readouterr().err
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("AMENT_PREFIX_PATH", "/nowhere")
    assert main(["demo", "--bundle", str(bundle), "--out", str(tmp_path / "out")]) == 2
    assert "neither on the PATH" in capsys.readouterr().err


def test_a_world_in_which_nothing_is_unmistakable_is_refused(monkeypatch):
    monkeypatch.setattr(demo_scene, "is_rival", lambda thing, other: True)
    with pytest.raises(demo_scene.InputError, match="take another --seed"):
        Scene(3, 96, 72, 10)
