# SPDX-License-Identifier: Apache-2.0
"""The command itself: its verbs, its help, its exit status; and `vision-banana info`."""

import json
import os
import pkgutil
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from numba import njit
from patience import PATIENCE_S

from vision_banana_ros import cli
from vision_banana_ros.cli import main as command
from vision_banana_ros.cli.main import main
from vision_banana_ros.cli.run import doubts
from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.bundle import reading_metrics, renew_manifest, write_manifest

MANIFEST = {
    "name": "tiny",
    "description": "a bundle of the tests",
    "licence": "Apache-2.0",
    "tasks": ["depth", "normals"],
    "codec": "vision-banana",
    "size": [48, 64],
    "steps": 1,
    "depth_range_m": [0.1, 20],
    "legend": {"floor": "#c81e1e", "wall": "#1ec81e"},
    "text_length": 64,
    "text_buckets": 256,
    "made": {"command": "vision-banana train --seed 1"},
}
METRICS = {
    "procedural": {"depth": {"delta1": 0.81234, "absrel": 0.12}, "semantic": {"miou": 0.5}, "frames": 100}
}


@pytest.fixture
def bundle(tmp_path):
    folder = tmp_path / "tiny"
    folder.mkdir()
    for name in ("image.onnx", "text.onnx", "answer.onnx"):
        (folder / name).write_bytes(name.encode() * 100)
    (folder / "metrics.json").write_text(json.dumps(METRICS))
    write_manifest(folder, MANIFEST)
    return folder


