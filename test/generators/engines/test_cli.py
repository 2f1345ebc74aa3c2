# SPDX-License-Identifier: Apache-2.0
"""`vision-banana engine`."""

import sys

import pytest
from stand_in_editor import make_bundle

from vision_banana_ros.cli.main import main
from vision_banana_ros.generators.engines.cache import EngineCache
from vision_banana_ros.generators.engines.recipe import graphs


@pytest.fixture
def engine(machine, monkeypatch, capsys):
    """Runs the verb; returns its status, lines and complaint."""
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)  # not installed on this machine

    def run(*arguments):
        status = main(["engine", *arguments])
        said = capsys.readouterr()
        return status, said.out.splitlines(), said.err

    return run


def test_build_shows_progress_and_ends_ready(engine, bundle, monkeypatch):
    monkeypatch.setenv("STAND_IN_STEP_S", "0.01")
    status, lines, _ = engine("build", str(bundle.path))
    assert status == 0
    assert lines[-1] == "small on tensorrt: ready"
    assert any("building" in line and "%" in line for line in lines[:-1])


def test_a_build_that_fails_says_why(engine, bundle, monkeypatch):
    monkeypatch.setenv("STAND_IN_FAILS", "memory")
    status, lines, _ = engine("build", str(bundle.path), "--executor", "tensorrt")
    assert status == 1
    assert "refused (the last build failed: There was too little memory" in lines[-1]


def test_list_and_verify_and_prune(engine, bundle, machine, engine_files):
    status, lines, _ = engine("list")
    assert status == 0 and "missing" in lines[0] and lines[1].endswith("0 engines, 0 MiB")
    cache = machine.build()
    machine.install("10.9.0.34")
    machine.build("tf32")
    count = len(graphs(bundle))

    status, lines, _ = engine("list")
    assert status == 0 and "missing" in lines[0] and "version" in lines[0]
    assert f"{2 * count} engines" in lines[1] and len(lines) == 2 + 2 * count
    assert "small image.onnx tf32, tensorrt 10.9.0.34; GPU Stand-in GPU (8.7), driver" in "\n".join(lines)

    status, lines, _ = engine("verify", "--precision", "tf32")
    assert status == 0 and len(lines) == count and all(line.endswith(": good") for line in lines)
    file = engine_files(cache, machine.recipes("tf32")[0]).engine
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    status, lines, _ = engine("verify", str(bundle.path), "--precision", "tf32")
    assert status == 1 and "altered" in lines[0]

    status, lines, _ = engine("prune")
    # engine, sidecar and lock of the other version
    assert status == 0 and lines[0].startswith(f"{3 * count} files deleted")
    assert {entry.fields["version"] for entry in EngineCache().entries()} == {"10.9.0.34"}


def test_prune_deletes_nothing_when_it_cannot_tell_what_is_used(engine, machine, monkeypatch):
    machine.build()
    before = len(EngineCache().entries())
    monkeypatch.setenv("STAND_IN_NO_GPU", "1")
    machine.set_gpu()
    status, _, complaint = engine("prune")
    assert status == 2 and "Nothing was deleted" in complaint
    assert len(EngineCache().entries()) == before


def test_without_a_library_it_names_the_packages(engine, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    from vision_banana_ros.generators.engines.library import open_library

    open_library.cache_clear()
    status, _, complaint = engine("build")
    assert (
        status == 2 and "pip install tensorrt" in complaint and "pip install tensorrt_rtx_cu13" in complaint
    )


@pytest.mark.parametrize("action", ["build", "list", "verify", "prune"])
def test_an_imported_editor_has_no_engines_and_that_is_said(engine, machine, tmp_path, action):
    """Its graphs are others than those that engines are built of."""
    machine.build()
    before = len(EngineCache().entries())
    editor = make_bundle(tmp_path / "klein", "vision_banana")
    status, lines, complaint = engine(action, str(editor.path))
    assert (status, complaint) == (0, "") and len(EngineCache().entries()) == before
    assert lines == ["klein is an imported editor, which torch runs: it has no engines."]
