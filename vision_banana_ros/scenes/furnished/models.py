# SPDX-License-Identifier: Apache-2.0
"""Converts models of a catalogue to arrays in metres.

True size, z up, front along -y, origin on the floor.
"""

import re
import zipfile
from dataclasses import dataclass, fields
from math import cos, radians, sqrt
from pathlib import Path

import cv2
import numpy as np
from numba import njit

from vision_banana_ros.scenes.furnished.catalogue import Entry
from vision_banana_ros.scenes.furnished.obj import Material, read_mesh
from vision_banana_ros.scenes.materials import RGB

TEXTURE_SIZE = 256
MOST_TRIANGLES = 40000
"""Bigger models are coarsened: one in sixteen."""
CREASE = cos(radians(42.0))
UNIT = 32767
"""Length of a stored normal."""
COLOR, ALPHA, GLOSS, SHARPNESS, GLOW, TEXTURE, CUTOUT = 0, 3, 4, 5, 6, 7, 8
"""Columns of `materials`: linear colour, 1 for opaque, strength and exponent of the highlight, own light,
row of `textures` or -1, 1 where the texture's alpha cuts holes."""
MATERIAL_COLUMNS = 9
SUPPORT_COLUMNS = 6
"""Columns of `supports`: x0, y0, x1, y1, z, free height above."""

WORDS = (  # what a material's or picture's name tells
    ("wood|oak|pine|teak|walnut|mahog|birch|beech|madera|bois|cherry|wenge|parquet|plank", "wood"),
    ("metal|steel|chrom|alumin|iron|brass|inox|copper|silver|acero|gold", "metal"),
    ("leather|cuir|fabric|cloth|cushion|cotton|textile|tissu|velvet|tela", "fabric"),
    ("plastic|pvc", "plastic"),
    ("ceramic|porcelain|china", "ceramic"),
    ("glass|verre|vitre|cristal", "glass"),
    ("cardboard|carton", "cardboard"),
)
AGREE = 0.5
"""Share of a model's surface that a colour or material must cover to name the whole."""


@dataclass(frozen=True)
class Model:
    """A model's arrays.

    points (V, 3) float32 metres; faces (T, 3) int32; shade (T, 3, 3) int16, corner normals times UNIT; uv (T,
    3, 2) float32; material (T,) int16; materials (M, MATERIAL_COLUMNS) float32; texels (N, 4) uint8 sRGB and
    alpha, every texture with its mip levels behind it; textures (K, 3) int32: first texel, log2 width, log2
    height; supports (S, SUPPORT_COLUMNS) float32: level rectangles inside its box that things can stand on.
    """

    points: np.ndarray
    faces: np.ndarray
    shade: np.ndarray
    uv: np.ndarray
    material: np.ndarray
    materials: np.ndarray
    texels: np.ndarray
    textures: np.ndarray
    supports: np.ndarray

    def save(self, path: Path) -> None:
        """Writes the model as .npz."""
        np.savez_compressed(path, **{f.name: getattr(self, f.name) for f in fields(self)})

    @staticmethod
    def load(path: Path) -> "Model":
        """Reads a model from .npz."""
        with np.load(path, allow_pickle=False) as data:
            return Model(**{f.name: data[f.name] for f in fields(Model)})


@dataclass(frozen=True)
class Words:
    """What a model looks like, in words.

    A name of `looks.COLORS`, "beige" or "mixed", its mean sRGB, its material or "".
    """

    color: str
    rgb: RGB
    material: str


def convert(archive: zipfile.ZipFile, entry: Entry) -> tuple[Model, Words]:
    """Converts a model of a catalogue. InputError if its file has no faces."""
    mesh = read_mesh(archive, entry.model)
    points = fit(mesh.points, mesh.faces, entry)
    faces, grid = mesh.faces, 500.0
    kept = np.ones(len(faces), bool)
    while kept.sum() > MOST_TRIANGLES and grid > 24:
        grid *= 0.75
        faces = merged(points, mesh.faces, max(entry.size_m) / grid)
        kept = distinct(faces)
    faces = faces[kept]
    corners = points[faces]
    area = 0.5 * np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    solid = area > 1e-10
    faces, area = faces[solid], area[solid]
    uv, material = mesh.uv[kept][solid], mesh.material[kept][solid]
    used, faces = np.unique(faces, return_inverse=True)
    points, faces = points[used].astype(np.float32), faces.reshape(-1, 3).astype(np.int32)
    materials, texels, textures = dress(archive, mesh.materials)
    model = Model(
        points,
        faces,
        np.rint(smooth(points.astype(np.float64), faces) * UNIT).astype(np.int16),
        uv.astype(np.float32),
        material.astype(np.int16),
        materials,
        texels,
        textures,
        find_supports(points[faces].astype(np.float64), materials[material, ALPHA] > 0.2),
    )
    return model, describe(model, mesh.materials, area)


