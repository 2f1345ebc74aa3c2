# SPDX-License-Identifier: Apache-2.0
"""What docs/how_to/security.md promises: the policy is the node's own list, nothing is unpickled or run,
input is bounded."""

import ast
import json
import runpy
import shutil
import struct
import zlib
from pathlib import Path
from xml.etree import ElementTree

import pytest
from lifecycle_msgs.msg import Transition
from node_support import new_client, picture, running_node
from sensor_msgs.msg import CompressedImage

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators import default_bundle
from vision_banana_ros.generators.bundle import open_bundle
from vision_banana_ros.node.pipeline.worker import MAX_JOBS
from vision_banana_ros.node.prompts import MAX_EXPRESSIONS, read_expressions
from vision_banana_ros.node.services import handlers
from vision_banana_ros.node.topics.image_input import read_image
from vision_banana_ros.perception.image_encodings import MAX_PIXELS
from vision_banana_ros.tasks.legend_text import MAX_CHARACTERS, clean_text

ROOT = Path(__file__).resolve().parent.parent
SROS2 = ROOT / "config" / "sros2"
MAKER = runpy.run_path(str(SROS2 / "make_policy.py"))
SOURCES = sorted(
    path for folder in ("vision_banana_ros", "launch", "config") for path in (ROOT / folder).rglob("*.py")
)
PLAIN_PICKLE = ROOT / "vision_banana_ros" / "evaluation" / "benchmarks" / "plain_pickle.py"
"""Reads RefCOCO's pickle, with an unpickler that knows no classes and no functions: test_benchmark_runs.py
tries to get past it."""
UNPICKLERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


# SROS 2


def test_the_policy_on_disk_is_the_one_that_its_maker_makes():
    assert (SROS2 / "policy.xml").read_text() == MAKER["policy"](), "run: python config/sros2/make_policy.py"


def test_the_policy_allows_exactly_what_a_running_node_has():
    allowed = {rule: {_full(name) for name in names} for rule, names in MAKER["rules"]().items()}
    with running_node() as (_node, context), new_client(context) as client:
        assert client.transition(Transition.TRANSITION_CONFIGURE)
        used = client.spin_until(lambda: _graph(client), "the node's interfaces")
    for rule, names in used.items():
        assert names <= allowed[rule], (
            f"{rule}: the policy forbids what the node does; run config/sros2/make_policy.py"
        )
    # Simulated time, the range sensors and compressed images are subscribed to only when they are asked for.
    sometimes = {
        "/clock",
        "/parameter_events",
        "/scan",
        "/cloud",
        "/image/compressed",
        "/vision_banana/get_type_description",
    }
    sometimes |= {"/vision_banana/get_transition_graph", "/rosout"}
    sometimes |= {"/tf", "/tf_static"}  # only where tf2 is installed
    unused = {rule: allowed[rule] - names - sometimes for rule, names in used.items()}
    assert not any(unused.values()), f"the policy allows more than the node has: {unused}"


def _full(name):
    return (
        "/vision_banana/" + name[2:]
        if name.startswith("~/")
        else name
        if name.startswith("/")
        else f"/{name}"
    )


def _graph(client):
    asked = {
        ("topics", "publish"): client.get_publisher_names_and_types_by_node,
        ("topics", "subscribe"): client.get_subscriber_names_and_types_by_node,
        ("services", "reply"): client.get_service_names_and_types_by_node,
    }
    used = {rule: {name for name, _ in ask("vision_banana", "/")} for rule, ask in asked.items()}
    return (
        used if "/points" in used["topics", "publish"] and "/image" in used["topics", "subscribe"] else None
    )


def test_the_policy_is_of_the_form_that_sros2_reads():
    root = ElementTree.parse(SROS2 / "policy.xml").getroot()
    assert (root.tag, root.attrib) == ("policy", {"version": "0.2.0"})
    profile = root.find("./enclaves/enclave[@path='/vision_banana']/profiles/profile[@node='vision_banana']")
    assert profile is not None and profile.get("ns") == "/"
    for rule in profile:
        assert rule.tag in ("topics", "services") and list(rule.attrib.values()) == ["ALLOW"] and len(rule)
        assert all(child.tag == rule.tag[:-1] and "*" not in child.text for child in rule), "no wildcards"


def test_the_policy_follows_remaps_cameras_and_the_namespace():
    text = MAKER["policy"]("/robot", ["front", "rear"], {"front/image": "/zed/left/image"})
    profile = ElementTree.fromstring(text.split("-->\n", 2)[2]).find(".//profile")
    names = [topic.text for topic in profile.iter("topic")]
    assert profile.get("ns") == "/robot" and "front/points" in names and "rear/image" in names
    assert "/zed/left/image" in names and "front/image" not in names and "points" not in names


