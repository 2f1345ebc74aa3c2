# SPDX-License-Identifier: Apache-2.0
"""Reads Wavefront OBJ and MTL, tolerating n-gons, negative and missing indices, and missing textures."""

import posixpath
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

import numpy as np

from vision_banana_ros.errors import InputError

# Colours (0-255) that readers of OBJ know by name where a model has no MTL of its own.
NAMED: dict[str, tuple[int, int, int]] = {
    "white": (240, 240, 240), "flwhite": (235, 235, 235), "flwhite1": (235, 235, 235),
    "archwhite": (235, 230, 215),
    "archwhite2": (225, 220, 205), "offwhite.warm": (240, 232, 214), "flblonde": (222, 184, 128),
    "flyellow": (226, 178, 50), "yellow": (235, 205, 40), "yellowbrt": (245, 220, 60),
    "silver": (190, 190, 195),
    "black": (25, 25, 25), "flblack": (25, 25, 25), "grey": (125, 125, 125), "flgrey": (130, 130, 130),
    "ltgrey": (180, 180, 180), "flltgrey": (185, 185, 185), "dkgrey": (85, 85, 88), "fldkgrey": (85, 85, 85),
    "dkdkgrey": (50, 50, 52), "fldkdkgrey": (50, 50, 50), "bluegrey": (110, 122, 140),
    "yellow_green": (130, 170, 50),
    "amber": (200, 130, 40), "bone": (225, 215, 190), "bone2": (210, 200, 175), "iris": (90, 80, 190),
    "flbrown": (110, 66, 36), "brown": (105, 62, 34), "fltan": (200, 165, 120), "tan": (205, 170, 125),
    "lighttan": (220, 190, 150), "lighttan2": (215, 185, 145), "lighttannew": (220, 190, 150),
    "flltbrown": (165, 115, 70), "redwood": (140, 60, 40), "red": (190, 30, 30), "dkred": (120, 20, 20),
    "ruby": (160, 20, 50), "florange": (235, 125, 30), "jetflame": (255, 160, 40), "dkblue": (30, 45, 110),
    "sky_blue": (120, 180, 225), "bluteal": (40, 120, 150), "lavendar": (180, 160, 215),
    "flesh": (230, 185, 155),
    "brzskin": (170, 110, 80), "sand_stone": (200, 180, 145), "teeth": (240, 235, 220),
    "ship2": (150, 150, 150),
}  # fmt: skip


@dataclass
class Material:
    """Colours 0-1 as the file has them. alpha: 1 opaque. texture, mask: paths inside the zip, "" for none."""

    name: str
    color: tuple[float, ...] = (0.7, 0.7, 0.7)
    alpha: float = 1.0
    gloss: float = 0.0
    shininess: float = 20.0
    glow: float = 0.0
    texture: str = ""
    mask: str = ""


@dataclass
class Mesh:
    """Triangles of an OBJ in its own frame: faces (T, 3) into points (V, 3); uv (T, 3, 2); material (T,)."""

    points: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    material: np.ndarray
    materials: list[Material]


def read_mesh(archive: zipfile.ZipFile, path: str) -> Mesh:
    """The mesh of an OBJ in a zip, with its materials. InputError if it has no triangle."""
    names = _names(archive)
    folder = posixpath.dirname(path)

    def find(relative: str) -> str:
        """The real name of a file beside the OBJ; "" where there is none. Case differs in real catalogues."""
        wanted = unquote(relative.strip().replace("\\", "/"))
        for guess in (posixpath.join(folder, wanted), posixpath.join(folder, posixpath.basename(wanted))):
            if found := names.get(posixpath.normpath(guess).lower()):
                return found
        return ""

    def text_of(relative: str) -> str:
        found = find(relative)
        return archive.read(found).decode("latin-1") if found else ""

    return parse_obj(archive.read(path).decode("latin-1"), text_of, find)


@lru_cache(maxsize=1)
def _names(archive: zipfile.ZipFile) -> dict[str, str]:
    """The names of an archive's files by their lower-case form; found once, not once a model."""
    return {name.lower(): name for name in archive.namelist()}


