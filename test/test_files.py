# SPDX-License-Identifier: Apache-2.0
"""Files of unknown makers are read with bounds, and results are written whole or not at all."""

import json
import os
import stat

import pytest

from vision_banana_ros.errors import InputError
from vision_banana_ros.files import read_bounded, read_json, read_yaml, write_bytes, write_whole


def test_pipes_devices_and_folders_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero", "/dev/null", tmp_path):
        with pytest.raises(InputError, match="no ordinary file"):
            read_bounded(path, 100)


def test_a_sparse_file_is_refused_by_its_size(tmp_path):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(10_000_000_000)
    with pytest.raises(InputError, match="too large"):
        read_bounded(tmp_path / "sparse", 1000)


def written(path, content):
    """The path of a file of text or bytes."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 50_000,
        '["\\ud800"]',
        "[NaN]",
        "[Infinity]",
        "[-Infinity]",
        "\x00",
        "{",
        b"\xff\xfe",
        "",
    ],
)
def test_json_that_is_none_is_a_sentence(tmp_path, text):
    with pytest.raises(InputError, match="cannot be read as JSON"):
        read_json(written(tmp_path / "a.json", text))


def test_what_is_json_is_read(tmp_path):
    value = {"a": [1, 2.5, "ä", None, True]}
    (tmp_path / "a.json").write_text(json.dumps(value))
    assert read_json(tmp_path / "a.json") == value


NESTED = "".join(f"b{k}: &b{k} [{', '.join([f'*b{k - 1}'] * 10)}]\n" for k in range(1, 10))
MERGED = "".join(f"b{k}: &b{k} {{<<: [{', '.join([f'*b{k - 1}'] * 10)}]}}\n" for k in range(1, 10))


@pytest.mark.parametrize(
    "text",
    [
        "b0: &b0 [x, x]\n" + NESTED,  # 10^9 entries where it is written out
        "b0: &b0 {a: x}\n" + MERGED,
        "a: &a [*a]",
        "a: &a {<<: *a}",
        "[" * 5000,
        "a: 2001-99-99",
        "!!python/object/apply:os.system [id]",
        "a: [",
        "a: \0",
        b"\xff\xff",
        "x" * 100_001,
    ],
)
def test_yaml_that_is_none_is_a_sentence(tmp_path, text):
    with pytest.raises(InputError, match="cannot be read as YAML|too large"):
        read_yaml(written(tmp_path / "a.yaml", text))


def test_the_first_document_of_yaml_is_read_and_may_refer_to_itself(tmp_path):
    (tmp_path / "a.yaml").write_text("a: &a [1, 2.5]\nb: *a\nc: {<<: {d: ä}}\n---\nother: 1\n")
    assert read_yaml(tmp_path / "a.yaml") == {"a": [1, 2.5], "b": [1, 2.5], "c": {"d": "ä"}}
    (tmp_path / "a.yaml").write_text("")
    assert read_yaml(tmp_path / "a.yaml") is None


def test_a_result_is_whole_and_has_the_rights_of_other_files(tmp_path):
    write_bytes(tmp_path / "a", b"1")
    (tmp_path / "b").write_bytes(b"2")
    assert (tmp_path / "a").read_bytes() == b"1"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == stat.S_IMODE((tmp_path / "b").stat().st_mode)


def test_on_a_full_disk_nothing_is_left_and_what_was_there_stays(tmp_path):
    write_bytes(tmp_path / "a.npy", b"before")

    def fill(file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left") as told:
        write_whole(tmp_path / "a.npy", fill)
    assert told.value.filename == str(tmp_path / "a.npy")
    assert (tmp_path / "a.npy").read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]