def fit(points: np.ndarray, faces: np.ndarray, entry: Entry) -> np.ndarray:
    """The points turned, scaled to the catalogue's size and set on the floor.

    X right, y to the back, z up.
    """
    # the file's frame: x right, y up, z to the front
    turned = points @ np.array(entry.rotation).reshape(3, 3).T
    turned = np.stack([turned[:, 0], -turned[:, 2], turned[:, 1]], 1)
    used = turned[np.unique(faces)]
    low, high = used.min(0), used.max(0)
    scale = np.array(entry.size_m) / np.maximum(high - low, 1e-9)
    scale = np.where(high - low > 1e-9, scale, 1.0)
    middle = 0.5 * (low + high)
    return (turned - (middle[0], middle[1], low[2])) * scale


def merged(points: np.ndarray, faces: np.ndarray, cell: float) -> np.ndarray:
    """Faces whose corners are the first point of each cell of a grid."""
    cells = np.floor(points / cell).astype(np.int64)
    cells -= cells.min(0)
    keys = cells @ np.array([1, 1 << 20, 1 << 40])
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return first[inverse][faces]


def distinct(faces: np.ndarray) -> np.ndarray:
    """Which faces have three different corners."""
    a, b, c = faces.T
    return (a != b) & (b != c) & (a != c)


# ---------------------------------------------------------------- materials and words


