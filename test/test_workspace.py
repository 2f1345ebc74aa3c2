# SPDX-License-Identifier: Apache-2.0
"""A workspace as robots have it: the repository cloned into src, its interfaces linked beside, colcon
build, sourced, run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"vision_banana_ros", "vision_banana_interfaces", "vision_msgs"}

pytest.importorskip("rclpy", reason="needs ROS 2")
if shutil.which("colcon") is None:
    pytest.skip("needs colcon", allow_module_level=True)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """ws/ with src/ as the README says, in a folder with a space; vision_msgs stands in for ROS's own."""
    folder = tmp_path_factory.mktemp("my robot") / "ws"
    (folder / "src").mkdir(parents=True)
    sources = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in filter(None, sources.split("\0")):
        if (ROOT / name).is_file():
            target = folder / "src" / "vision_banana_ros" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(ROOT / name, target) if os.stat(ROOT).st_dev == os.stat(folder).st_dev else shutil.copy2(
                ROOT / name, target
            )
    (folder / "src" / "vision_banana_interfaces").symlink_to("vision_banana_ros/vision_banana_interfaces")
    (folder / "src" / "vision_msgs").symlink_to("vision_banana_ros/test/vision_msgs")
    return folder


def environment():
    """ROS's own prefix is sourced, and nothing that this checkout's make has built."""
    sourced = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    prefixes = os.pathsep.join(p for p in sourced if p and not Path(p).is_relative_to(ROOT / "install"))
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "COLCON_PREFIX_PATH")}
    return {**kept, "AMENT_PREFIX_PATH": prefixes, "CMAKE_PREFIX_PATH": prefixes}


def run(workspace, *command):
    return subprocess.run(
        command, cwd=workspace, env=environment(), capture_output=True, text=True, timeout=3000
    )


def test_colcon_finds_the_interfaces_by_the_link_alone(workspace):
    listed = run(workspace, "colcon", "list", "--names-only")
    assert set(listed.stdout.split()) == PACKAGES, listed.stderr
    alone = run(workspace, "colcon", "list", "--names-only", "--base-paths", "src/vision_banana_ros")
    assert alone.stdout.split() == ["vision_banana_ros"], (
        "without it they are not found: then the README need not speak of it"
    )


def test_what_colcon_builds_runs(workspace):
    built = run(
        workspace, "colcon", "--log-level", "error", "build", "--event-handlers", "desktop_notification-"
    )
    assert built.returncode == 0, built.stdout + built.stderr
    places = (
        "import vision_banana_ros, vision_banana_interfaces.srv as i;"
        " print(vision_banana_ros.__file__, i.__file__, sep='\\n')"
    )
    programs = "install/vision_banana_ros/lib/vision_banana_ros"
    script = f""". install/local_setup.sh && "$0" -c "$1" && {programs}/vision-banana --version &&
        exec {programs}/vision_banana_node --ros-args -p max_age:=-3.0"""
    ran = run(workspace, "sh", "-c", script, sys.executable, places)
    assert ran.stdout.count(str(workspace / "install")) == 2 and "vision-banana 0." in ran.stdout, ran.stderr
    # The node starts, and refuses that value.
    assert ran.returncode == 1 and "max_age" in ran.stderr and "Traceback" not in ran.stderr, ran.stderr


def test_building_again_does_not_add_to_the_scripts(workspace):
    again = run(workspace, "colcon", "build", "--packages-select", "vision_banana_ros")
    assert again.returncode == 0, again.stdout + again.stderr
    for script in (workspace / "install/vision_banana_ros/lib/vision_banana_ros").iterdir():
        assert script.read_text().count("'''exec'") == 1


def test_what_colcon_links_asks_for_no_package_by_the_name_that_pip_has_for_it(workspace):
    bases = (
        "--build-base",
        "linked_build",
        "--install-base",
        "linked",
        "--base-paths",
        "src/vision_banana_ros",
    )
    linked = run(workspace, "colcon", "build", "--symlink-install", *bases)
    assert linked.returncode == 0, linked.stdout + linked.stderr
    (info,) = (workspace / "linked_build" / "vision_banana_ros").glob("*.egg-info")
    required = info / "requires.txt"
    named = required.read_text().partition("[")[0] if required.exists() else ""
    assert not named.strip()
    program = "linked/vision_banana_ros/lib/vision_banana_ros/vision-banana"
    said = run(workspace, "sh", "-c", f". linked/local_setup.sh && exec {program} --version")
    assert "vision-banana 0." in said.stdout, said.stderr


def test_unsourced_the_executables_say_so_in_one_sentence(workspace):
    """By Python without this checkout's packages: -I leaves out PYTHONPATH, -S the environment's own."""
    folder = workspace / "install" / "vision_banana_ros" / "lib" / "vision_banana_ros"
    for name in ("vision_banana_node", "vision-banana"):
        said = run(workspace, sys.executable, "-I", "-S", str(folder / name))
        assert (
            said.returncode == 1
            and said.stderr.count("\n") == 1
            and "source install/setup.bash" in said.stderr
        ), said.stderr
