# SPDX-License-Identifier: Apache-2.0
"""Tables of speed, made of the figures in benchmark/bench_*.json.

`python benchmark/bench_table.py` prints all of them; with `--write FILE` a short one, of
bench_questions.json, replaces what stands in that file between the lines `<!-- bench -->` and `<!-- /bench
-->`.
"""

import argparse
import json
from pathlib import Path

from vision_banana_ros.cli.bench import table

SHOWN = (1, 3, 8)  # questions


def tables(folder: Path) -> str:
    """A table a file, under the command and the machine that it comes from."""
    parts = []
    for file in sorted(folder.glob("bench_*.json")):
        report = json.loads(file.read_text())
        machine = report["machine"]
        versions = ", ".join(
            f"{name} {version}"
            for name, version in machine.items()
            if name not in ("cpu", "cores", "load_average")
        )
        where = f"{machine['cores']} × {machine['cpu']}, load average {machine['load_average']} ({versions})"
        parts.append(f"`{report['command']}` on {where}:\n\n{table(report['rows'])}")
    return "\n\n".join(parts)


def short_table(file: Path) -> str:
    """A few numbers of questions, and of each executor what a robot feels."""
    report = json.loads(file.read_text())
    machine = report["machine"]
    lines = [
        f"Frames of 640×480 read and answered by `vision-banana bench` on {machine['cores']} ×"
        f" {machine['cpu']}"
        f" (benchmark/{file.name}):",
        "",
        "| questions a frame | executor | p50 / p99 | frames/s | memory | × plain torch |",
        "|-|-|-|-|-|-|",
    ]
    for row in report["rows"]:
        if row["questions"] in SHOWN:
            frame, times = row["frame_ms"], row["times_plain_torch"]
            lines.append(
                f"| {row['questions']} | {row['executor']} | {frame['p50']:.0f} / {frame['p99']:.0f} ms"
                f" | {row['frames_per_s']:.1f} | {row['rss_mib']:.0f} MiB | {times['frame']:.1f} |"
            )
    return "\n".join(lines)


def replaced(text: str, new: str) -> str:
    """`text` with what stands between the lines `<!-- bench -->` and `<!-- /bench -->` replaced. ValueError
    where they are not."""
    before, start, rest = text.partition("<!-- bench -->")
    _, end, after = rest.partition("<!-- /bench -->")
    if not (start and end):
        raise ValueError("there are no lines <!-- bench --> and <!-- /bench -->")
    return f"{before}{start}\n{new}\n{end}{after}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, metavar="FILE")
    args = parser.parse_args()
    folder = Path(__file__).parent
    if args.write is None:
        print(tables(folder))
    else:
        args.write.write_text(replaced(args.write.read_text(), short_table(folder / "bench_questions.json")))
