# SPDX-License-Identifier: Apache-2.0
"""Coverage-guided fuzzing of everything that is read (`targets`), by atheris: `make fuzz`, ten minutes a
target.

`python test/fuzz/fuzz.py [TARGET ...] [--seconds 600]`. Each target runs in a process of its own and fails
with a traceback that is no InputError, with 20 s of CPU time or five minutes for one input, or with 2 GiB of
memory. Figures go to benchmark/fuzz.json, beside those of targets that were run before; inputs that fail stay
in fuzz_out/. Status 1 where one fails.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "fuzz_out"
CPU_S, WAIT_S, MEMORY_MIB = 20, 300, 2048
"""Of one input. CPU time is the same on a busy machine; what waits or never ends is found by the clock."""
GUIDING = ["vision_banana_ros", "targets", "yaml", "json", "rosbags", "tarfile", "zipfile"]
COMPILED = ["vision_banana_ros.scenes.kernel", "vision_banana_ros.scenes.furnished.models"]
"""numba cannot compile what counts its own branches."""


def run_one(name: str, seconds: int) -> None:
    """In the process of one target; it does not return."""
    import atheris

    sys.path.insert(0, str(ROOT / "test" / "support"))
    with atheris.instrument_imports(include=GUIDING, exclude=COMPILED):
        from targets import TARGETS

        from vision_banana_ros.errors import InputError
    target = TARGETS[name]
    corpus = OUT / name / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed_{number}").write_bytes(seed)

    def read(data: bytes) -> None:
        started = time.process_time()
        with suppress(InputError):
            target.read(data)
        assert (spent := time.process_time() - started) < CPU_S, f"one input took {spent:.0f} s of CPU time"

    flags = [
        f"-max_total_time={seconds}",
        f"-timeout={WAIT_S}",
        f"-rss_limit_mb={MEMORY_MIB}",
        "-max_len=200000",
    ]
    atheris.Setup(
        [name, str(corpus), *flags, f"-artifact_prefix={OUT / name}/", "-print_final_stats=1"], read
    )
    atheris.Fuzz()


def run_all(names: list[str], seconds: int) -> int:
    figures = ROOT / "benchmark" / "fuzz.json"
    kept = json.loads(figures.read_text()) if figures.is_file() else {}
    report = kept.get("targets", {})
    for name in names:
        started = time.monotonic()
        command = [sys.executable, __file__, name, "--seconds", str(seconds), "--here"]
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment)
        found = dict(re.findall(r"stat::(\w+):\s+(\d+)", done.stderr))
        coverage = re.findall(r"cov: (\d+)", done.stderr)
        report[name] = {
            "held": done.returncode == 0,
            "seconds": round(time.monotonic() - started),
            "seconds asked for": seconds,
            "inputs": int(found.get("number_of_executed_units", 0)),
            "new paths": int(found.get("new_units_added", 0)),
            "coverage": int(coverage[-1]) if coverage else 0,
            "highest memory (MiB)": int(found.get("peak_rss_mb", 0)),
            "commit": _commit(),
        }
        print(f"{name}: {report[name]}", flush=True)
        if done.returncode:
            print(done.stdout[-6000:], done.stderr[-6000:], flush=True)
        figures.write_text(json.dumps({**kept, "targets": report}, indent=2) + "\n")
    return 0 if all(report[name]["held"] for name in names) else 1


def _commit() -> str:
    """Of the code that was fuzzed; empty where it is no checkout."""
    with suppress(OSError):  # no git
        command = ["git", "rev-parse", "--short=12", "HEAD"]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parent))
    if args.here:
        run_one(args.targets[0], args.seconds)
    sys.path.insert(0, str(ROOT / "test" / "support"))
    from targets import TARGETS

    return run_all(args.targets or list(TARGETS), args.seconds)


if __name__ == "__main__":
    sys.exit(main())
