# SPDX-License-Identifier: Apache-2.0
"""What the pages tell people to type exists: verbs and options, launch arguments, parameters, topics,
services, files."""

import ast
import re
import shlex
from pathlib import Path

import pytest
import yaml

from vision_banana_ros.cli.main import VERBS, parser

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "models/small/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs").glob("[ehr]*/*.md")),
]
BLOCK = re.compile(r"^( *)```\w*\n(.*?)^\1```", re.M | re.S)
SPAN = re.compile(r"`([^`]+)`")
LABELS = "segmentation/labels"  # latched, and beside the topics of frames
FOLDERS = (
    r"(?:config|benchmark|requirements|launch|rviz|foxglove|test|docs|models|scripts|vision_banana_ros|\.ci)"
)


def lines(page):
    """The commands of a page's blocks, each on one line and without its comment."""
    for _, block in BLOCK.findall(page.read_text()):
        for line in block.replace("\\\n", " ").splitlines():
            yield re.sub(r"(^|\s)#\s.*", "", line).strip()


def spans(page):
    """What a page's text sets as code."""
    for span in SPAN.findall(BLOCK.sub("", page.read_text())):
        yield " ".join(span.split())


def everything():
    """(page, command) of all pages; an inline one may leave out what is required."""
    return [(page.name, command) for page in PAGES for command in (*lines(page), *spans(page))]


def words(command):
    """A command as its program receives it, optional parts included and the first of alternatives taken."""
    command = re.split(r"\s(?:\||&|&&|>)(?:\s|$)", command)[0]
    plain = re.sub(r"(^|\s)\[(-[^\]]*|[A-Z][^\]]*)\]", r"\1\2", command).replace("…", "").replace("'", "'")
    try:
        found = shlex.split(plain)
    except ValueError:  # the end of a quotation that contains the command
        found = plain.rstrip("'\"").split()
    return [word.partition("|")[0] if re.fullmatch(r"[\w:|.-]+", word) else word for word in found]


def called(command):
    """What is given to vision-banana in a command, or None where it is not called."""
    found = re.search(r"(?:^|[\s'/])vision-banana\s+(?=[a-z])(.*)", command)
    return words(found.group(1)) if found else None


def options():
    """Those of every verb and of what is below it: from the reference, which another test compares with the
    parsers."""
    pages = re.split(
        r"^## vision-banana (\w+)$", (ROOT / "docs/reference/command_line.md").read_text(), flags=re.M
    )
    return {
        verb: set(re.findall(r"--[\w-]+", text)) for verb, text in zip(pages[1::2], pages[2::2], strict=True)
    }


def test_verbs_and_options_of_the_command_exist():
    known = options()
    assert set(known) == set(VERBS)
    for page, command in everything():
        if (given := called(command)) and given[0] != "VERB":
            assert given[0] in VERBS, f"{page}: `{command}` names no verb"
            own = given[: given.index("--ros-args")] if "--ros-args" in given else given
            unknown = [
                word
                for word in own
                if word.startswith("--") and word.partition("=")[0] not in {*known[given[0]], "--help"}
            ]
            assert not unknown, f"{page}: `{command}` has no option {unknown}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_in_blocks_are_complete(page, capsys):
    for command in lines(page):
        if given := called(command):
            try:
                parser(given[0]).parse_args(given)
            except SystemExit:
                pytest.fail(f"{page.name}: `{command}` is refused: {capsys.readouterr().err}")


def launch_arguments():
    tree = ast.parse((ROOT / "launch" / "vision_banana.launch.py").read_text())
    (value,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ARGUMENTS"
    )
    return {key.value for key in value.keys}


def test_launch_arguments_exist():
    declared = launch_arguments()
    assert {"image", "venv"} <= declared
    for page, command in everything():
        if "vision_banana.launch.py" in command or re.match(r"[a-z_]+:=", command):
            named = set(re.findall(r"(?:^|\s)(\w+):=", command.partition("--ros-args")[0]))
            assert named <= declared, f"{page}: `{command}` names {named - declared}"


def test_parameters_that_are_set_or_shown_exist():
    parameters = pytest.importorskip("vision_banana_ros.node.parameters").PARAMETERS
    for page, command in everything():
        named = re.findall(r"(?:^|\s)-p (\w[\w.]*):=", command)
        named += re.findall(r"ros2 param (?:set|get|describe) /vision_banana (\w[\w.]*)", command)
        named += re.findall(r"^((?:obstacles|rates|reasoning)[._]\w+)", command)
        unknown = [name for name in named if name not in (*parameters, "NAME", "rates.GROUP", "use_sim_time")]
        assert not unknown, f"{page}: `{command}` names {unknown}"


def test_topics_and_services_of_commands_exist():
    types = pytest.importorskip("vision_banana_ros.node.topics.messages").TYPES
    known = {*types, LABELS, "diagnostics"}
    for page, command in everything():
        for topic in re.findall(r"ros2 topic (?:echo|hz|delay|bw|info) (?:-\S+ )*/(\S+)", command):
            assert topic in known or topic.startswith("camera/"), f"{page}: `{command}`"
        for service, type_, request in re.findall(
            r"ros2 service call /vision_banana/(\w+)\s+(\S+)\s+\"(.*?)\"", command
        ):
            assert type_.rpartition("/")[2].lower() == service.replace("_", ""), f"{page}: `{command}`"
            fields = (ROOT / f"{type_}.srv").read_text().partition("---")[0]
            unknown = [name for name in yaml.safe_load(request) if f" {name} " not in fields]
            assert not unknown, f"{page}: `{command}` has no field {unknown}"


def test_files_that_are_named_exist():
    for page, command in everything():
        for name in re.findall(rf"(?:^|\s)({FOLDERS}/[\w./*-]+)", command):
            written = name.startswith("docs/build") or (ROOT / name).with_suffix(".py").exists()
            if written or "NAME" in name:
                continue
            seen_from_src = name.removeprefix("vision_banana_ros/").rstrip("/.")
            found = [*ROOT.glob(name.rstrip("/.")), *ROOT.glob(seen_from_src)]
            assert found, f"{page}: `{command}` names {name}"
