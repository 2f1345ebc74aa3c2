# SPDX-License-Identifier: Apache-2.0
"""The sums of each frame as JSON lines, appended during a benchmark, so that a killed run can be resumed."""

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vision_banana_ros.errors import InputError
from vision_banana_ros.files import MAX_TEXT_BYTES, open_regular

FORMAT = 1

Header = dict[str, Any]


def frames_file(report: Path) -> Path:
    """Where the frames of a report are kept: beside it."""
    return report.with_name(f"{report.name.removesuffix('.json')}.frames.jsonl")


class FrameResults:
    """Results of frames in a file that is appended to.

    Args:
        file: Made where it is missing.
        header: What is measured. InputError where the file was begun with something else.
    """

    def __init__(self, file: Path, header: Header) -> None:
        self.file = file
        self.done: dict[str, bool] = {}
        """Frames that have a result: whether they were measured; False for those that failed."""
        if file.is_file() and file.stat().st_size:
            begun, frames = read_frames(file)
            if begun != {"format": FORMAT, **header}:
                differs = [
                    key
                    for key in {**begun, **header}
                    if key != "format" and begun.get(key) != header.get(key)
                ]
                what = ", ".join(differs) or "version"
                raise InputError(
                    f"'{file}' was begun with another {what}: give another --out, or remove it to begin anew."
                )
            for frame in frames:
                self.done[frame["frame"]] = "sums" in frame
            _drop_cut_line(file)
        else:
            self._append({"format": FORMAT, **header})

    def add(self, frame: str, sums: dict[str, Any]) -> None:
        """Keep what a frame adds. InputError where the file cannot be written."""
        self._append({"frame": frame, "sums": sums})
        self.done[frame] = True

    def fail(self, frame: str, sentence: str) -> None:
        """Keep that a frame failed, and why. InputError where the file cannot be written."""
        self._append({"frame": frame, "failed": sentence})
        self.done[frame] = False

    def _append(self, line: dict[str, Any]) -> None:
        data = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        try:
            descriptor = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                if os.write(descriptor, data) != len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            finally:
                os.close(descriptor)
        except OSError as error:
            raise InputError(
                f"'{self.file}' cannot be written ({error.strerror}): make room and give the same command"
                " again, it goes on."
            ) from error


def read_frames(file: Path) -> tuple[Header, Iterator[dict[str, Any]]]:
    """The header of a file and its frames, one at a time.

    A frame that was measured twice comes once, as it was last.
    """
    try:
        with open_regular(file) as lines:
            header = json.loads(lines.readline(MAX_TEXT_BYTES))
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            raise ValueError("it has another first line")
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(
            f"'{file}' is missing: keep it beside its report, the frames of shards are merged from it."
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"'{file}' holds no results of frames of this version ({error}): remove it to begin anew."
        ) from None
    return header, _frames(file)


def _frames(file: Path) -> Iterator[dict[str, Any]]:
    last: dict[str, int] = {}
    for place, line in _whole_lines(file):
        last[line["frame"]] = place
    for place, line in _whole_lines(file):
        if last[line["frame"]] == place:
            yield line


def _whole_lines(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with open_regular(file) as lines:
        lines.readline(MAX_TEXT_BYTES)
        for place, data in enumerate(iter(lambda: lines.readline(MAX_TEXT_BYTES), b"")):
            if not data.endswith(b"\n") and len(data) < MAX_TEXT_BYTES:
                return
            try:
                line = json.loads(data)
            except (ValueError, RecursionError):
                line = None
            if not isinstance(line, dict) or not isinstance(line.get("frame"), str):
                raise InputError(
                    f"Line {place + 2} of '{file}' is damaged: remove it, its frame is measured anew."
                )
            yield place, line


def _drop_cut_line(file: Path) -> None:
    """Take away what stands behind the last line break: a run was killed while it wrote that."""
    with file.open("rb+") as lines:
        end = lines.seek(0, os.SEEK_END)
        start = max(0, end - (1 << 24))
        lines.seek(start)
        tail = lines.read()
        if not tail.endswith(b"\n"):
            lines.truncate(start + tail.rfind(b"\n") + 1)
