# SPDX-License-Identifier: Apache-2.0
"""Downloads the models from their two Debian packages into the user's cache, once.

None of them are in this repository.
"""

import bz2
import gzip
import http.client
import lzma
import os
import shutil
import subprocess
import tarfile
import tempfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import IO, Any, cast

from vision_banana_ros.errors import InputError
from vision_banana_ros.files import open_regular
from vision_banana_ros.scenes.furnished.library import Library, build, default_folder, library_at

PACKAGES = ("sweethome3d-furniture", "sweethome3d")
INDEXES = ("dists/stable/main/binary-all/Packages.xz", "dists/stable/main/binary-amd64/Packages.xz")
BY_HAND = (
    f"Run `apt-get download {' '.join(PACKAGES)}` on a machine with Debian or Ubuntu and network, copy the"
    " two .deb files "
    "here, and give their folder with --from DIR."
)
MAX_BYTES = 1_000_000_000
"""Of a package, a file in it, and what is downloaded; the real ones have 137 MB together."""
MAX_LIST_BYTES = 200_000_000
"""Of a mirror's list of packages; Debian's has 55 MB."""
MAX_CATALOGUES = 10
MAX_UNPACKED_BYTES = 2 * MAX_BYTES
MAX_PIECE_BYTES = 64_000_000
"""That an archive may ask for at once; a header of a tar archive may say that it is as long as it likes."""
_UNPACKERS: dict[bytes, Callable[[BytesIO], Any]] = {
    b"data.tar.xz": lzma.open,
    b"data.tar.gz": lambda file: gzip.GzipFile(fileobj=file),
    b"data.tar.bz2": bz2.open,
    b"data.tar": lambda file: file,
}
Say = Callable[[str], None]


def fetch(source: str | None = None, target: Path | None = None, say: Say = lambda text: None) -> Library:
    """Fills the cache folder with the arrays of all models and an index.

    source: a folder with the .deb files or the catalogues (.sh3f, sweethome3d.jar), or the HTTP address of a
    Debian mirror; None uses apt, which knows a mirror and checks signatures. target: the cache folder; None
    for `library.default_folder()`. Its content is replaced after the conversion. InputError, with a solution,
    if something cannot be downloaded or read.
    """
    target = target or default_folder()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetching_", dir=target.parent) as name:
        work = Path(name)
        if source is None:
            found = catalogues(_by_apt(work, say), work, say)
        elif source.startswith(("http://", "https://")):
            found = catalogues(_from_mirror(source, work, say), work, say)
        else:
            found = catalogues(Path(source), work, say)
        build(found, work / "furnished", say)
        shutil.rmtree(target, ignore_errors=True)
        (work / "furnished").replace(target)
    library_at.cache_clear()
    return Library(target)


def catalogues(source: Path, work: Path, say: Say) -> list[Path]:
    """The catalogues in a folder and below it, those in its .deb files unpacked into `work`."""
    if not source.is_dir():
        raise InputError(
            f"'{source}' is no folder; give one that holds the .deb files or the .sh3f catalogues."
        )
    found = {
        path.name: path for pattern in ("*.sh3f", "sweethome3d.jar") for path in sorted(source.rglob(pattern))
    }
    for package in sorted(source.glob("*.deb")):
        say(f"unpacking {package.name} ...")
        found |= {path.name: path for path in unpack(package, work / "catalogues")}
    if not found:
        raise InputError(f"'{source}' holds neither .deb files nor .sh3f catalogues. {BY_HAND}")
    return [found[name] for name in sorted(found)]