def parse_obj(text: str, text_of: Callable[[str], str], find: Callable[[str], str]) -> Mesh:
    """All faces as triangles.

    text_of: returns the text of an MTL by its name in the OBJ, "" if missing. find: returns the path of a
    texture by its name in the MTL, "" if missing.
    """
    points: list[str] = []
    uvs: list[str] = ["0 0"]
    corners: list[tuple[int, int]] = []
    material: list[int] = []
    library: dict[str, Material] = {}
    materials: list[Material] = []
    number: dict[str, int] = {}
    current = -1
    read: set[str] = set()

    def use(name: str) -> int:
        if name not in number:
            number[name] = len(materials)
            plain = tuple(c / 255 for c in NAMED.get(name.lower(), (178, 178, 178)))
            alpha = 0.3 if "glass" in name.lower() and name not in library else 1.0
            materials.append(library.get(name) or Material(name, plain, alpha))
        return number[name]

    for line in text.replace("\\\n", " ").splitlines():
        key, _, rest = line.strip().partition(" ")
        if key == "v":
            points.append(rest)
        elif key == "vt":
            uvs.append(rest)
        elif key == "f":
            face = []
            for word in rest.split():
                places = (word + "/").split("/")
                v = int(places[0])
                t = int(places[1]) if places[1] else 0
                face.append((v - 1 if v > 0 else len(points) + v, t if t >= 0 else len(uvs) + t))
            if current < 0:
                current = use("")
            for a, b in zip(face[1:], face[2:], strict=False):
                corners += [face[0], a, b]
                material.append(current)
        elif key == "usemtl":
            current = use(rest.strip())
        elif key == "mtllib" and rest not in read:
            read.add(rest)
            for found in parse_mtl(text_of(rest), find):
                library[found.name] = found
    if not corners:
        raise InputError("The model's file has no faces; leave the model out.")
    pairs = np.array(corners).reshape(-1, 3, 2)
    whole = ((pairs[..., 0] >= 0) & (pairs[..., 0] < len(points))).all(1)
    pairs, kept = pairs[whole], np.array(material)[whole]
    known = np.where((pairs[..., 1] >= 0) & (pairs[..., 1] < len(uvs)), pairs[..., 1], 0)
    return Mesh(numbers(points, 3), pairs[..., 0], numbers(uvs, 2)[known], kept, materials)


def numbers(lines: list[str], count: int) -> np.ndarray:
    """The first `count` numbers of each line, zeros where there are fewer: (N, count)."""
    whole = np.fromstring(" ".join(lines), sep=" ")  # by far the fastest, where all lines have as many
    if len(whole) == count * len(lines):
        return whole.reshape(-1, count)
    return np.array([[float(x) for x in (line.split() + ["0"] * count)[:count]] for line in lines]).reshape(
        -1, count
    )


def parse_mtl(text: str, find: Callable[[str], str]) -> list[Material]:
    """The materials of an MTL. Numbers that cannot be read keep their defaults."""
    found: list[Material] = []
    for line in text.splitlines():
        key, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        if key == "newmtl":
            found.append(Material(rest))
            continue
        if not found or not rest:
            continue
        m = found[-1]
        if key in ("map_Kd", "map_d"):
            path = find(rest) or find(rest.split()[-1])
            if key == "map_Kd":
                m.texture = path
            else:
                m.mask = path
            continue
        try:
            values = tuple(float(x) for x in rest.split()[:3])
        except ValueError:
            continue
        if key == "Kd" and len(values) == 3:
            m.color = values
        elif key == "Ks" and len(values) == 3:
            m.gloss = sum(values) / 3
        elif key == "Ke":
            m.glow = max(values)
        elif key == "Ns":
            m.shininess = values[0]
        elif key == "d":
            m.alpha = values[0]
        elif key == "Tr" and m.alpha == 1.0 and 0.0 < values[0] < 1.0:
            m.alpha = 1.0 - values[0]
    return found
