# SPDX-License-Identifier: Apache-2.0
"""`make` in folders and on machines that are not as it would like them."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from patience import PATIENCE_S

ROOT = Path(__file__).resolve().parent.parent
NOBODY = "65534"


def make(folder, *arguments, **environment):
    """Runs make as a shell would start it, without what the test's own make left in the environment."""
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"
    }
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


@pytest.fixture
def checkout(tmp_path):
    """What `make` looks at before it builds, in a folder whose name has a space."""
    folder = tmp_path / "pip clone"
    shutil.copytree(ROOT / "requirements", folder / "requirements")
    shutil.copy(ROOT / "Makefile", folder)
    return folder


def test_clean_removes_what_make_made_and_nothing_beside_it(checkout):
    made = [checkout / name for name in (".venv", "build", "install", "log", "demo_out")]
    beside = [checkout.parent / "pip", checkout.parent / ".venv"]
    for folder in (*made, *beside):
        (folder / "inside").mkdir(parents=True)
    result = make(checkout, "clean")
    assert result.returncode == 0, result.stderr
    assert not any(folder.exists() for folder in made) and all(
        (folder / "inside").exists() for folder in beside
    )


def tools(folder, *missing):
    """A PATH with what make needs here, but for what is missing."""
    folder.mkdir()
    needed = ("sh", "make", "find", "test", "touch", "echo", "rm", "ls", "ln", "cat", "git", "cc", "c++")
    for name in needed:
        if name not in missing:
            (folder / name).symlink_to(shutil.which(name))
    return str(folder)


@pytest.mark.parametrize(
    ("arguments", "missing", "words"),
    [
        ([], ("cc", "c++"), "install the packages gcc"),
        (["PYTHON=python9"], (), "there is no python9"),
    ],
)
def test_what_a_machine_lacks_is_one_sentence_before_anything_is_made(
    checkout, tmp_path, arguments, missing, words
):
    result = make(
        checkout, f"PYTHON={sys.executable}", *arguments, ".venv/.run", PATH=tools(tmp_path / "bin", *missing)
    )
    assert result.returncode != 0 and not (checkout / ".venv").exists()
    said = [line for line in result.stderr.splitlines() if "***" not in line]
    assert len(said) == 1 and words in said[0], result.stderr


@pytest.mark.parametrize("name", ["a:b", "größe"])
def test_a_path_that_ros_cannot_build_under_is_refused_and_can_be_cleaned(checkout, name):
    """rosidl's CMake reads file names as ASCII, and colons separate the folders of AMENT_PREFIX_PATH."""
    folder = checkout.rename(checkout.with_name(name))
    result = make(folder, f"PYTHON={sys.executable}", ".venv/.run")
    assert (
        result.returncode != 0
        and "cannot be built under this path" in result.stderr
        and not (folder / ".venv").exists()
    )
    (folder / "build" / "inside").mkdir(parents=True)
    assert make(folder, "clean").returncode == 0 and not (folder / "build").exists()


def test_a_read_only_folder_is_named_as_such():
    with tempfile.TemporaryDirectory() as place:  # pytest's own folders are closed to other users
        folder = Path(place) / "checkout"
        shutil.copytree(ROOT / "requirements", folder / "requirements")
        shutil.copy(ROOT / "Makefile", folder)
        os.chmod(place, 0o755)
        os.chmod(folder, 0o555)
        as_nobody = ["setpriv", "--reuid", NOBODY, "--clear-groups"] if os.geteuid() == 0 else []
        command = [*as_nobody, "make", "PYTHON=/usr/bin/python3", ".venv/.run"]
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S)
        os.chmod(folder, 0o755)
    assert result.returncode != 0 and "this folder is read-only" in result.stderr, result.stderr


def test_without_git_the_sources_are_found(checkout, tmp_path):
    for folder in ("vision_banana_interfaces", "test/vision_msgs", "launch"):
        shutil.copytree(ROOT / folder, checkout / folder)
    environment = {"PATH": tools(tmp_path / "bin", "git")}
    (checkout / "print.mk").write_text("include Makefile\nsources:\n\t@echo $(SOURCES)\n")
    printed = make(checkout, "-f", "print.mk", "sources", **environment)
    assert "vision_banana_interfaces/srv/Segment.srv" in printed.stdout.split(), printed.stderr


def test_a_ros_without_wheels_is_refused_with_those_that_have_some(checkout):
    result = make(checkout, "ROS=humble", ".venv/.run")
    assert result.returncode != 0 and "make ROS=kilted, or ROS=jazzy" in result.stderr, result.stderr
    assert not (checkout / ".venv").exists()
