# SPDX-License-Identifier: Apache-2.0
"""No engine is handed out that was not built for this machine, whole and unaltered."""

import errno
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from patience import PATIENCE_S

from vision_banana_ros.generators.engines import EngineMissing, EngineRefused, engine_state, engine_wanted
from vision_banana_ros.generators.engines.cache import EngineCache
from vision_banana_ros.generators.engines.recipe import Recipe

RECIPE = Recipe(
    bundle="small",
    graph="answer.onnx",
    graph_sha256="ab" * 32,
    library="tensorrt",
    version="11.4.1.5",
    gpu="NVIDIA A",
    capability="8.7",
    driver="580.1, CUDA 13.0",
    precision="fp32",
    sizes={"questions": [1, 3, 8]},
    options={"TF32": False},
)
OTHER = {
    "graph_sha256": "cd" * 32,
    "version": "11.4.1.6",
    "gpu": "NVIDIA B",
    "capability": "9.0",
    "driver": "580.2, CUDA 13.0",
    "precision": "tf32",
    "sizes": {"questions": [1, 1, 1]},
    "options": {"TF32": True},
}


@pytest.fixture
def cache():
    made = EngineCache()
    made.store(RECIPE, b"an engine", 2.5)
    return made


def test_what_is_stored_is_loaded_and_only_the_user_can_reach_it(cache, engine_files):
    assert cache.load(RECIPE) == b"an engine"
    files = engine_files(cache, RECIPE)
    assert cache.folder.stat().st_mode & 0o777 == 0o700
    assert files.engine.stat().st_mode & 0o777 == files.sidecar.stat().st_mode & 0o777 == 0o600
    assert [entry.fields["gpu"] for entry in cache.entries()] == ["NVIDIA A"]
    assert not list(cache.folder.glob("*.part"))


@pytest.mark.parametrize("field", OTHER)
def test_every_field_is_part_of_the_key_and_a_mismatch_is_named(cache, field, engine_files):
    other = replace(RECIPE, **{field: OTHER[field]})
    assert other.key != RECIPE.key
    # As it is found after an update of the machine: nothing under the new name, and a word about the old one.
    with pytest.raises(
        EngineMissing,
        match="graph_sha256|for this machine yet: build it" if field == "graph_sha256" else field,
    ):
        cache.load(other)
    # As somebody copies it there by hand.
    for old, new in zip(
        vars(engine_files(cache, RECIPE)).values(), vars(engine_files(cache, other)).values(), strict=True
    ):
        new.write_bytes(old.read_bytes())
    with pytest.raises(EngineRefused, match=f"{field} was .* is "):
        cache.load(other)


def test_the_name_of_the_bundle_changes_nothing(cache):
    assert cache.load(replace(RECIPE, bundle="copy")) == b"an engine"


def test_a_truncated_and_an_altered_engine_are_refused(cache, engine_files):
    file = engine_files(cache, RECIPE).engine
    file.write_bytes(b"an engin")
    for look in (cache.find, cache.load):
        with pytest.raises(EngineRefused, match="cut off .8 of 9 bytes.*build it again"):
            look(RECIPE)
    file.write_bytes(b"an Engine")
    with pytest.raises(EngineRefused, match="altered"):
        cache.load(RECIPE)
    cache.store(RECIPE, b"a new one", 1)
    assert cache.load(RECIPE) == b"a new one"


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[]", "not json", "[" * 100_000, '{"fields": 3, "sha256": "", "size": 1, "build_s": 1}'],
)
def test_an_engine_with_a_broken_sidecar_is_none(cache, content, engine_files):
    engine_files(cache, RECIPE).sidecar.write_text(content)
    with pytest.raises(EngineMissing):
        cache.load(RECIPE)
    assert cache.entries() == []


def test_a_sidecar_that_is_a_pipe_or_without_end_is_none(cache):
    before = cache.entries()
    os.mkfifo(cache.folder / f"{'a' * 64}.json")
    (cache.folder / f"{'b' * 64}.json").symlink_to("/dev/zero")
    assert cache.entries() == before


def test_a_sidecar_alone_is_no_engine(cache, engine_files):
    engine_files(cache, RECIPE).engine.unlink()
    with pytest.raises(EngineMissing):
        cache.load(RECIPE)


@pytest.mark.parametrize("mode", [0o755, 0o777, 0o720])
def test_a_folder_that_is_open_to_others_is_refused(cache, mode):
    cache.folder.chmod(mode)
    with pytest.raises(EngineRefused, match=f"mode {mode:03o}.*XDG_CACHE_HOME"):
        EngineCache()


