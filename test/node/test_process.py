# SPDX-License-Identifier: Apache-2.0
"""The node as a process of its own: one answer or one counted drop for each frame, and how it starts and
ends."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
import rclpy
from node_support import (
    BREAKS,
    ROOT,
    STUCK,
    UNREADABLE,
    Camera,
    any_domain,
    camera_info,
    new_client,
    picture,
    stamps,
)
from patience import COMPILED_S, PATIENCE_S
from rclpy.context import Context

from vision_banana_ros.node.topics.fastdds import carry_large_images
from vision_banana_ros.node.topics.messages import TYPES

TOPICS = [topic for topic in TYPES if topic != "referring/mask"]
LEAVES_BY_ITSELF_S = 20.0  # DDS forgets a participant that says nothing


@contextmanager
def process(*parameters, domain=None):
    """The node with the tests' generator, started as a user would start it."""
    arguments = [part for parameter in parameters for part in ("-p", parameter)]
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain or any_domain()), "PYTHONPATH": _path()}
    program = [sys.executable, str(ROOT / "test" / "support" / "node_support.py"), "--ros-args", *arguments]
    child = subprocess.Popen(
        program, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def _path():
    return os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])


@pytest.fixture
def context():
    carry_large_images()
    context = Context()
    context.domain = any_domain()
    rclpy.init(context=context, domain_id=context.domain, args=[])
    yield context
    rclpy.try_shutdown(context=context)


def test_each_stamp_gives_exactly_one_message_a_topic_or_one_counted_drop(context):
    # The middleware may lose nothing here, so that every frame sent is a frame received.
    reliable = ["reliability:=reliable", "depth:=100"]
    parameters = [
        "autostart:=true",
        "bundle:=slow",
        *(f"qos_overrides./image.subscription.{part}" for part in reliable),
    ]
    with process(*parameters, domain=context.domain), new_client(context, TOPICS) as client:
        camera = Camera(client)
        camera.connect()
        active(client)
        camera.infos.publish(camera_info())
        sent: list[int] = []

        def connected() -> bool:
            sent.append(camera.show(1))
            answered = int(client.status()["published"])
            return answered > 0 and all(client.received[topic] for topic in TOPICS)

        client.spin_until(connected, "a first answer on every topic")
        # from here on everybody hears everything
        first = max(stamps(client.received[topic])[0] for topic in TOPICS)
        for number in range(40):
            sent.append(camera.show({10: UNREADABLE, 20: BREAKS}.get(number, number)))
            if number == 30:
                sent.append(client.next_stamp())
                broken = picture(1, sent[-1])
                broken.encoding = "purple8"
                camera.images.publish(broken)
            pause(client, 0.05)
        client.spin_until(lambda: client.status()["received"] == str(len(sent)), "all frames in the node")
        client.spin_until(lambda: client.status()["waiting"] == "0", "the last frame to be done")
        status = client.status()
        dropped = sum(int(value) for key, value in status.items() if key.startswith("dropped"))
        assert len(sent) == int(status["published"]) + dropped
        assert int(status["dropped: replaced"]) > 0
        answered = stamps(client.received["depth/image_rect"])
        assert len(answered) == len(set(answered)) and set(answered) <= set(sent)
        for topic in TOPICS:
            later = [stamp for stamp in answered if stamp >= first]
            client.spin_until(
                lambda t=topic, n=later: [s for s in stamps(client.received[t]) if s >= first] == n,
                f"the same stamps, each once, on {topic}",
            )


def active(client):
    client.spin_until(
        lambda: client.statuses and client.status("generator")["state"] == "active",
        "an active node",
        COMPILED_S,
    )


