# SPDX-License-Identifier: Apache-2.0
"""The fetched models: an index to choose from, and their arrays on demand."""

import json
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from hashlib import sha256
from io import BytesIO
from pathlib import Path, PurePosixPath
from random import Random
from typing import Literal, TypeVar

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.files import open_regular, read_bounded, read_json
from vision_banana_ros.scenes.furnished.catalogue import MAX_TEXT, held_out, read_furniture, read_textures
from vision_banana_ros.scenes.furnished.models import Model, convert, decode, mips
from vision_banana_ros.scenes.furnished.naming import name_of
from vision_banana_ros.scenes.materials import RGB

Split = Literal["train", "test"]
INDEX = "index.json"
FORMAT = 3
MAX_ENTRY_BYTES, MAX_ARCHIVE_BYTES = 300_000_000, 2_000_000_000
MOST_MODELS = 20_000
"""Of one catalogue: ten times as many as all that are fetched, and a minute of one core."""
AGAIN = "run `vision-banana scenes fetch`"
Row = TypeVar("Row", "Item", "Surface")


@dataclass(frozen=True)
class Item:
    """One model of the index: what it is, how large, how it looks, who made it, and where its arrays are."""

    id: str
    name: str
    noun: str
    class_name: str
    label: int
    role: str
    category: str
    size_m: tuple[float, float, float]
    elevation_m: float
    wall_front: float
    color: str
    rgb: RGB
    material: str
    triangles: int
    held_out: bool
    creator: str
    licence: str
    catalogue: str
    file: str
    sha256: str


@dataclass(frozen=True)
class Surface:
    """A picture for floors, walls or the sky, and the metres that it spans."""

    id: str
    name: str
    category: str
    size_m: tuple[float, float]
    creator: str
    licence: str
    catalogue: str
    file: str
    sha256: str


def _checked(row: Row) -> Row:
    """A row of the index whose texts are short texts, as they are printed."""
    for name in (field.name for field in fields(row) if field.type in (str, "str")):
        text = getattr(row, name)
        if not isinstance(text, str) or len(text) > MAX_TEXT:
            raise TypeError(f"{name} is no text of up to {MAX_TEXT} characters")
    return row