def unpack(package: Path, folder: Path) -> list[Path]:
    """The catalogues of a .deb: an ar archive with the files in data.tar. Needs no dpkg."""
    folder.mkdir(parents=True, exist_ok=True)
    damaged = InputError(f"'{package}' is no whole Debian package; get it again.")
    done: list[Path] = []
    with open_regular(package) as file:
        if file.read(8) != b"!<arch>\n":
            raise damaged
        while len(header := file.read(60)) == 60 and header[58:] == b"`\n":
            if not header[48:58].strip().isdigit() or (size := int(header[48:58])) > MAX_BYTES:
                raise damaged
            data = file.read(size + size % 2)
            if len(data) < size:
                break
            if not header[:16].startswith(b"data.tar"):
                continue
            if (opened := _UNPACKERS.get(header[:16].rstrip(b" /"))) is None:
                raise InputError(
                    f"'{package}' is compressed in a way that is not read here; unpack it by `dpkg -x`, and"
                    " give the folder with its .sh3f files."
                )
            try:
                # bounded as a file object, because a tar's own headers are read into memory whole
                content = cast(IO[bytes], _Bounded(opened(BytesIO(data[:size]))))
                with tarfile.open(fileobj=content, mode="r:") as tar:
                    for member in tar:
                        name = Path(member.name).name
                        if member.isfile() and (name.endswith(".sh3f") or name == "sweethome3d.jar"):
                            catalogue = tar.extractfile(member)
                            if catalogue is None or member.size > MAX_BYTES or len(done) >= MAX_CATALOGUES:
                                raise InputError(
                                    f"'{package}' unpacks to more than a catalogue of models"
                                    " has; get it again."
                                )
                            with (folder / name).open("wb") as out:
                                shutil.copyfileobj(catalogue, out)
                            done.append(folder / name)
            except (
                tarfile.TarError,
                EOFError,
                KeyError,
                zlib.error,
                RecursionError,
                lzma.LZMAError,
                OSError,
                ValueError,
                OverflowError,
                UnicodeError,
            ) as error:
                if isinstance(error, InputError):
                    raise
                raise damaged from error
            return done
    raise damaged


class _Bounded:
    """A file that is read with bounds: ValueError for a piece, or a place, that no package needs."""

    def __init__(self, file: IO[bytes]):
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_PIECE_BYTES:
            raise ValueError(f"{size} bytes at once")
        return self._file.read(size)

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        if place > MAX_UNPACKED_BYTES:
            raise ValueError(f"it unpacks to more than {MAX_UNPACKED_BYTES:,} bytes")
        return self._file.seek(place, whence)

    def tell(self) -> int:
        return self._file.tell()


def _by_apt(work: Path, say: Say) -> Path:
    """Both packages by `apt-get download`, which needs no root."""
    if shutil.which("apt-get") is None:
        raise InputError(f"This machine has no apt-get to get the models with. {BY_HAND}")
    folder = work / "packages"
    folder.mkdir()
    say(f"downloading {' and '.join(PACKAGES)} (137 MB) ...")
    done = subprocess.run(["apt-get", "download", *PACKAGES], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        reason = next(
            (line[2:].strip() for line in done.stderr.splitlines() if line.startswith("E:")), "it failed"
        )
        raise InputError(
            f"apt-get could not download the models ({reason}). Run `apt-get update` with network and the"
            " section 'main' in "
            f"the package sources, then try again. Or: {BY_HAND}"
        )
    return folder


def _from_mirror(url: str, work: Path, say: Say) -> Path:
    """Downloads both packages from a Debian mirror, checked against the SHA-256 in its package list."""
    url = url.rstrip("/")
    listed: dict[str, dict[str, str]] = {}
    for place in INDEXES:
        try:
            text = (
                lzma.LZMADecompressor()
                .decompress(_get(f"{url}/{place}"), MAX_LIST_BYTES)
                .decode("utf-8", "replace")
            )
        except (InputError, lzma.LZMAError):
            continue
        for block in text.split("\n\n"):
            row = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and line[0] != " ")
            if row.get("Package") in PACKAGES and {"Filename", "SHA256"} <= row.keys():
                listed.setdefault(row["Package"], row)
        if len(listed) == len(PACKAGES):
            break
    if missing := [name for name in PACKAGES if name not in listed]:
        raise InputError(
            f"'{url}' lists no package {' and no '.join(missing)}; give the address of a"
            f" Debian mirror. Or: {BY_HAND}"
        )
    folder = work / "packages"
    folder.mkdir()
    for name in PACKAGES:
        row = listed[name]
        say(f"downloading {name} ...")
        data = _get(f"{url}/{row['Filename']}")
        if sha256(data).hexdigest() != row["SHA256"]:
            raise InputError(
                f"{name} from '{url}' is cut off or was altered (its SHA-256 differs); try"
                " again or another mirror."
            )
        (folder / f"{name}.deb").write_bytes(data)
    return folder


def _get(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            data = bytes(answer.read(MAX_BYTES + 1))
        if len(data) > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES:,} bytes")
        return data
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        raise InputError(
            f"'{url}' cannot be read ({error}); look at the address and the network. Or: {BY_HAND}"
        ) from error