def test_help_names_every_verb_at_once_and_loads_nothing_heavy():
    code = (
        "import sys; from vision_banana_ros.cli.main import main; main([]);"
        "heavy = {'numpy', 'numba', 'cv2', 'onnxruntime', 'rclpy', 'torch', 'rosbags'} & set(sys.modules);"
        "verbs = {name for name in sys.modules if name.startswith('vision_banana_ros.cli.')} -"
        " {'vision_banana_ros.cli.main'};"
        "sys.exit(f'loaded {heavy | verbs}' if heavy | verbs else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stderr
    for verb in command.VERBS:
        assert re.search(rf"\n    {verb}\s", done.stdout), verb


def test_every_module_is_a_verb():
    modules = {m.name for m in pkgutil.iter_modules(cli.__path__) if not m.ispkg} - {"main"}
    assert modules == {command.module_of(verb).__name__.rpartition(".")[2] for verb in command.VERBS}


@pytest.mark.parametrize("verb", command.VERBS)
def test_each_verb_has_help_of_its_own(verb, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([verb, "--help"])
    assert stopped.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert (
        said.startswith(f"usage: vision-banana {verb}")
        and " ".join(command.module_of(verb).__doc__.split()[:5]) in said
    )
    assert command.VERBS[verb] and not command.VERBS[verb].endswith(".")


def test_an_unknown_verb_is_status_2(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["peel"])
    assert stopped.value.code == 2
    assert "peel" in capsys.readouterr().err


def test_info_says_what_a_bundle_is(bundle, capsys):
    assert main(["info", str(bundle)]) == 0
    short = capsys.readouterr().out
    assert "depth delta1 0.8123, depth absrel 0.12, semantic miou 0.5" in short and "--all" in short
    assert len(short.splitlines()) <= 24 and max(map(len, short.splitlines())) <= 110
    assert main(["info", "--all", str(bundle)]) == 0
    said = capsys.readouterr().out
    for word in (
        "tiny",
        "Apache-2.0",
        "64x48, 1 step",
        "0.1 to 20 m",
        "floor #c81e1e",
        "vision-banana train --seed 1",
    ):
        assert word in said
    assert "answer.onnx" in said and "1,100 bytes" in said
    assert "delta1 0.8123  absrel 0.12" in said and "miou 0.5" in said and "measured on procedural" in said


def test_info_finds_what_is_wrong_with_a_bundle(bundle, tmp_path, capsys):
    def complaint(*argv: str) -> str:
        assert main(["info", *argv]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    (bundle / "text.onnx").write_bytes(b"altered")
    assert "text.onnx" in complaint(str(bundle)) and "SHA-256" in complaint(str(bundle))
    (bundle / "text.onnx").unlink()
    assert "lacks its file text.onnx" in complaint(str(bundle))
    (bundle / "manifest.json").write_text("{")
    assert "cannot be read as JSON" in complaint(str(bundle))
    assert "no bundle at" in complaint(str(tmp_path / "gone"))


@pytest.mark.parametrize(
    "metrics",
    [
        {"rooms": 3},
        {"rooms": None},
        {"rooms": [1]},
        {"rooms": {"depth": 3}},
        {"rooms": {"depth": {"delta1": "much", "absrel": []}}},
        {"rooms": {"depth": {"delta1": 0.5, "bands": {"near": {"delta1": 0.1}}}}},
        {"rooms": {"depth": {"delta1": 0.5, "bands": [1]}}},
    ],
    ids=str,
)
def test_figures_of_another_form_are_a_sentence(bundle, capsys, metrics):
    (bundle / "metrics.json").write_text(json.dumps(metrics))
    renew_manifest(bundle)
    for verb in ("info", "card"):
        status = main([verb, str(bundle)])
        said = capsys.readouterr().err
        assert (status, "evaluate --write" in said) in ((0, False), (2, True)), said
    report = [{"depth_m": [0.3, 0.6, 4.0], "beyond_range": 0.0}]
    with suppress(InputError), reading_metrics(bundle):
        doubts("tiny", metrics, report)


def test_an_interrupt_ends_quietly(monkeypatch, capsys, bundle):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("vision_banana_ros.cli.info.open_bundle", interrupt)
    assert main(["info", str(bundle)]) == 130
    assert capsys.readouterr().err == "vision-banana: interrupted.\n"


def test_a_verb_that_compiles_says_so_and_one_that_does_not_is_silent(monkeypatch, capsys, bundle):
    monkeypatch.setattr("vision_banana_ros.cli.info.run", lambda args: int(njit(lambda x: x - 1)(1)))
    assert main(["info", str(bundle)]) == 0
    said = capsys.readouterr().err
    assert "Code is compiled for this machine's processor" in said and "Compiled 1 functions in" in said
    monkeypatch.setattr("vision_banana_ros.cli.info.run", lambda args: 0)
    assert main(["info", str(bundle)]) == 0 and not capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "expected"), [("vision-banana deco", "decode"), ("vision-banana run --recu", "--recursive")]
)
def test_the_shell_completes_verbs_and_options(line, expected, tmp_path):
    pytest.importorskip("argcomplete")
    answer = tmp_path / "answer"
    asked = {
        "_ARGCOMPLETE": "1",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
    }
    code = "import sys; from vision_banana_ros.cli.main import main; sys.argv[0] = 'vision-banana'; main()"
    subprocess.run(
        [sys.executable, "-c", code], env=os.environ | asked, timeout=PATIENCE_S, capture_output=True
    )
    assert answer.read_text().strip() == expected


def test_a_long_word_is_quoted_in_part_only(capsys):
    for words in (["x" * 50_000], ["info", "--" + "x" * 50_000], ["run", "a", "--passes", "x" * 50_000]):
        with pytest.raises(SystemExit):
            main(words)
        assert len(capsys.readouterr().err) < 5000


def test_a_full_disk_behind_standard_output_is_a_sentence(bundle):
    code = "import sys; from vision_banana_ros.cli.main import main; sys.exit(main())"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code, "info", str(bundle)],
            stdout=full, stderr=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, "vision-banana: No space left on device.\n")


def test_a_working_directory_that_was_deleted_is_a_sentence(tmp_path, monkeypatch, capsys):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert main(["info"]) == 2
    assert "working directory was deleted" in capsys.readouterr().err


def test_odd_texts_in_figures_are_not_shown(bundle, capsys):
    for name in ("x" * 100_000, "\x1b[2J"):
        (bundle / "metrics.json").write_text(json.dumps({name: {"depth": {"delta1": 0.5}}}))
        renew_manifest(bundle)
        assert main(["info", "--all", str(bundle)]) == 2
        said = capsys.readouterr()
        assert len(said.out + said.err) < 10_000 and "\x1b" not in said.out + said.err


def test_no_number_of_views_is_below_one(tmp_path, capsys):
    assert main(["evaluate", "--only-real", "--real", str(tmp_path), "--count", "-5"]) == 2
    assert "--count must be 1 or more" in capsys.readouterr().err
