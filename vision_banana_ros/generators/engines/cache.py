# SPDX-License-Identifier: Apache-2.0
"""The engine cache: `<key>.engine` and, written last, the sidecar `<key>.json` with the recipe of the engine.

An engine is code for the GPU driver and is therefore verified: the folder must belong to this user alone, the
sidecar must match the recipe, and the returned bytes are those whose checksum was compared. `<key>.build` is
locked by the builder and contains its progress.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vision_banana_ros.files import read_bounded
from vision_banana_ros.generators.engines.errors import EngineMissing, EngineRefused
from vision_banana_ros.generators.engines.recipe import Recipe

MAX_SIDECAR_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One engine in the cache, by its sidecar, not verified."""

    key: str
    fields: dict[str, Any]
    sha256: str
    size: int
    build_s: float


@dataclass(frozen=True, slots=True)
class Note:
    """The progress or the result of a build."""

    running: bool  # somebody holds the lock
    fraction: float = 0.0
    started: float = 0.0  # time.time()
    failure: str = ""


class EngineCache:
    """The folder `vision_banana/engines` in the user's cache (XDG_CACHE_HOME).

    EngineRefused where it cannot be used.
    """

    def __init__(self, folder: Path | None = None) -> None:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self.folder = folder or home / "vision_banana" / "engines"
        with _sentences(self.folder):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = self.folder.stat()
        if status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise EngineRefused(
                f"The folder of engines '{self.folder}' belongs to another user or is open to others (mode "
                f"{status.st_mode & 0o777:03o}), who could put code there that runs here. Delete it, or set"
                " XDG_CACHE_HOME to a "
                "folder of your own."
            )

    def load(self, recipe: Recipe) -> bytes:
        """The verified engine of a recipe.

        Raises EngineMissing with the reason, or EngineRefused if it must not be used.
        """
        entry = self.find(recipe)
        with _sentences(self.folder):
            data = self._path(recipe.key, "engine").read_bytes()
        if len(data) != entry.size:
            raise EngineRefused(
                f"The engine of {recipe.graph} was cut off ({len(data)} of {entry.size}"
                " bytes): build it again."
            )
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            raise EngineRefused(
                f"The engine of {recipe.graph} was altered (its SHA-256 differs): build it again."
            )
        return data

    def find(self, recipe: Recipe) -> Entry:
        """The sidecar of the engine, verified except for the checksum. Raises as `load` does."""
        entry = self._entry(self._path(recipe.key, "json"))
        file = self._path(recipe.key, "engine")
        if entry is None or not file.is_file():
            raise EngineMissing(
                f"There is no engine of {recipe.graph} for this machine"
                f" yet{self._why_none(recipe)}: build it."
            )
        if differences := recipe.differences(entry.fields):
            raise EngineRefused(
                f"The engine of {recipe.graph} is not what its name says"
                f" ({'; '.join(differences)}): build it again."
            )
        if file.stat().st_size != entry.size:
            size = file.stat().st_size
            raise EngineRefused(
                f"The engine of {recipe.graph} was cut off ({size} of {entry.size} bytes): build it again."
            )
        return entry

    def store(self, recipe: Recipe, engine: Any, build_s: float) -> None:
        """Stores an engine (a buffer of bytes) atomically. Raises EngineRefused if it cannot be written."""
        data = memoryview(engine)
        sidecar = {
            "fields": recipe.fields(),
            "sha256": hashlib.sha256(data).hexdigest(),
            "size": data.nbytes,
            "build_s": round(build_s, 1),
            "built": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        with _sentences(self.folder):
            # The sidecar says that an engine is there, so it goes first and comes last.
            self._path(recipe.key, "json").unlink(missing_ok=True)
            self._write(self._path(recipe.key, "engine"), data)
            self._write(self._path(recipe.key, "json"), json.dumps(sidecar, indent=2).encode())

    def entries(self) -> list[Entry]:
        """All engines with a sidecar."""
        found = (self._entry(path) for path in sorted(self.folder.glob("*.json")))
        return [entry for entry in found if entry is not None]

    def keep(self, keys: set[str]) -> tuple[int, int]:
        """Deletes everything else, including leftovers of killed builds, but not running builds.

        Returns the numbers of files and bytes deleted.
        """
        files = size = 0
        for path in sorted(self.folder.iterdir()):
            key = path.name.split(".")[0]
            if not path.is_file() or (key in keys and path.suffix != ".part") or self.note(key).running:
                continue
            files, size = files + 1, size + path.stat().st_size
            path.unlink()
        return files, size

    # Builds

    @contextlib.contextmanager
    def building(self, recipe: Recipe) -> Iterator["BuildNote"]:
        """Holds the lock of the recipe; waits while another process builds the same.

        The lock ends with its process.
        """
        with _sentences(self.folder):
            file = os.open(self._path(recipe.key, "build"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield BuildNote(file)
        finally:
            os.close(file)

    def note(self, key: str) -> Note:
        """The note of the current or the last build of a recipe."""
        try:
            file = os.open(self._path(key, "build"), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return Note(running=False)
        try:
            running = False
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                running = True
            fields = _json(os.pread(file, BuildNote.LENGTH, 0))
        finally:
            os.close(file)
        try:
            return Note(running, float(fields["fraction"]), float(fields["started"]), str(fields["failure"]))
        except (KeyError, ValueError, TypeError):
            return Note(running)

    def seconds_before(self, recipe: Recipe) -> float | None:
        """The duration of an earlier build of the same graph on this machine, for any version."""
        times = [
            e.build_s
            for e in self.entries()
            if (e.fields.get("library"), e.fields.get("graph")) == (recipe.library, recipe.graph)
        ]
        return max(times, default=None)

    def _why_none(self, recipe: Recipe) -> str:
        """The most similar engine of the same graph, and why it cannot be used."""
        same = ("library", "graph", "graph_sha256")
        near = [
            e for e in self.entries() if all(e.fields.get(name) == getattr(recipe, name) for name in same)
        ]
        if not near:
            return ""
        differences = min((recipe.differences(entry.fields) for entry in near), key=len)
        return f", only one for something else ({'; '.join(differences)})" if differences else ""

    def _entry(self, path: Path) -> Entry | None:
        try:
            raw = _json(read_bounded(path, MAX_SIDECAR_BYTES))
            return Entry(
                path.stem, dict(raw["fields"]), str(raw["sha256"]), int(raw["size"]), float(raw["build_s"])
            )
        except (OSError, KeyError, ValueError, TypeError):
            return None

    def _path(self, key: str, suffix: str) -> Path:
        return self.folder / f"{key}.{suffix}"

    def _write(self, path: Path, data: Any) -> None:
        """To a file beside it, onto the disk, then in one step to its place."""
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            with open(part, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


class BuildNote:
    """The open, locked file in which a build stores its progress."""

    LENGTH = 1024  # one write of a fixed length, so that a reader sees the old note or the new one

    def __init__(self, file: int) -> None:
        self._file = file
        self._started = time.time()

    def progress(self, fraction: float) -> None:
        """Stores the progress of the build, a fraction from 0 to 1."""
        self._write({"fraction": round(fraction, 4), "started": self._started, "failure": ""})

    def fail(self, why: str) -> None:
        """Stores why the build failed."""
        self._write({"fraction": 0.0, "started": self._started, "failure": why[:600]})

    def clear(self) -> None:
        """Removes the note after a successful build."""
        os.ftruncate(self._file, 0)

    def _write(self, fields: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # a full disk must not end a build that has just succeeded
            os.pwrite(
                self._file,
                json.dumps(fields, ensure_ascii=True).encode()[: self.LENGTH].ljust(self.LENGTH),
                0,
            )


@contextlib.contextmanager
def _sentences(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            cure = "Free some space there (`vision-banana engine prune` deletes engines that are not used)"
        else:
            cure = "Make it writable"
        raise EngineRefused(
            f"The folder of engines '{folder}' cannot be used ({error.strerror or error}). {cure}, or set"
            " XDG_CACHE_HOME to "
            "another place."
        ) from error


def _json(data: bytes) -> dict[str, Any]:
    try:
        content = json.loads(data.decode().strip() or "{}")
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