def dress(archive: zipfile.ZipFile, materials: list[Material]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Material rows, texels and the table of textures."""
    rows = np.zeros((len(materials), MATERIAL_COLUMNS), np.float32)
    pixels: list[np.ndarray] = []
    table: list[tuple[int, int, int]] = []
    known: dict[tuple[str, str], int] = {}
    count = 0
    for row, m in zip(rows, materials, strict=True):
        key = (m.texture, m.mask)
        if any(key) and key not in known:
            picture = decode(
                archive.read(m.texture) if m.texture else b"", archive.read(m.mask) if m.mask else b""
            )
            known[key] = -1
            if picture is not None:
                known[key] = len(table)
                levels = mips(picture)
                table.append((count, picture.shape[1].bit_length() - 1, picture.shape[0].bit_length() - 1))
                pixels.append(levels)
                count += len(levels)
        texture = known.get(key, -1)
        color = np.clip(np.array(m.color[:3]), 0, 1)
        if m.texture and texture >= 0 and (color.max() < 0.5 or color.min() == color.max()):
            # files differ in whether the colour tints the picture; black ones never mean to
            color = np.ones(3)
        row[COLOR : COLOR + 3] = np.maximum(color, 0.02) ** 2.2
        row[ALPHA] = np.clip(m.alpha, 0.0, 1.0)
        row[GLOSS] = 0.35 * min(1.0, m.gloss)
        row[SHARPNESS] = np.clip(m.shininess, 6.0, 120.0)
        row[GLOW] = min(m.glow, 1.0)
        row[TEXTURE] = texture
        if texture >= 0:
            row[CUTOUT] = float((pixels[texture][:, 3] < 128).mean() > 0.002)
    texels = np.concatenate(pixels) if pixels else np.zeros((0, 4), np.uint8)
    return rows, texels, np.array(table, np.int32).reshape(-1, 3)


def _unpacked(data: bytes, flags: int) -> np.ndarray | None:
    """A picture, or None where it is none, or larger than OpenCV may unpack (`process_environment`)."""
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None


def decode(data: bytes, mask: bytes = b"") -> np.ndarray | None:
    """A picture as RGBA, bottom row first, its edges powers of two; None where it cannot be read."""
    picture = _unpacked(data, cv2.IMREAD_UNCHANGED) if data else np.full((2, 2, 3), 255, np.uint8)
    if picture is None or picture.dtype != np.uint8:
        return None
    if picture.ndim == 2:
        picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    if picture.shape[2] == 3:
        picture = np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])
    if mask:
        holes = _unpacked(mask, cv2.IMREAD_GRAYSCALE)
        if holes is not None:
            if holes.size > picture[..., 0].size:
                picture = cv2.resize(picture, holes.shape[::-1])
            picture[..., 3] = cv2.resize(holes, picture.shape[1::-1])
    width, height = (min(TEXTURE_SIZE, 1 << max(0, round(float(np.log2(n))))) for n in picture.shape[1::-1])
    picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(picture[::-1, :, [2, 1, 0, 3]])


def mips(picture: np.ndarray) -> np.ndarray:
    """The texels of a picture and of its ever smaller copies, (N, 4). Averages are made in linear light."""
    levels = [picture.reshape(-1, 4)]
    linear: np.ndarray = picture.astype(np.float32)
    linear[..., :3] = (linear[..., :3] / 255) ** 2.2
    while linear.shape[:2] != (1, 1):
        linear = cv2.resize(
            linear, (max(1, linear.shape[1] // 2), max(1, linear.shape[0] // 2)), interpolation=cv2.INTER_AREA
        ).reshape(max(1, linear.shape[0] // 2), max(1, linear.shape[1] // 2), 4)
        level = linear.copy()
        level[..., :3] = 255 * level[..., :3] ** (1 / 2.2)
        levels.append(np.rint(level).astype(np.uint8).reshape(-1, 4))
    return np.concatenate(levels)


def describe(model: Model, materials: list[Material], area: np.ndarray) -> Words:
    """The words that most of the surface agrees on."""
    share = np.bincount(model.material, area, len(materials)) / area.sum()
    colors: dict[str, float] = {}
    words: dict[str, float] = {}
    mean = np.zeros(3)
    for k, row in enumerate(model.materials):
        if share[k] == 0:
            continue
        tint = row[COLOR : COLOR + 3].astype(float)
        seen = np.ones((1, 3))
        if row[TEXTURE] >= 0:
            first, wide, high = model.textures[int(row[TEXTURE])]
            texels = model.texels[first : first + (1 << (wide + high))][
                :: max(1, (1 << (wide + high)) // 1024)
            ]
            texels = texels[texels[:, 3] >= 128] if (texels[:, 3] >= 128).any() else texels
            seen = (texels[:, :3] / 255.0) ** 2.2
        light = seen * tint
        mean += share[k] * light.mean(0)
        names = color_names(255 * light ** (1 / 2.2))
        for name in set(names):
            colors[name] = colors.get(name, 0.0) + share[k] * float((names == name).mean())
        word = material_name(f"{materials[k].name} {materials[k].texture.rsplit('/', 1)[-1]}")
        words[word] = words.get(word, 0.0) + share[k]
    color, material = (max(found, key=lambda name: found[name]) for found in (colors, words))
    r, g, b = (int(round(255 * c ** (1 / 2.2))) for c in mean)
    return Words(
        color if colors[color] >= AGREE else "mixed", (r, g, b), material if words[material] >= AGREE else ""
    )


def material_name(text: str) -> str:
    """The material that a file's words tell of, or ""."""
    return next((word for pattern, word in WORDS if re.search(pattern, text.lower())), "")


def color_names(rgb: np.ndarray) -> np.ndarray:
    """The name in `looks.COLORS`, or "beige", of sRGB colours (N, 3), 0-255."""
    r, g, b = rgb.T
    high, low = rgb.max(1), rgb.min(1)
    chroma = high - low
    safe = np.maximum(chroma, 1e-6)
    hue = 60 * np.select([high == r, high == g], [(g - b) / safe % 6, 2 + (b - r) / safe], 4 + (r - g) / safe)
    bounds = (16, 44, 68, 165, 255, 295, 340)
    names = np.select(
        [hue < k for k in bounds], ["red", "orange", "yellow", "green", "blue", "purple", "pink"], "red"
    )
    warm = (hue > 10) & (hue < 52)
    names = np.where(warm & ~((high >= 185) & (chroma > 0.7 * high)), "brown", names)
    names = np.where(warm & (high >= 190) & (chroma < 0.45 * high), "beige", names)
    names = np.where((names == "red") & (high > 190) & (low > 110), "pink", names)
    tones = np.select([high < 62, high < 190], ["black", "gray"], "white")
    return np.where((chroma < 30) | (chroma < 0.14 * high) | (high < 38), tones, names)


# ---------------------------------------------------------------- normals


def smooth(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Corner normals (T, 3, 3).

    Averaged by area over faces that meet at a point at less than the crease's angle.
    """
    a, b, c = (points[faces[:, k]] for k in range(3))
    cross = np.cross(b - a, c - a)
    grid = max(float(np.ptp(points, axis=0).max()), 1e-6) / 20000
    cells = np.floor(points / grid + 0.5).astype(np.int64)
    cells -= cells.min(0)
    _, welded = np.unique(cells @ np.array([1, 1 << 20, 1 << 40]), return_inverse=True)
    corners = welded[faces]
    order = np.argsort(corners.ravel(), kind="stable")
    starts = np.searchsorted(corners.ravel()[order], np.arange(corners.max() + 2))
    return average(cross, corners, order // 3, starts)


@njit(cache=True, nogil=True, error_model="numpy")
def average(cross, corners, around, starts):  # type: ignore[no-untyped-def]
    """Sums of the neighbours' `cross` products; a face whose winding is turned counts turned."""
    out = np.empty((len(cross), 3, 3))
    for t in range(len(cross)):
        x, y, z = cross[t, 0], cross[t, 1], cross[t, 2]
        length = sqrt(x * x + y * y + z * z)
        for k in range(3):
            sx, sy, sz = x, y, z
            first, last = starts[corners[t, k]], starts[corners[t, k] + 1]
            for i in range(first, min(last, first + 64)):
                o = around[i]
                if o == t:
                    continue
                u, v, w = cross[o, 0], cross[o, 1], cross[o, 2]
                d = x * u + y * v + z * w
                if abs(d) > CREASE * length * sqrt(u * u + v * v + w * w):
                    side = 1.0 if d > 0 else -1.0
                    sx += side * u
                    sy += side * v
                    sz += side * w
            size = max(sqrt(sx * sx + sy * sy + sz * sz), 1e-30)
            out[t, k, 0] = sx / size
            out[t, k, 1] = sy / size
            out[t, k, 2] = sz / size
    return out


# ---------------------------------------------------------------- where things can stand


def find_supports(corners: np.ndarray, opaque: np.ndarray) -> np.ndarray:
    """Level free rectangles of a model's triangles (T, 3, 3), largest first: (S, SUPPORT_COLUMNS)."""
    low, high = corners.min((0, 1)), corners.max((0, 1))
    if min(high[:2] - low[:2]) < 0.12 or high[2] < 0.02:
        return np.zeros((0, SUPPORT_COLUMNS), np.float32)
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = 0.5 * np.linalg.norm(cross, axis=1)
    flat = (abs(cross[:, 2]) > 0.98 * 2 * area) & opaque
    heights = np.rint(corners[flat][:, :, 2].mean(1) * 100).astype(int)
    counts = np.bincount(heights.clip(0), area[flat], minlength=2)
    counts[:2] = 0.0
    found = []
    for level in sorted(np.flatnonzero(counts > 0.02), key=lambda k: -counts[k])[:10]:
        near = flat.copy()
        near[flat] = heights == level
        top = float(corners[near][:, :, 2].max())
        for clearance in (2.5, 0.35, 0.15):
            x0, y0, x1, y1 = largest_free(corners, near, low, high, top, clearance, 40)
            if min(x1 - x0, y1 - y0) >= 0.1 and (
                clearance > 1 or open_front(corners, x0, y0, x1, y1, top + 0.06)
            ):
                found.append((x0, y0, x1, y1, top, clearance))
                break
    found.sort(key=lambda s: -(s[2] - s[0]) * (s[3] - s[1]) * (1.0 if s[5] > 1 else 0.5))
    return np.array(found[:6], np.float32).reshape(-1, SUPPORT_COLUMNS)


@njit(cache=True, nogil=True, error_model="numpy")
def open_front(corners, x0, y0, x1, y1, z):  # type: ignore[no-untyped-def]
    """Whether nothing stands before a board, as the doors of a cupboard do.

    Rays to the front (-y) from its middle.
    """
    oy = 0.5 * (y0 + y1)
    met = 0
    for k in range(3):
        ox = x0 + (x1 - x0) * (k + 1) / 4
        for t in range(len(corners)):
            # in the plane x, z: is the ray's point inside the triangle, and in front?
            ax, az = corners[t, 0, 0] - ox, corners[t, 0, 2] - z
            bx, bz = corners[t, 1, 0] - ox, corners[t, 1, 2] - z
            cx, cz = corners[t, 2, 0] - ox, corners[t, 2, 2] - z
            u, v, w = bx * cz - bz * cx, cx * az - cz * ax, ax * bz - az * bx
            if (u < 0 or v < 0 or w < 0) and (u > 0 or v > 0 or w > 0) or u + v + w == 0:
                continue
            y = (u * corners[t, 0, 1] + v * corners[t, 1, 1] + w * corners[t, 2, 1]) / (u + v + w)
            if y < oy:
                met += 1
                break
    return met < 2


@njit(cache=True, nogil=True, error_model="numpy")
def largest_free(corners, near, low, high, top, clearance, cells):  # type: ignore[no-untyped-def]
    """The largest rectangle x0, y0, x1, y1 of level `top` that a surface covers and nothing reaches above."""
    dx, dy = (high[0] - low[0]) / cells, (high[1] - low[1]) / cells
    covered = np.zeros((cells, cells), np.bool_)
    blocked = np.zeros((cells, cells), np.bool_)
    for t in range(len(corners)):
        z0 = min(corners[t, 0, 2], corners[t, 1, 2], corners[t, 2, 2])
        z1 = max(corners[t, 0, 2], corners[t, 1, 2], corners[t, 2, 2])
        above = z1 > top + 0.006 and z0 < top + clearance
        if not above and not near[t]:
            continue
        ax, ay = corners[t, 0, 0] - low[0], corners[t, 0, 1] - low[1]
        bx, by = corners[t, 1, 0] - low[0], corners[t, 1, 1] - low[1]
        cx, cy = corners[t, 2, 0] - low[0], corners[t, 2, 1] - low[1]
        i0, i1 = int(min(ax, bx, cx) / dx), int(max(ax, bx, cx) / dx)
        j0, j1 = int(min(ay, by, cy) / dy), int(max(ay, by, cy) / dy)
        twice = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        for j in range(max(0, j0), min(cells - 1, j1) + 1):
            for i in range(max(0, i0), min(cells - 1, i1) + 1):
                if above:
                    blocked[j, i] = True  # by its box: a thing in doubt stands in the way
                    continue
                if abs(twice) < 1e-12:
                    continue
                px, py = (i + 0.5) * dx, (j + 0.5) * dy
                u = ((bx - px) * (cy - py) - (by - py) * (cx - px)) / twice
                v = ((cx - px) * (ay - py) - (cy - py) * (ax - px)) / twice
                if u >= -1e-6 and v >= -1e-6 and u + v <= 1.000001:
                    covered[j, i] = True
    run = np.zeros(cells, np.int64)
    best = 0.0
    x0 = y0 = x1 = y1 = 0.0
    for j in range(cells):
        for i in range(cells):
            run[i] = run[i] + 1 if covered[j, i] and not blocked[j, i] else 0
        for i in range(cells):
            least = run[i]
            for k in range(i, cells):
                least = min(least, run[k])
                if least == 0:
                    break
                w, h = (k - i + 1) * dx, least * dy
                if w * h * min(w, h) > best:  # rather square than long
                    best = w * h * min(w, h)
                    x0, x1 = low[0] + i * dx, low[0] + (k + 1) * dx
                    y0, y1 = low[1] + (j + 1 - least) * dy, low[1] + (j + 1) * dy
    return x0, y0, x1, y1