def pause(client, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        client.own_executor.spin_once(timeout_sec=0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_an_active_node_with_status_zero(context, number):
    with process("autostart:=true", domain=context.domain) as child, new_client(context) as client:
        active(client)
        child.send_signal(number)
        output, _ = child.communicate(timeout=PATIENCE_S)
        assert child.returncode == 0, output
        assert "Traceback" not in output


def test_a_signal_ends_a_node_whose_generator_is_busy(context):
    with process("autostart:=true", domain=context.domain) as child, new_client(context) as client:
        camera = Camera(client)
        client.listen("depth/image_rect")
        active(client)
        camera.connect()
        client.spin_until(
            lambda: camera.show(STUCK) and int(client.status()["dropped: replaced"]) > 0,
            "the worker to be stuck",
        )
        child.send_signal(signal.SIGTERM)
        output, _ = child.communicate(timeout=PATIENCE_S)
        assert child.returncode == 0, output


@pytest.mark.parametrize("value", ["max_age:=-3.0", "max_age:=old", "cameras:=[2]", "cameras:=[a b]"])
def test_a_parameter_that_cannot_be_used_at_the_start_ends_the_process_with_the_reason(value):
    with process(value) as child:
        output, _ = child.communicate(timeout=PATIENCE_S)
        assert child.returncode == 1
        assert value.partition(":")[0] in output and "Traceback" not in output


def test_values_of_a_file_are_taken_as_people_write_them(tmp_path, context):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "/**:\n  ros__parameters:\n    legend: []\n    expressions: []\n    cameras: []\n    priority: []\n"
        "    max_age: 3\n"
        "    range_pose: [0, 0, 1, 0, 0, 0]\n    max_agee: 2.0\n    speed_of_another_node: 1.0\n"
    )
    command = [
        sys.executable,
        str(ROOT / "test" / "support" / "node_support.py"),
        "--ros-args",
        "--params-file",
        str(file),
    ]
    environment = {**os.environ, "ROS_DOMAIN_ID": str(context.domain), "PYTHONPATH": _path()}
    with (
        subprocess.Popen(
            command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as child,
        new_client(context) as client,
    ):
        try:
            client.spin_until(lambda: client.statuses, "diagnostics", 120)
            message = client.status("generator")["message"]
            assert (
                "no parameter 'max_agee'" in message
                and "is it 'max_age'?" in message
                and "speed_of" not in message
            )
            assert client.get_parameter_of_node("max_age") == 3.0
            assert list(client.get_parameter_of_node("range_pose")) == [0.0, 0.0, 1.0, 0.0, 0.0, 0.0]
        finally:
            child.kill()


def test_a_node_that_ends_leaves_the_ros_graph_at_once(context):
    with process("autostart:=true", domain=context.domain) as child, new_client(context) as client:
        active(client)
        assert "vision_banana" in client.get_node_names()
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=PATIENCE_S)
        client.spin_until(
            lambda: "vision_banana" not in client.get_node_names(), "its leaving", LEAVES_BY_ITSELF_S - 2
        )


# rclpy alone takes half a second to import; the last of these moments lie in ROS's own start and after it.
@pytest.mark.parametrize("after_s", [0.001, 0.01, 0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5])
def test_a_signal_while_the_program_starts_ends_it_in_order(after_s):
    """From the first statement of the installed executable on. What comes before is Python's own start."""
    program = (
        "import os, runpy, signal;"
        "signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT));"
        "signal.signal(signal.SIGINT, lambda *_: os._exit(0));"
        f"signal.setitimer(signal.ITIMER_REAL, {after_s});"
        f"runpy.run_path({str(ROOT / 'scripts' / 'vision_banana_node')!r}, run_name='__main__')"
    )
    environment = {**os.environ, "PYTHONPATH": _path(), "ROS_DOMAIN_ID": str(any_domain())}
    child = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert child.returncode == 0 and "Traceback" not in child.stderr, child.stderr


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("rclpy", "source /opt/ros/$ROS_DISTRO/setup.bash"),
        ("vision_banana_interfaces", "ln -s vision_banana_ros/vision_banana_interfaces ."),
        ("numba", "apt install python3-numba"),
    ],
)
def test_a_module_that_is_missing_is_one_sentence_with_its_cure(module, words):
    program = (
        f"import sys; sys.modules[{module!r}] = None; from vision_banana_ros.node.main import main;"
        " sys.exit(main())"
    )
    environment = {**os.environ, "PYTHONPATH": _path()}
    child = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert child.returncode == 1 and child.stderr.count("\n") == 1 and words in child.stderr, child.stderr