# Nothing is unpickled, nothing is run


@pytest.mark.parametrize(
    "path",
    [path for path in SOURCES if path != PLAIN_PICKLE],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_nothing_is_unpickled_and_no_text_is_run(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not {alias.name.split(".")[0] for alias in node.names} & UNPICKLERS, f"line {node.lineno}"
        if isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in UNPICKLERS, f"line {node.lineno}"
        if isinstance(node, ast.Call):
            _check_call(node)


def _check_call(call):
    name = ast.unparse(call.func)
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    where = f"line {call.lineno}: {name}"
    for flag in ("allow_pickle", "trust_remote_code", "shell"):
        assert flag not in given or ast.unparse(given[flag]) == "False", f"{where} with {flag}"
    if name == "torch.load":
        assert "weights_only" in given and ast.unparse(given["weights_only"]) == "True", where
    assert name not in (
        "eval",
        "exec",
        "os.system",
        "os.popen",
        "torch.jit.load",
        "yaml.load",
        "np.fromregex",
    ), where


def test_the_search_finds_what_it_looks_for(tmp_path):
    for line in (
        "import pickle",
        "from joblib import load",
        "np.load(f, allow_pickle=True)",
        "torch.load(f)",
        "eval('1')",
    ):
        bad = tmp_path / "bad.py"
        bad.write_text(line)
        with pytest.raises(AssertionError):
            test_nothing_is_unpickled_and_no_text_is_run(bad)


# Bundles


@pytest.fixture
def bundle(tmp_path):
    return Path(shutil.copytree(default_bundle(), tmp_path / "bundle"))


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "sub/../../file", "..", "."])
def test_a_bundle_that_names_a_file_outside_its_folder_is_refused(bundle, name):
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"][name] = "0" * 64
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="outside its folder"):
        open_bundle(bundle)


def test_a_bundle_whose_file_is_a_link_to_the_outside_is_refused(bundle, tmp_path):
    (tmp_path / "metrics.json").write_bytes((bundle / "metrics.json").read_bytes())
    (bundle / "metrics.json").unlink()
    (bundle / "metrics.json").symlink_to(tmp_path / "metrics.json")
    with pytest.raises(InputError, match="outside its folder"):
        open_bundle(bundle)


def test_a_bundle_whose_file_was_changed_is_refused(bundle):
    with open(bundle / "answer.onnx", "r+b") as file:
        file.seek(1000)
        file.write(b"\x00\xff\x00\xff")
    with pytest.raises(InputError, match="SHA-256 differs"):
        open_bundle(bundle)


def test_no_bundle_that_is_shipped_holds_a_pickle_or_code():
    for file in default_bundle().parent.rglob("*"):
        assert file.is_dir() or file.suffix in {
            ".onnx",
            ".json",
            ".md",
            ".safetensors",
            ".txt",
            ".jpg",
            ".png",
        }, file


# What is accepted is bounded


def png(width, height):
    """A black grey picture, a few kilobytes however large it is."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer, row = zlib.compressobj(9), bytes(width + 1)
    pixels = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_a_raw_image_has_a_largest_size():
    message = picture(1, 1)
    message.height, message.width = 8001, MAX_PIXELS // 8000
    with pytest.raises(InputError, match="more than the"):
        read_image(message)


def test_a_compressed_image_has_the_same_largest_size():
    message = CompressedImage(format="png", data=png(8100, 8100))
    assert len(message.data) < 100_000
    with pytest.raises(InputError, match="more than the"):
        read_image(message)


@pytest.mark.parametrize("text", ["box\x1b[2J", "box\x07", "box\x9b31m", "\x00", "b\udcff"])
def test_a_prompt_holds_nothing_that_a_terminal_obeys(text):
    with pytest.raises(InputError, match="control characters") as refused:
        clean_text(text, "The expression")
    assert str(refused.value).isprintable()
    assert clean_text("  the\tred \n box\u200d ", "The expression") == "the red box\u200d"


def test_texts_lists_and_queues_have_largest_sizes():
    with pytest.raises(InputError, match="at most"):
        clean_text("x" * (MAX_CHARACTERS + 1), "The expression")
    with pytest.raises(InputError, match="at most"):
        clean_text("x" * (handlers.MAX_INSTRUCTION + 1), "The instruction", handlers.MAX_INSTRUCTION)
    with pytest.raises(InputError, match="too many"):
        read_expressions([f"thing {i}" for i in range(MAX_EXPRESSIONS + 1)])
    assert 0 < MAX_JOBS <= 100
