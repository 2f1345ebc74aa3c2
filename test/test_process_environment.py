# SPDX-License-Identifier: Apache-2.0
"""Nothing is reported home, and an installation that cannot be written runs for a user without a home."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from patience import COMPILED_S

from vision_banana_ros import process_environment
from vision_banana_ros.generators import default_bundle

ROOT = Path(__file__).resolve().parent.parent
QUIET_ELSEWHERE = ("CI", "ORT_RUNNING_UNIT_TESTS", *process_environment.TELEMETRY_OFF)
ANSWERS = "import sys; from vision_banana_ros.cli.main import main; sys.exit(main(sys.argv[1:]))"


def _environment(**values: str) -> dict[str, str]:
    """As on a user's machine: without what would keep a library quiet anyway."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in (*QUIET_ELSEWHERE, "XDG_CACHE_HOME", "ROS_HOME")
    }
    return {**kept, "PYTHONPATH": str(ROOT), **values}


def test_onnxruntime_stores_no_device_id_and_opens_no_connection(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    trace = tmp_path / "trace"
    program = (
        "import sys, time; from vision_banana_ros.generators import load_generator; import numpy as np\n"
        "g = load_generator(sys.argv[1]); g.paint(np.zeros((*g.size, 3), np.uint8), ['anything']);"
        " time.sleep(1)"
    )
    traced = ["strace", "-f", "-qq", "-e", "trace=socket,connect,sendto,sendmsg,sendmmsg", "-o", str(trace)]
    command = [sys.executable, "-c", program, str(default_bundle())]
    done = subprocess.run(
        [*(traced if shutil.which("strace") else []), *command],
        env=_environment(HOME=str(home)), cwd=tmp_path, capture_output=True, text=True, timeout=COMPILED_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    stored = [path.relative_to(home).as_posix() for path in home.rglob("*") if "numba" not in path.parts]
    assert [path for path in stored if "icrosoft" in path or "deviceid" in path] == []
    if not shutil.which("strace"):
        pytest.skip("what was stored is checked; for the network this needs strace")
    asked = [
        line
        for line in trace.read_text().splitlines()
        if "AF_INET" in line or "sin_port" in line or "resolve" in line
    ]
    assert asked == []


def test_it_is_the_variable_that_keeps_onnxruntime_quiet(tmp_path):
    """What the test above would see: without the variable a device id is stored (ONNX Runtime 1.29 and
    later)."""
    import onnxruntime

    if tuple(int(part) for part in onnxruntime.__version__.split(".")[:2]) < (1, 29):
        pytest.skip("this ONNX Runtime has no telemetry on Linux")
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", "import onnxruntime"], env=_environment(HOME=str(home)), cwd=tmp_path,
        capture_output=True, timeout=COMPILED_S
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert any("deviceid" in path.name for path in home.rglob("*"))


@pytest.mark.skipif(
    os.getuid() == 0 and not shutil.which("setpriv"),
    reason="root may write everywhere; without that needs setpriv",
)
def test_a_read_only_installation_answers_for_a_user_without_a_home(tmp_path):
    installed = tmp_path / "installed"
    shutil.copytree(
        ROOT / "vision_banana_ros",
        installed / "vision_banana_ros",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    picture, out, temporary = tmp_path / "in.png", tmp_path / "out", tmp_path / "temporary"
    temporary.mkdir()
    out.mkdir()
    import cv2
    import numpy as np

    cv2.imwrite(str(picture), np.full((30, 40, 3), 128, np.uint8))
    for folder in [installed, *(path for path in installed.rglob("*") if path.is_dir())]:
        folder.chmod(0o555)
    try:
        ordinary = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []
        done = subprocess.run(
            [*ordinary, sys.executable, "-c", ANSWERS, "decode", "depth", str(picture), "--out", str(out)],
            env=_environment(HOME=str(installed / "home"), PYTHONPATH=str(installed), TMPDIR=str(temporary)),
            cwd=out, capture_output=True, text=True, timeout=COMPILED_S,
        )  # fmt: skip
    finally:
        for folder in [installed, *(path for path in installed.rglob("*") if path.is_dir())]:
            folder.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert (out / "depth.npy").is_file()
    assert any(temporary.glob("vision_banana_*/numba/*")), "compiled code is kept for the next start"


def test_a_temporary_folder_of_somebody_else_is_not_trusted(tmp_path, monkeypatch):
    monkeypatch.setattr(process_environment.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(process_environment.tempfile, "tempdir", str(tmp_path))
    mine = process_environment.private_folder()
    assert mine == tmp_path / f"vision_banana_{os.getuid()}"
    mine.chmod(0o777)  # anybody could put code there
    assert process_environment.private_folder() != mine
    mine.rmdir()
    mine.symlink_to(tmp_path / "elsewhere")
    assert process_environment.private_folder() != mine


@pytest.mark.parametrize("closed", [1, 2])
def test_a_closed_stream_is_the_null_device(closed, tmp_path):
    """Or the next file that is opened gets its number, and what libraries write to it."""
    program = (
        "import os, sys; import vision_banana_ros\n"
        "print('said'); print('said', file=sys.stderr); sys.stdout.flush(); sys.stderr.isatty()\n"
        f"assert os.path.samestat(os.fstat({closed}), os.stat(os.devnull))\n"
        "with open('result', 'w') as file: file.write(str(file.fileno()))"
    )
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}>&-', "-", sys.executable, "-c", program],
        env=_environment(), cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int((tmp_path / "result").read_text()) > 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPENCV_IO_MAX_IMAGE_PIXELS", "many"),
        ("OPENCV_IO_MAX_IMAGE_PIXELS", ""),
        ("OPENCV_TRACE", "1x"),
        ("NUMBA_NUM_THREADS", "0"),
    ],
)
def test_a_variable_for_which_a_library_ends_the_process_is_told(name, value):
    done = subprocess.run(
        [sys.executable, "-m", "vision_banana_ros.cli.main", "run", "--help"],
        env=_environment(**{name: value}), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    assert f"{name}={value!r} of the environment cannot be read" in done.stderr


def test_variables_that_libraries_can_read_are_kept():
    done = subprocess.run(
        [sys.executable, "-m", "vision_banana_ros.cli.main", "--version"],
        env=_environment(OPENCV_IO_MAX_IMAGE_PIXELS="10MB", NUMBA_NUM_THREADS="1"),
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0 and not done.stderr, done.stderr