def test_a_bundle_that_is_not_there_is_named_and_the_node_stays_to_be_configured(context):
    with (
        process("autostart:=true", "bundle:=missing", domain=context.domain) as child,
        new_client(context) as client,
    ):
        client.spin_until(lambda: client.statuses, "diagnostics")
        assert "There is no bundle at 'missing'" in client.status("generator")["message"]
        assert client.state() == "unconfigured" and child.poll() is None


def test_a_callback_that_raises_costs_what_it_was_for_and_not_the_node():
    """By a node in a process of its own, as the program runs it: a timer that raises, then the end."""
    code = """
import os, signal, sys
from vision_banana_ros.node import node as module
from vision_banana_ros.node.main import main
class Odd(module.VisionBananaNode):
    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.times = 0
        self.create_timer(0.05, self.odd)
    def odd(self):
        self.times += 1
        if self.times == 3:
            os.kill(os.getpid(), signal.SIGINT)
        raise TypeError("what nobody thought of")
import vision_banana_ros.node.run as run
run.VisionBananaNode = Odd
sys.exit(main([]))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "ROS_DOMAIN_ID": str(any_domain())}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("not handled (TypeError: what nobody thought of)") >= 2
    assert "Traceback" not in done.stderr


DOMAIN, LOG = "ROS_DOMAIN_ID", "RCUTILS_LOGGING_USE_STDOUT"


@pytest.mark.parametrize("argument", ["camera", "--help", "autostart:=true"])
def test_arguments_that_are_not_those_of_ros_are_refused(argument):
    program = "import sys; from vision_banana_ros.node.main import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, argument],
        env={**os.environ, "PYTHONPATH": _path()}, capture_output=True, text=True, timeout=PATIENCE_S,
    )  # fmt: skip
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    assert "after --ros-args" in done.stderr and repr(argument) in done.stderr


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["-r", "__node:=a/../b"], {}),
        (["-r", "__node:=" + "x" * 300], {}),
        (["-r", "image:= bad topic"], {}),
        (["-p", "bundle:=\udcff"], {}),
        (["--nope"], {}),
        (["--params-file", "/nowhere.yaml"], {}),
        *(([], {DOMAIN: domain}) for domain in ("abc", "233", "-1", "1.5", "010")),
        ([], {"ROS_STATIC_PEERS": "x" * 300}),
        ([], {LOG: "7"}),
    ],
    ids=[
        "name",
        "long name",
        "remap",
        "bytes",
        "unknown",
        "no file",
        "domain",
        "high",
        "low",
        "half",
        "octal",
        "peers",
        "log",
    ],
)
def test_what_ros_refuses_at_the_start_is_one_sentence(arguments, environment):
    program = "import sys; from vision_banana_ros.node.main import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, "--ros-args", *arguments],
        env={**os.environ, "PYTHONPATH": _path(), "ROS_DOMAIN_ID": str(any_domain()), **environment},
        capture_output=True, text=True, errors="replace", timeout=PATIENCE_S,
    )  # fmt: skip
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    cures = {DOMAIN: "a whole number from 0 to 232", LOG: "Correct the variables RCUTILS_*"}
    cure = cures.get(next(iter(environment), ""), "after --ros-args")
    assert "ROS cannot be started" in done.stderr and cure in done.stderr


@pytest.mark.parametrize("files", [8, 24])
def test_too_few_descriptors_are_one_sentence_or_are_raised(files):
    program = (
        "import resource; from rclpy.context import Context;"
        " from vision_banana_ros.node.ros_start import start_ros;"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({files}, int(__import__('sys').argv[1])));"
        "start_ros(['node'], Context()); print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    limited, raised = (
        subprocess.run(
            [sys.executable, "-c", program, str(hard)],
            env={**os.environ, "PYTHONPATH": _path(), "ROS_DOMAIN_ID": str(any_domain())},
            capture_output=True, text=True, timeout=120,
        )
        for hard in (files, 4096)
    )  # fmt: skip
    assert f"may open {files} files at once and needs" in limited.stderr
    assert raised.returncode == 0 and int(raised.stdout) >= 64, raised.stderr