def test_a_folder_of_another_user_is_refused(cache, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(EngineRefused, match="belongs to another user"):
        EngineCache()


def test_a_place_that_cannot_be_written_is_refused_in_a_sentence(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    for home in ("/proc/1", str(tmp_path / "file")):
        monkeypatch.setenv("XDG_CACHE_HOME", home)
        with pytest.raises(EngineRefused, match="cannot be used .* Make it writable, or set XDG_CACHE_HOME"):
            EngineCache()


def test_a_read_only_disk_is_refused_and_leaves_the_old_engine(cache, monkeypatch):
    def read_only(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patched:
        patched.setattr("builtins.open", read_only)
        with pytest.raises(EngineRefused, match="Read-only file system.*Make it writable"):
            cache.store(replace(RECIPE, gpu="NVIDIA B"), b"another", 1)
    assert cache.load(RECIPE) == b"an engine"
    assert len(cache.entries()) == 1


def test_a_full_disk_is_refused_and_leaves_nothing_half_written(cache):
    other = replace(RECIPE, gpu="NVIDIA B")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))  # a real error of the real write
    try:
        with pytest.raises(EngineRefused, match="engine prune"):
            cache.store(other, bytes(10_000), 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    with pytest.raises(EngineMissing):
        cache.load(other)
    assert not list(cache.folder.glob("*.part"))


def test_prune_keeps_what_is_used_and_what_is_being_built(cache, engine_files):
    old, building = replace(RECIPE, driver="1"), replace(RECIPE, driver="2")
    cache.store(old, b"old", 1)
    (cache.folder / f"{RECIPE.key}.engine.77.part").write_bytes(b"left over")
    with cache.building(building) as note:
        note.progress(0.5)
        files, size = cache.keep({RECIPE.key})
        assert cache.note(building.key).running
    assert (files, size > 0) == (3, True)
    assert [entry.key for entry in cache.entries()] == [RECIPE.key]
    assert not engine_files(cache, old).engine.exists()


def test_a_lock_ends_with_the_process_that_held_it(cache):
    script = f"""
import os, time
from test_cache import RECIPE
from vision_banana_ros.generators.engines.cache import EngineCache
with EngineCache().building(RECIPE) as note:
    note.progress(0.4)
    print("locked", flush=True)
    time.sleep({30})
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])}
    holder = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert holder.stdout is not None and holder.stdout.readline() == "locked\n"
    note = cache.note(RECIPE.key)
    assert note.running and note.fraction == 0.4 and time.time() - note.started < PATIENCE_S
    holder.kill()
    holder.wait()
    after = cache.note(RECIPE.key)
    assert not after.running and after.fraction == 0.4
    with cache.building(RECIPE):
        pass


def test_the_state_follows_the_machine(machine, bundle):
    assert engine_state(bundle, "tensorrt").name == "missing"
    machine.build()
    assert str(engine_state(bundle, "tensorrt")) == "ready"
    for change, field in (
        (lambda: machine.install("11.4.1.6"), "version"),
        (lambda: machine.set_gpu(name="Another GPU"), "gpu"),
        (lambda: machine.set_gpu(minor=9), "capability"),
        (lambda: machine.set_gpu(driver=13000), "driver"),
    ):
        change()
        state = engine_state(bundle, "tensorrt")
        assert state.name == "missing" and field in state.why
    machine.install("11.4.1.5")
    assert engine_state(bundle, "tensorrt").name == "ready"


def test_what_is_not_there_is_named(machine, bundle, monkeypatch):
    monkeypatch.setenv("STAND_IN_NO_GPU", "1")
    machine.install("11.4.1.5")
    assert "no GPU that CUDA can use" in engine_state(bundle, "tensorrt").why
    monkeypatch.delenv("STAND_IN_NO_GPU")
    machine.install("9.1.0")
    assert "10.x or 11.x; 9.1.0 is installed" in engine_state(bundle, "tensorrt").why
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    machine.set_gpu()
    state = engine_state(bundle, "tensorrt")
    assert state.name == "refused" and "pip install tensorrt" in state.why
    assert "no precision 'fp12'" in engine_state(bundle, "tensorrt", "fp12").why
    assert "needs no engine" in engine_state(bundle, "onnxruntime").why


@pytest.mark.parametrize(
    ("parameter", "wanted"),
    [
        ("auto", ("tensorrt", "fp32")),
        ("tensorrt", ("tensorrt", "fp32")),
        ("onnxruntime, tensorrt:tf32", ("tensorrt", "tf32")),
        ("tensorrt_rtx", None),  # not installed here
        ("onnxruntime:cpu,torch", None),
    ],
)
def test_which_engines_a_parameter_wants(machine, monkeypatch, parameter, wanted):
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    assert engine_wanted(parameter) == wanted


def test_an_engine_that_was_cut_off_shows_in_the_state(machine, bundle, engine_files):
    cache = machine.build()
    file = engine_files(cache, machine.recipes()[2]).engine
    os.truncate(file, 100)
    state = engine_state(bundle, "tensorrt")
    assert state.name == "refused" and "answer.onnx was cut off" in state.why


def test_a_sidecar_holds_no_path(cache, engine_files):
    written = json.loads(engine_files(cache, RECIPE).sidecar.read_text())
    assert set(written) == {"fields", "sha256", "size", "build_s", "built"}
    assert "/" not in json.dumps(written)
