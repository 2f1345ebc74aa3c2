# SPDX-License-Identifier: Apache-2.0
"""Segments of processes that were killed go; those of living ones, and of other users, stay."""

import fcntl
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from vision_banana_ros.node.topics import fastdds, shared_memory
from vision_banana_ros.node.topics.shared_memory import FOLDER, LOCKS, remove_dead_segments

PARTICIPANT = (
    "from vision_banana_ros.node.topics.fastdds import carry_large_images; carry_large_images(); import"
    " rclpy, time\n"
    "rclpy.init(args=[]); node = rclpy.create_node('one'); print('up', flush=True); time.sleep(120)"
)


def _segment(folder, name, age_s=60.0):
    (folder / name).write_bytes(bytes(100))
    lock = folder / f"{name}_el"
    lock.touch()
    os.utime(lock, (time.time() - age_s,) * 2)
    return lock


@pytest.mark.parametrize("kind", ["fastdds", "fastrtps"])
def test_only_what_is_dead_and_old_is_removed(tmp_path, kind):
    """Of Fast DDS 3, and of Fast DDS 2 (Humble and Jazzy)."""
    dead, living = _segment(tmp_path, f"{kind}_dead"), _segment(tmp_path, f"{kind}_living")
    _segment(tmp_path, f"{kind}_young", age_s=0.0)
    (tmp_path / "other_el").touch()
    (tmp_path / f"{kind}_link_el").symlink_to(tmp_path / "other_el")
    with living.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert remove_dead_segments(tmp_path) == 1
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {
        f"{kind}_living",
        f"{kind}_living_el",
        f"{kind}_young",
        f"{kind}_young_el",
        "other_el",
        f"{kind}_link_el",
    }
    assert not dead.exists() and remove_dead_segments(tmp_path / "nowhere") == 0


def test_the_segment_of_a_killed_participant_goes_and_that_of_a_living_one_stays(monkeypatch):
    import vision_banana_ros.node.topics.shared_memory as module

    if not FOLDER.is_dir():
        return
    monkeypatch.setattr(module, "YOUNG_S", 0.0)
    mine = {}
    for which in ("killed", "living"):
        before = {path.name for pattern in LOCKS for path in FOLDER.glob(pattern)}
        child = subprocess.Popen(
            [sys.executable, "-c", PARTICIPANT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert child.stdout is not None and child.stdout.readline() == b"up\n"
        held = {f"{os.readlink(f'/proc/{child.pid}/fd/{fd}')}" for fd in os.listdir(f"/proc/{child.pid}/fd")}
        locks = [path for pattern in LOCKS for path in FOLDER.glob(pattern)]
        new = [path for path in locks if path.name not in before and str(path) in held]
        assert new, "no segment was made"
        mine[which] = child, new
    try:
        mine["killed"][0].kill()
        mine["killed"][0].wait()
        assert remove_dead_segments() >= 1
        assert not any(path.exists() for path in mine["killed"][1])
        assert all(path.exists() for path in mine["living"][1])
    finally:
        for child, _ in mine.values():
            child.kill()
            child.wait()


@pytest.mark.parametrize("free_mib", [0, 29, 64])
def test_a_segment_that_does_not_fit_is_told_where_it_would_be_used(monkeypatch, free_mib):
    """Docker's default of 64 MB holds one."""
    monkeypatch.setattr(
        shared_memory.shutil, "disk_usage", lambda folder: SimpleNamespace(free=free_mib * 2**20)
    )
    for name in (*fastdds.VARIABLES, "RMW_IMPLEMENTATION"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    said = fastdds.carry_large_images()
    assert bool(said) == (free_mib < 34) and (not said or f"{free_mib} MiB left" in said)
    assert fastdds.carry_large_images() == said, "in a process that inherited the profile"
    monkeypatch.setenv("RMW_IMPLEMENTATION", "rmw_cyclonedds_cpp")
    assert not fastdds.carry_large_images()
    monkeypatch.delenv("RMW_IMPLEMENTATION")
    monkeypatch.setenv(fastdds.VARIABLES[0], "/mine.xml")
    monkeypatch.setenv(fastdds.VARIABLES[1], "/mine.xml")
    assert not fastdds.carry_large_images()


def test_a_folder_that_is_not_there_says_nothing(tmp_path):
    assert shared_memory.no_room(tmp_path / "nowhere") == ""
