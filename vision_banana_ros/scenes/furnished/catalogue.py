# SPDX-License-Identifier: Apache-2.0
"""Reads Sweet Home 3D catalogues.

Zip files whose properties list models or textures, `key#i=value`, sizes in cm.
"""

import re
import zipfile
from dataclasses import dataclass
from hashlib import sha256
from math import isfinite

from vision_banana_ros.errors import InputError
from vision_banana_ros.files import MAX_TEXT_BYTES

FURNITURE = (
    "PluginFurnitureCatalog.properties",
    "com/eteks/sweethome3d/io/DefaultFurnitureCatalog.properties",
)
TEXTURES = ("PluginTexturesCatalog.properties", "com/eteks/sweethome3d/io/DefaultTexturesCatalog.properties")
HELD_OUT = 0.15
LARGEST_M = 1000.0
MAX_TEXT = 1000
"""Characters of a value; names of makers are printed, and more is no name."""
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
LINE = re.compile(r"\s*([A-Za-z]+)(?:#(\d+))?\s*[=:]\s*(.*)")


@dataclass(frozen=True)
class Entry:
    """A model as its catalogue describes it; metres. `model` is the OBJ's path inside the zip."""

    id: str
    name: str
    category: str
    creator: str
    licence: str
    model: str
    size_m: tuple[float, float, float]
    elevation_m: float
    rotation: tuple[float, ...] = IDENTITY
    wall_front: float = 0.0
    """Of doors and windows: how far before the wall's face their front stands, as a share of their depth."""


@dataclass(frozen=True)
class TextureEntry:
    """A wall, floor or sky picture and the metres that it spans."""

    id: str
    name: str
    category: str
    creator: str
    licence: str
    image: str
    size_m: tuple[float, float]


def held_out(model_id: str) -> bool:
    """Whether a model belongs to the test split alone.

    The first 8 bytes of its id's SHA-256, as a share, below 0.15.

    The id is the catalogue's name of the model, such as "Scopia#bed1"; it does not change with order or
    version.
    """
    return int.from_bytes(sha256(model_id.encode()).digest()[:8], "big") / 2**64 < HELD_OUT


def properties(text: str) -> tuple[dict[str, str], dict[int, dict[str, str]]]:
    """The head's values and the numbered entries' of a Java properties file."""
    head: dict[str, str] = {}
    entries: dict[int, dict[str, str]] = {}
    for line in re.sub(r"\\\r?\n[ \t]*", "", text).splitlines():
        if not (found := LINE.match(line)) or line.lstrip()[0] in "#!":
            continue
        key, number, value = found.groups()
        value = re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), value).strip()
        # Java writes what lies beyond 16 bits as two halves
        value = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        value = "".join(letter if letter.isprintable() else " " for letter in value[:MAX_TEXT])
        (entries.setdefault(int(number), {}) if number else head)[key] = value
    return head, entries


def read_furniture(archive: zipfile.ZipFile) -> list[Entry]:
    """All models of a catalogue whose file exists. InputError if the zip is not a furniture catalogue."""
    head, listed = _read(archive, FURNITURE)
    names = set(archive.namelist())
    entries = []
    for number, row in sorted(listed.items()):
        model = row.get("model", "").lstrip("/")
        if model not in names or "name" not in row:
            continue
        try:
            width, depth, height = (float(row[key]) / 100 for key in ("width", "depth", "height"))
            rotation = tuple(float(x) for x in row.get("modelRotation", "").split())
            thickness = float(row.get("doorOrWindowWallThickness", 1))
            distance = float(row.get("doorOrWindowWallDistance", 0))
            elevation = float(row.get("elevation", 0)) / 100
        except (KeyError, ValueError):
            continue
        numbers = (elevation, thickness, distance, *rotation)
        if not all(0 < size < LARGEST_M for size in (width, depth, height)) or not all(
            map(isfinite, numbers)
        ):
            continue
        entries.append(
            Entry(
                id=row.get("id") or f"{head.get('id', 'catalogue')}#{number}",
                name=row["name"],
                category=row.get("category", ""),
                creator=row.get("creator", "unknown"),
                licence=head.get("license", ""),
                model=model,
                size_m=(width, depth, height),
                elevation_m=elevation,
                rotation=rotation if len(rotation) == 9 else IDENTITY,
                wall_front=max(0.0, 1.0 - thickness - distance),
            )
        )
    return entries


def read_textures(archive: zipfile.ZipFile) -> list[TextureEntry]:
    """Every texture of a catalogue; none where it has no list of them."""
    if not set(TEXTURES) & set(archive.namelist()):
        return []
    head, listed = _read(archive, TEXTURES)
    names = set(archive.namelist())
    entries = []
    for number, row in sorted(listed.items()):
        if (image := row.get("image", "").lstrip("/")) not in names:
            continue
        try:
            width, height = (float(row.get(key, 100)) / 100 for key in ("width", "height"))
        except ValueError:
            continue
        if 0 < width < LARGEST_M and 0 < height < LARGEST_M:
            entries.append(
                TextureEntry(
                    id=row.get("id") or f"texture#{number}",
                    name=row.get("name", ""),
                    category=row.get("category", ""),
                    creator=row.get("creator", "unknown"),
                    licence=head.get("license", ""),
                    image=image,
                    size_m=(width, height),
                )
            )
    return entries


def _read(
    archive: zipfile.ZipFile, places: tuple[str, ...]
) -> tuple[dict[str, str], dict[int, dict[str, str]]]:
    names = set(archive.namelist())
    for place in places:
        if place in names:
            if archive.getinfo(place).file_size > MAX_TEXT_BYTES:
                raise InputError(f"The list of models in '{archive.filename}' is too large; get it again.")
            return properties(archive.read(place).decode("latin-1"))
    raise InputError(
        f"'{archive.filename}' holds no list of models; give a Sweet Home 3D catalogue (.sh3f or its jar)."
    )
