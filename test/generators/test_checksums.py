# SPDX-License-Identifier: Apache-2.0
"""Checksums of large files are kept while nothing and nobody else could have changed the files."""

import hashlib
import os

import pytest

from vision_banana_ros.generators import checksums
from vision_banana_ros.generators.checksums import sha256_of

CONTENT = b"weights" * 1000


@pytest.fixture
def reads(monkeypatch, tmp_path):
    """The files that were read, each time; every file is large, and none too new."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(checksums, "LARGE", 100)
    monkeypatch.setattr(checksums, "SETTLED_S", -1.0)
    digest, found = checksums.digest_of, []
    monkeypatch.setattr(checksums, "digest_of", lambda file: found.append(file.name) or digest(file))
    return found


@pytest.fixture
def file(tmp_path):
    folder = tmp_path / "bundle"
    folder.mkdir(mode=0o755)
    (folder / "weights").write_bytes(CONTENT)
    return folder / "weights"


def test_a_file_that_did_not_change_is_read_once(reads, file, tmp_path):
    assert {sha256_of(file) for _ in range(3)} == {hashlib.sha256(CONTENT).hexdigest()}
    assert len(reads) == 1
    file.rename(file.with_name("renamed"))  # which its time of change tells
    assert sha256_of(file.with_name("renamed")) == hashlib.sha256(CONTENT).hexdigest() and len(reads) == 2


def test_other_content_of_the_same_size_and_time_is_seen(reads, file):
    sha256_of(file)
    before = file.stat()
    other = CONTENT[::-1]
    file.write_bytes(other)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns, file.stat().st_ino) == (
        before.st_size,
        before.st_mtime_ns,
        before.st_ino,
    )
    assert sha256_of(file) == hashlib.sha256(other).hexdigest()
    (note,) = (file.parents[1] / "cache" / "vision_banana" / "checksums").iterdir()
    note.write_bytes(b"\xff not a note")
    assert sha256_of(file) == hashlib.sha256(other).hexdigest()


@pytest.mark.parametrize("what", ["file", "folder", "cache"])
def test_what_others_may_write_is_read_each_time(reads, file, tmp_path, what):
    sha256_of(file)
    del reads[:]
    {"file": file, "folder": file.parent, "cache": tmp_path / "cache" / "vision_banana" / "checksums"}[
        what
    ].chmod(0o777)
    assert {sha256_of(file) for _ in range(2)} == {hashlib.sha256(CONTENT).hexdigest()}
    assert len(reads) == 2


def test_small_files_and_those_that_were_changed_just_now_are_read_each_time(reads, file, monkeypatch):
    monkeypatch.setattr(checksums, "SETTLED_S", 1e6)
    sha256_of(file), sha256_of(file)
    monkeypatch.setattr(checksums, "SETTLED_S", -1.0)
    monkeypatch.setattr(checksums, "LARGE", len(CONTENT) + 1)
    sha256_of(file), sha256_of(file)
    assert len(reads) == 4


def test_a_note_that_is_a_pipe_or_without_end_is_not_read(reads, file, tmp_path):
    sha256_of(file)
    (note,) = (tmp_path / "cache" / "vision_banana" / "checksums").iterdir()
    for make in (os.mkfifo, lambda path: path.symlink_to("/dev/zero")):
        note.unlink()
        make(note)
        assert sha256_of(file) == hashlib.sha256(CONTENT).hexdigest()