def default_folder() -> Path:
    """Where the models are kept.

    Vision_banana/furnished in the user's cache folder ($XDG_CACHE_HOME, ~/.cache).
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vision_banana" / "furnished"


class Library:
    """The models in a folder that `build` filled. InputError if the folder has no usable index."""

    def __init__(self, folder: Path):
        self.folder = folder
        path = folder / INDEX
        if not path.is_file():
            raise InputError(f"There are no furnished models in '{folder}': {AGAIN} first.")
        try:
            raw = read_json(path)
            if raw["format"] != FORMAT:
                raise ValueError
            self.items = [
                _checked(Item(**{**row, "size_m": tuple(row["size_m"]), "rgb": tuple(row["rgb"])}))
                for row in raw["models"]
            ]
            self.surfaces = [
                _checked(Surface(**{**row, "size_m": tuple(row["size_m"])})) for row in raw["textures"]
            ]
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise InputError(f"'{path}' is not whole or of another version: {AGAIN} again.") from error
        self.model: Callable[[Item], Model] = lru_cache(maxsize=256)(self._model)
        self.texels: Callable[[Surface], tuple[np.ndarray, int, int]] = lru_cache(maxsize=64)(self._texels)

    def _bytes(self, of: Item | Surface) -> bytes:
        path = self.folder / of.file
        data = read_bounded(path, MAX_ENTRY_BYTES) if path.is_file() else b""
        if sha256(data).hexdigest() != of.sha256:
            raise InputError(f"'{path}' is missing, cut off or was altered: {AGAIN} again.")
        return data

    def _model(self, item: Item) -> Model:
        with np.load(BytesIO(self._bytes(item)), allow_pickle=False) as data:
            return Model(**{name: data[name] for name in data.files})

    def _texels(self, surface: Surface) -> tuple[np.ndarray, int, int]:
        """Texels with their mip levels, log2 width, log2 height."""
        picture = decode(self._bytes(surface))
        assert picture is not None
        return mips(picture), picture.shape[1].bit_length() - 1, picture.shape[0].bit_length() - 1

    def pick(
        self, rng: Random, split: Split, roles: Iterable[str], fits: Callable[[Item], bool] | None = None
    ) -> Item | None:
        """A model of one of the roles, from the models of the split alone; None where it has none."""
        wanted = set(roles)
        found = [
            item
            for item in self.items
            if item.role in wanted and item.held_out == (split == "test") and (fits is None or fits(item))
        ]
        return rng.choice(found) if found else None

    def credits(self, items: Iterable[Item | Surface] | None = None) -> str:
        """Who made the models (all of them, or those given) and under which licence.

        A line for each licence.
        """
        makers: dict[tuple[str, str], set[str]] = {}
        everything: list[Item | Surface] = [*self.items, *self.surfaces]
        for item in everything if items is None else items:
            makers.setdefault((item.licence, item.catalogue), set()).add(item.creator)
        return "\n".join(
            f"{catalogue} ({licence}): {', '.join(sorted(names, key=str.lower))}"
            for (licence, catalogue), names in sorted(makers.items())
        )


def build(archives: Iterable[Path], folder: Path, say: Callable[[str], None] = lambda text: None) -> Library:
    """Converts catalogues (.sh3f, sweethome3d.jar) to models, surface pictures and index.json in `folder`."""
    (folder / "models").mkdir(parents=True, exist_ok=True)
    items: list[Item] = []
    surfaces: list[Surface] = []
    lost: list[str] = []
    for path in archives:
        try:
            with open_regular(path) as file, zipfile.ZipFile(file) as archive:
                _refuse_bombs(path, archive)
                _build_one(archive, path.stem, folder, items, surfaces, lost, say)
        except InputError:
            raise
        # Encrypted entries are a RuntimeError, methods that Python lacks a NotImplementedError, damaged
        # headers a ValueError.
        except (
            zipfile.BadZipFile,
            OSError,
            EOFError,
            RuntimeError,
            ValueError,
            OverflowError,
            zlib.error,
        ) as error:
            raise InputError(f"'{path}' is cut off or was altered; get it again.") from error
    if not items:
        raise InputError("None of the models could be read; get the packages again.")
    index = {
        "format": FORMAT,
        "models": [asdict(item) for item in items],
        "textures": [asdict(s) for s in surfaces],
    }
    (folder / INDEX).write_text(json.dumps(index, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    say(f"{len(items)} models, {sum(item.held_out for item in items)} of them held out for the test split")
    if lost:
        say(f"left out, because they could not be read: {', '.join(lost)}")
    return Library(folder)


def _refuse_bombs(path: Path, archive: zipfile.ZipFile) -> None:
    """InputError for an archive that says itself that it unpacks to more than models need.

    Zipfile gives no more than it says.
    """
    sizes = [info.file_size for info in archive.infolist()]
    if max(sizes, default=0) > MAX_ENTRY_BYTES or sum(sizes) > MAX_ARCHIVE_BYTES:
        raise InputError(f"'{path}' unpacks to more than a catalogue of models has; get it again.")


def _build_one(
    archive: zipfile.ZipFile, catalogue: str, folder: Path, items: list[Item], surfaces: list[Surface],
    lost: list[str],
    say: Callable[[str], None],
) -> None:  # fmt: skip
    entries = read_furniture(archive)
    # one file may be listed many times, and is converted each time
    listed_bytes = sum(archive.getinfo(entry.model).file_size for entry in entries)
    if len(entries) > MOST_MODELS or listed_bytes > MAX_ARCHIVE_BYTES:
        raise InputError(
            f"'{archive.filename}' lists {len(entries):,} models of {listed_bytes:,} bytes, more than a"
            f" catalogue has ({MOST_MODELS:,} and {MAX_ARCHIVE_BYTES:,}): get it again."
        )
    for number, entry in enumerate(entries, start=1):
        if number % 50 == 0 or number == len(entries):
            say(f"{catalogue}: {number} of {len(entries)} models")
        naming = name_of(entry)
        if not naming.role:
            continue
        try:
            model, words = convert(archive, entry)
        except (InputError, ValueError, IndexError):
            lost.append(entry.id)
            continue
        file = f"models/{len(items):04d}.npz"
        model.save(folder / file)
        items.append(
            Item(
                entry.id,
                entry.name,
                naming.noun,
                naming.class_name,
                naming.label,
                naming.role,
                entry.category,
                entry.size_m,
                entry.elevation_m,
                entry.wall_front,
                # most of a person is not what a person wears, and a tree is not wooden
                "mixed" if naming.class_name == "person" else words.color,
                words.rgb,
                "" if naming.class_name in ("person", "plant") else words.material,
                len(model.faces),
                held_out(entry.id),
                entry.creator,
                entry.licence or "as the package says",
                catalogue,
                file,
                sha256((folder / file).read_bytes()).hexdigest(),
            )  # fmt: skip
        )
    for texture in read_textures(archive):
        data = archive.read(texture.image)
        if decode(data) is None:
            lost.append(texture.id)
            continue
        file = f"models/surface_{len(surfaces):03d}{PurePosixPath(texture.image).suffix[:10]}"
        (folder / file).write_bytes(data)
        surfaces.append(
            Surface(
                texture.id,
                texture.name,
                texture.category,
                texture.size_m,
                texture.creator,
                texture.licence or "as the package says",
                catalogue,
                file,
                sha256(data).hexdigest(),
            )  # fmt: skip
        )


@lru_cache(maxsize=4)
def library_at(folder: Path) -> Library:
    """The library in a folder, read once a process."""
    return Library(folder)
