# SPDX-License-Identifier: Apache-2.0
"""A furniture catalogue of boxes and cylinders, made on the spot, so that the tests need no download."""

import zipfile
from functools import cache
from math import cos, pi, sin
from pathlib import Path

import cv2
import numpy as np

from vision_banana_ros.scenes.furnished.catalogue import held_out

MTL = """newmtl skin
Kd 0 0 0
map_Kd skin.png
newmtl red
Kd 0.8 0.05 0.05
newmtl pane
Kd 0.8 0.9 0.9
d 0.3
newmtl leaf
Kd 1 1 1
map_Kd leaf.png
"""
# name, category, width x depth x height in cm, elevation, how many of it, material, door or window
MODELS = (
    ("Table", "Living room", (140, 80, 74), 0, 8, "skin"),
    ("Chair", "Living room", (45, 50, 90), 0, 12, "red"),
    ("Sofa", "Living room", (190, 90, 80), 0, 8, "skin"),
    ("Bookcase", "Living room", (90, 35, 180), 0, 8, "skin"),
    ("Plant", "Living room", (40, 40, 80), 0, 8, "leaf"), ("Cup", "Kitchen", (8, 8, 10), 0, 10, "red"),
    ("Vase", "Miscellaneous", (20, 20, 30), 0, 10, "skin"), ("Bed", "Bedroom", (140, 200, 60), 0, 8, "skin"),
    ("Desk", "Office", (140, 70, 74), 0, 8, "skin"), ("Fridge", "Kitchen", (60, 60, 120), 0, 8, "red"),
    ("Window", "Doors and windows", (120, 20, 120), 90, 8, "pane"),
    ("Door", "Doors and windows", (90, 15, 205), 0, 8, "skin"),
    ("SUV", "Vehicles", (180, 430, 150), 0, 8, "red"), ("Box", "Miscellaneous", (60, 50, 40), 0, 8, "skin"),
    ("Toilet unit", "Bathroom", (40, 60, 80), 0, 8, "skin"),
    ("Acacia", "Exterior", (300, 300, 500), 0, 8, "leaf"),
)  # fmt: skip


def box_obj(material: str, width: float = 1.0, depth: float = 1.0, height: float = 1.0) -> str:
    """A box in OBJ's frame (y up), n-gons with texture coordinates and relative indices."""
    x, y, z = width / 2, height, depth / 2
    points = [(a, b, c) for b in (0, y) for a, c in ((-x, -z), (x, -z), (x, z), (-x, z))]
    lines = ["mtllib mat.mtl", *(f"v {a} {b} {c}" for a, b, c in points)]
    lines += [f"vt {a} {b}" for a, b in ((0, 0), (1, 0), (1, 1), (0, 1))] + [f"usemtl {material}"]
    for face in ((1, 2, 3, 4), (8, 7, 6, 5), (5, 6, 2, 1), (6, 7, 3, 2), (7, 8, 4, 3)):
        lines.append("f " + " ".join(f"{v}/{t}" for v, t in zip(face, (1, 2, 3, 4), strict=True)))
    return "\n".join([*lines, "f -1/1 -5/2 -8/3 -4/4"])


def cylinder_obj(material: str, sides: int = 24) -> str:
    ring = [(cos(2 * pi * k / sides), sin(2 * pi * k / sides)) for k in range(sides)]
    lines = ["mtllib mat.mtl", *(f"v {a} {y} {b}" for y in (0, 1) for a, b in ring), f"usemtl {material}"]
    for k in range(sides):
        n = (k + 1) % sides
        lines.append(f"f {k + 1} {n + 1} {n + sides + 1} {k + sides + 1}")
    lines.append("f " + " ".join(str(k + sides + 1) for k in range(sides)))
    return "\n".join([*lines, "f " + " ".join(str(k + 1) for k in range(sides))])


def png(picture: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", picture)[1])


def write_catalogue(path: Path, models: tuple = MODELS) -> Path:
    """A `.sh3f`: numbered models, some of which every split has, and two pictures for floors and walls."""
    rows = ["id=Test#Models", "name=Boxes", "license=CC0", "version=1"]
    checks = np.kron([[0, 1], [1, 0]], np.ones((8, 8)))[..., None] * (30, 60, 120) + (90, 90, 90)
    leaf = np.dstack(
        [np.full((16, 16, 3), (40, 150, 40)), np.where(np.arange(256).reshape(16, 16) % 16 < 8, 255, 0)]
    )
    with zipfile.ZipFile(path, "w") as archive:
        number = 0
        for name, category, size, elevation, count, material in models:
            folder = name.replace(" ", "")
            archive.writestr(f"{folder}/mat.mtl", MTL)
            archive.writestr(f"{folder}/skin.png", png(checks.astype(np.uint8)))
            archive.writestr(f"{folder}/leaf.png", png(leaf.astype(np.uint8)))
            archive.writestr(
                f"{folder}/m.obj",
                cylinder_obj(material) if name in ("Cup", "Vase") else box_obj(material, 3, 5, 7),
            )
            for k in ids(folder, count):
                number += 1
                rows += [
                    f"id#{number}={k}", f"name#{number}={name}", f"category#{number}={category}",
                    f"model#{number}=/{folder}/m.obj",
                    f"width#{number}={size[0]}", f"depth#{number}={size[1]}", f"height#{number}={size[2]}",
                    f"elevation#{number}={elevation}", f"creator#{number}=J\\u00fcrgen {category}",
                ]  # fmt: skip
        archive.writestr("PluginFurnitureCatalog.properties", "\n".join(rows))
        archive.writestr(
            "PluginTexturesCatalog.properties",
            "name=Pictures\nlicense=CC0\n"
            + "\n".join(
                f"id#{k}={name}\nname#{k}={name}\ncategory#{k}={category}\nimage#{k}=/check.png\nwidth#{k}=50\nheight#{k}=50"
                for k, (name, category) in enumerate(
                    (("Wooden floor", "Floor"), ("Grass", "Floor"), ("Bricks", "Wall")), 1
                )
            ),
        )
        archive.writestr("check.png", png(checks.astype(np.uint8)))
    return path


@cache
def ids(name: str, count: int) -> tuple[str, ...]:
    """Names of models, two of which (or all, of one) are held out."""
    found: list[str] = []
    wanted = {True: 2 if count > 2 else count, False: count - 2 if count > 2 else count}
    k = 0
    while any(wanted.values()):
        k += 1
        if wanted[held_out(f"Test#{name}{k}")]:
            wanted[held_out(f"Test#{name}{k}")] -= 1
            found.append(f"Test#{name}{k}")
    return tuple(found)
