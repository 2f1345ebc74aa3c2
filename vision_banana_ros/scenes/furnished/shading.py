# SPDX-License-Identifier: Apache-2.0
# mypy: disallow-untyped-defs=False
"""Shading and ground truth of triangle hits: all compiled functions of the furnished renderer.

A camera ray is o + t d with d of length 1 along the optical axis, so that t is the depth Z. Ray casters only
determine *which* triangle is hit; t is computed from the plane of the triangle in double precision here.

Normals are interpolated between vertices whose faces meet at less than the crease angle: facets are an
artefact of tessellation, and shading uses the smooth surface. They always face the camera.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from vision_banana_ros.scenes.furnished.models import ALPHA, COLOR, CUTOUT, GLOSS, GLOW, SHARPNESS, TEXTURE

# the arrays `lights` and `air` are those of the procedural scenes (`scenes/kernel.py`)
SUN = 0
AMBIENT_UP, AMBIENT_DOWN, FOG_COLOR, FOG, ZENITH, HORIZON, SUN_DIR, CLOUDS, AIR_SEED = (
    0,
    3,
    6,
    9,
    10,
    13,
    16,
    19,
    26,
)
ORIGIN, ROTATION, FOCAL, CENTRE = 13, 4, 0, 2  # entries of `Camera.eye()`

LINEAR = ((np.arange(256) / 255.0) ** 2.2).astype(np.float32)
REACH = 1.0
"""How far, in metres, other things darken a corner."""
ORDER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]])
"""The order in which a square of 4 x 4 pixels is filled evenly."""
OPTIONS: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract", "nsz", "arcp", "reassoc", "afn"},
}
jit = njit(**OPTIONS)


class Soup(NamedTuple):
    """All triangles of a world.

    corners (T, 3, 3) float32 in the world; shade (T, 3, 3) int16, corner normals times `models.UNIT` or
    zeros, where the triangle's own serves; uv (T, 3, 2) float32; material, owner (T,) int32; materials,
    texels, textures as in `models.Model`; label (N,) uint8 and instance (N,) uint16 of each owner. The first
    `solid` triangles are opaque, the others cut out by a texture's alpha or, last, glass.
    """

    corners: np.ndarray
    shade: np.ndarray
    uv: np.ndarray
    material: np.ndarray
    owner: np.ndarray
    materials: np.ndarray
    texels: np.ndarray
    textures: np.ndarray
    label: np.ndarray
    instance: np.ndarray
    solid: int


@jit
def rays(eye, columns, rows):
    """Directions (N, 3) float32 in the world through pixels, length 1 along the optical axis."""
    out = np.empty((len(columns), 3), np.float32)
    for i in range(len(columns)):
        x, y = (columns[i] - eye[CENTRE]) / eye[FOCAL], (rows[i] - eye[CENTRE + 1]) / eye[FOCAL + 1]
        for k in range(3):
            r = ROTATION + 3 * k
            out[i, k] = eye[r] * x + eye[r + 1] * y + eye[r + 2]
    return out


@jit
def meet(corners, p, ox, oy, oz, dx, dy, dz):
    """The t at which the ray meets the triangle's plane, barycentric u, v there, and the plane's normal."""
    ax, ay, az = float(corners[p, 0, 0]), float(corners[p, 0, 1]), float(corners[p, 0, 2])
    ux, uy, uz = corners[p, 1, 0] - ax, corners[p, 1, 1] - ay, corners[p, 1, 2] - az
    vx, vy, vz = corners[p, 2, 0] - ax, corners[p, 2, 1] - ay, corners[p, 2, 2] - az
    nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    down = nx * dx + ny * dy + nz * dz
    if abs(down) < 1e-30:
        down = 1e-30
    t = (nx * (ax - ox) + ny * (ay - oy) + nz * (az - oz)) / down
    px, py, pz = ox + t * dx - ax, oy + t * dy - ay, oz + t * dz - az
    size = max(nx * nx + ny * ny + nz * nz, 1e-30)
    # (P x V) . N and (U x P) . N over N . N
    u = ((py * vz - pz * vy) * nx + (pz * vx - px * vz) * ny + (px * vy - py * vx) * nz) / size
    v = ((uy * pz - uz * py) * nx + (uz * px - ux * pz) * ny + (ux * py - uy * px) * nz) / size
    return t, min(max(u, 0.0), 1.0), min(max(v, 0.0), 1.0), nx, ny, nz


@jit
def normal_at(soup, p, u, v, nx, ny, nz, dx, dy, dz):
    """Unit normal of the smooth surface, on the viewer's side; (nx, ny, nz) is the triangle's own."""
    w = 1.0 - u - v
    sx = w * soup.shade[p, 0, 0] + u * soup.shade[p, 1, 0] + v * soup.shade[p, 2, 0]
    sy = w * soup.shade[p, 0, 1] + u * soup.shade[p, 1, 1] + v * soup.shade[p, 2, 1]
    sz = w * soup.shade[p, 0, 2] + u * soup.shade[p, 1, 2] + v * soup.shade[p, 2, 2]
    if sx * sx + sy * sy + sz * sz < 1.0:
        sx, sy, sz = nx, ny, nz
    if (nx * dx + ny * dy + nz * dz > 0.0) != (sx * nx + sy * ny + sz * nz < 0.0):
        sx, sy, sz = -sx, -sy, -sz
    away = sx * dx + sy * dy + sz * dz
    if away > 0.0:  # round a silhouette the smooth normal may point away: no further than across the ray
        scale = away / (dx * dx + dy * dy + dz * dz)
        sx, sy, sz = sx - scale * dx, sy - scale * dy, sz - scale * dz
    size = max(math.sqrt(sx * sx + sy * sy + sz * sz), 1e-12)
    return sx / size, sy / size, sz / size


@jit
def around(first, wide, high, s, t):
    """The four texels around (s, t) of a texture that repeats, for bilinear interpolation.

    first: index of the texture's first texel. wide, high: logarithms of its size to the base of 2. Returns
    the texels' indices, row by row, and how far right and down from the first of them (s, t) lies, 0..1.
    """
    x, y = s * (1 << wide) - 0.5, t * (1 << high) - 0.5
    fx, fy = math.floor(x), math.floor(y)
    i0, j0 = int(fx) & ((1 << wide) - 1), int(fy) & ((1 << high) - 1)
    i1, j1 = (i0 + 1) & ((1 << wide) - 1), (j0 + 1) & ((1 << high) - 1)
    above, below = first + (j0 << wide), first + (j1 << wide)
    return above + i0, above + i1, below + i0, below + i1, x - fx, y - fy


@jit
def texel(soup, row, s, t, level):
    """Bilinear linear colour and alpha 0-1 of a texture that repeats."""
    first = soup.textures[row, 0]
    wide, high = soup.textures[row, 1], soup.textures[row, 2]
    for _ in range(level):
        if wide + high == 0:
            break
        first += 1 << (wide + high)
        wide, high = max(wide - 1, 0), max(high - 1, 0)
    e, f, g, h, x, y = around(first, wide, high, s, t)
    q = soup.texels
    w00, w10, w01, w11 = (1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y
    red = w00 * LINEAR[q[e, 0]] + w10 * LINEAR[q[f, 0]] + w01 * LINEAR[q[g, 0]] + w11 * LINEAR[q[h, 0]]
    green = w00 * LINEAR[q[e, 1]] + w10 * LINEAR[q[f, 1]] + w01 * LINEAR[q[g, 1]] + w11 * LINEAR[q[h, 1]]
    blue = w00 * LINEAR[q[e, 2]] + w10 * LINEAR[q[f, 2]] + w01 * LINEAR[q[g, 2]] + w11 * LINEAR[q[h, 2]]
    alpha = w00 * q[e, 3] + w10 * q[f, 3] + w01 * q[g, 3] + w11 * q[h, 3]
    return red, green, blue, alpha / 255.0


@jit
def paint(soup, p, u, v, footprint):
    """Linear colour and texture's alpha of a triangle.

    `footprint` is a pixel's width on the surface, in metres.
    """
    m = soup.material[p]
    r, g, b = (soup.materials[m, COLOR], soup.materials[m, COLOR + 1], soup.materials[m, COLOR + 2])
    row = int(soup.materials[m, TEXTURE])
    if row < 0:
        return r, g, b, 1.0
    w = 1.0 - u - v
    c = soup.uv
    s = w * c[p, 0, 0] + u * c[p, 1, 0] + v * c[p, 2, 0]
    t = w * c[p, 0, 1] + u * c[p, 1, 1] + v * c[p, 2, 1]
    level = 0
    if footprint > 0.0:
        twice = abs(
            (c[p, 1, 0] - c[p, 0, 0]) * (c[p, 2, 1] - c[p, 0, 1])
            - (c[p, 2, 0] - c[p, 0, 0]) * (c[p, 1, 1] - c[p, 0, 1])
        )
        k = soup.corners
        ux, uy, uz = k[p, 1, 0] - k[p, 0, 0], k[p, 1, 1] - k[p, 0, 1], k[p, 1, 2] - k[p, 0, 2]
        vx, vy, vz = k[p, 2, 0] - k[p, 0, 0], k[p, 2, 1] - k[p, 0, 1], k[p, 2, 2] - k[p, 0, 2]
        x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        area = max(math.sqrt(x * x + y * y + z * z), 1e-12)
        texels = float(1 << (soup.textures[row, 1] + soup.textures[row, 2]))
        level = max(
            0, min(16, int(0.5 * math.log2(max(twice * texels / area, 1e-12) * footprint * footprint) + 0.5))
        )
    x, y, z, alpha = texel(soup, row, s, t, level)
    return r * x, g * y, b * z, alpha


@jit
def opacity(soup, p, u, v):
    """Alpha 0-1 of a triangle's texture, as `paint` has it."""
    row = int(soup.materials[soup.material[p], TEXTURE])
    if row < 0:
        return 1.0
    w = 1.0 - u - v
    c = soup.uv
    first, wide, high = soup.textures[row, 0], soup.textures[row, 1], soup.textures[row, 2]
    s = w * c[p, 0, 0] + u * c[p, 1, 0] + v * c[p, 2, 0]
    t = w * c[p, 0, 1] + u * c[p, 1, 1] + v * c[p, 2, 1]
    e, f, g, h, x, y = around(first, wide, high, s, t)
    q = soup.texels
    alpha = (1 - y) * ((1 - x) * q[e, 3] + x * q[f, 3]) + y * ((1 - x) * q[g, 3] + x * q[h, 3])
    return alpha / 255.0


@jit
def solid_hits(soup, ox, oy, oz, dirs, found, depth):
    """Depth (N,) of the triangles found, +inf where there is none."""
    for i in range(len(found)):
        depth[i] = np.inf
        if found[i] >= 0:
            depth[i] = meet(
                soup.corners, found[i], ox, oy, oz, float(dirs[i, 0]), float(dirs[i, 1]), float(dirs[i, 2])
            )[0]


@jit
def pass_through(
    soup, air, ox, oy, oz, dirs, active, found, near, front, front_t, back, back_t, clear, added
):
    """One layer of glass and cut-out textures: keeps in `active` the rays that go on behind it.

    How many there are.
    """
    count = 0
    for k in range(len(found)):
        i = active[k]
        if found[k] < 0:
            continue
        p = soup.solid + found[k]
        dx, dy, dz = float(dirs[i, 0]), float(dirs[i, 1]), float(dirs[i, 2])
        t, u, v, nx, ny, nz = meet(soup.corners, p, ox, oy, oz, dx, dy, dz)
        t = max(t, near[i])
        if t >= back_t[i]:
            continue
        near[i] = t
        m = soup.material[p]
        if soup.materials[m, CUTOUT] > 0.5 and opacity(soup, p, u, v) < 0.5:
            active[count] = i
            count += 1
            continue
        if front[i] < 0:
            front[i] = p
            front_t[i] = t
        alpha = soup.materials[m, ALPHA]
        if alpha > 0.97:
            back[i] = p
            back_t[i] = t
            continue
        r, g, b, _ = paint(soup, p, u, v, 0.0)
        # glass: its own colour, a reflection of the surroundings that grows at grazing angles, and what is
        # behind
        size = math.sqrt((nx * nx + ny * ny + nz * nz) * (dx * dx + dy * dy + dz * dz))
        facing = abs(nx * dx + ny * dy + nz * dz) / max(size, 1e-30)
        mirror = 0.04 + 0.6 * (1.0 - facing) ** 5
        own = min(1.0, alpha)
        for c in range(3):
            tint = r if c == 0 else g if c == 1 else b
            light = air[AMBIENT_UP + c]
            added[i, c] += clear[i, c] * (own * tint * 1.6 * light + mirror * light)
            clear[i, c] *= (1.0 - own) * (1.0 - mirror)
        active[count] = i
        count += 1
    return count


@jit
def truth(soup, eye, dirs, front, front_t, sky_label, depth_m, normals, labels, instances):
    """Depth, normals (x right, y up, z to the viewer), labels and instances of the first surfaces."""
    for i in range(len(front)):
        p = front[i]
        depth_m[i] = front_t[i]
        if p < 0:
            normals[i, 0] = normals[i, 1] = normals[i, 2] = np.nan
            labels[i] = sky_label
            instances[i] = 0
            continue
        dx, dy, dz = float(dirs[i, 0]), float(dirs[i, 1]), float(dirs[i, 2])
        _, u, v, nx, ny, nz = meet(soup.corners, p, eye[ORIGIN], eye[ORIGIN + 1], eye[ORIGIN + 2], dx, dy, dz)
        x, y, z = normal_at(soup, p, u, v, nx, ny, nz, dx, dy, dz)
        for c in range(3):
            side = eye[ROTATION + c] * x + eye[ROTATION + 3 + c] * y + eye[ROTATION + 6 + c] * z
            normals[i, c] = side if c == 0 else -side
        labels[i] = soup.label[soup.owner[p]]
        instances[i] = soup.instance[soup.owner[p]]


# ---------------------------------------------------------------- light


@jit
def fraction(x):
    """The fractional part."""
    return x - math.floor(x)


@jit
def prepare(
    soup, eye, lights, dirs, back, back_t, height, width, spots, faces, starts, towards, reach, which
):
    """Where the last surfaces are (spots, faces) and two rays from each pixel.

    To one of the lights, and into the air.

    `which` is the light that a pixel asks (neighbours ask different ones), -1 where there is nothing to ask.
    """
    n = height * width
    count = max(1, len(lights))
    for i in range(n):
        p = back[i]
        which[i] = which[n + i] = -1
        if p < 0:
            faces[i, 0] = faces[i, 1] = faces[i, 2] = 0.0
            continue
        row, column = i // width, i % width
        dx, dy, dz = float(dirs[i, 0]), float(dirs[i, 1]), float(dirs[i, 2])
        t = back_t[i]
        _, u, v, nx, ny, nz = meet(soup.corners, p, eye[ORIGIN], eye[ORIGIN + 1], eye[ORIGIN + 2], dx, dy, dz)
        x, y, z = normal_at(soup, p, u, v, nx, ny, nz, dx, dy, dz)
        size = max(math.sqrt(nx * nx + ny * ny + nz * nz), 1e-30)
        side = -1.0 if nx * dx + ny * dy + nz * dz > 0 else 1.0
        nx, ny, nz = side * nx / size, side * ny / size, side * nz / size
        lift = 0.0005 + 0.0005 * t
        sx, sy, sz = (
            eye[ORIGIN] + t * dx + lift * nx,
            eye[ORIGIN + 1] + t * dy + lift * ny,
            eye[ORIGIN + 2] + t * dz + lift * nz,
        )
        spots[i, 0], spots[i, 1], spots[i, 2] = sx, sy, sz
        faces[i, 0], faces[i, 1], faces[i, 2] = x, y, z
        # every square of 4 x 4 pixels, wherever it begins, asks each light from as many places as the next
        # one does
        place = ORDER[row & 3, column & 3]
        shift = fraction(43758.5453 * math.sin(12.9898 * column + 78.233 * row))  # as good as chance
        if len(lights):
            k = place % count
            j1 = (place // count + shift) * count / 16.0
            j2 = fraction(0.618034 * (place // count) + 7.31 * shift)
            radius = lights[k, 7] * math.sqrt(j1)
            lx, ly, lz = lights[k, 1], lights[k, 2], lights[k, 3]
            ax, ay, az = (
                radius * math.cos(6.2831853 * j2),
                radius * math.sin(6.2831853 * j2),
                0.5 * radius * (2.0 * j1 - 1.0),
            )
            far = 1e3
            if lights[k, 0] == SUN:
                lx, ly, lz = lx + ax, ly + ay, lz + az
            else:
                lx, ly, lz = lx + ax - sx, ly + ay - sy, lz + az - sz
            size = max(math.sqrt(lx * lx + ly * ly + lz * lz), 1e-9)
            if lights[k, 0] != SUN:
                far = size - 0.02
            lx, ly, lz = lx / size, ly / size, lz / size
            which[i] = k
            # light from behind is dark without asking
            reach[i] = far if nx * lx + ny * ly + nz * lz > 0 else 0.0
            starts[i, 0], starts[i, 1], starts[i, 2] = sx, sy, sz
            towards[i, 0], towards[i, 1], towards[i, 2] = lx, ly, lz
        if place & 1 == 0:
            j1 = fraction(0.618034 * (place >> 1) + 5.17 * shift)
            j2 = ((place >> 1) + shift) / 8.0
            # the direction of a unit normal plus a point on the unit ball is spread like the cosine
            up = 2.0 * j2 - 1.0
            flat = math.sqrt(max(0.0, 1.0 - up * up))
            qx, qy, qz = x + flat * math.cos(6.2831853 * j1), y + flat * math.sin(6.2831853 * j1), z + up
            size = max(math.sqrt(qx * qx + qy * qy + qz * qz), 1e-6)
            which[n + i] = 0
            starts[n + i, 0], starts[n + i, 1], starts[n + i, 2] = sx, sy, sz
            towards[n + i, 0], towards[n + i, 1], towards[n + i, 2] = qx / size, qy / size, qz / size
            reach[n + i] = REACH


@jit
def dim(soup, starts, towards, reach, free, found, lit):
    """Takes from the light of the rays `free` what the first glass or leaf on their way keeps."""
    for k in range(len(free)):
        if found[k] < 0:
            continue
        i, p = free[k], soup.solid + found[k]
        t, u, v, _, _, _ = meet(
            soup.corners, p, float(starts[i, 0]), float(starts[i, 1]), float(starts[i, 2]),
            float(towards[i, 0]), float(towards[i, 1]), float(towards[i, 2]),
        )  # fmt: skip
        if t >= reach[i]:
            continue
        m = soup.material[p]
        if soup.materials[m, CUTOUT] < 0.5 or opacity(soup, p, u, v) >= 0.5:
            lit[i] *= 1.0 - soup.materials[m, ALPHA]


@jit
def filter_light(which, lit, spots, faces, back_t, lights, height, width, seen):
    """The share of each light, and of the air in the last column, that reaches a pixel.

    Averages over its plane.
    """
    n = height * width
    count = len(lights)
    total = np.empty(count + 1)
    hits = np.empty(count + 1)
    for i in range(n):
        x, y, z = faces[i, 0], faces[i, 1], faces[i, 2]
        if x == 0.0 and y == 0.0 and z == 0.0:
            for k in range(count + 1):
                seen[i, k] = 1.0
            continue
        total[:] = 0.0
        hits[:] = 0.0
        row, column = i // width, i % width
        thick = 0.03 * back_t[i] + 0.01
        for r in range(max(0, row - 2), min(height, row + 2)):
            for c in range(max(0, column - 2), min(width, column + 2)):
                j = r * width + c
                if faces[j, 0] * x + faces[j, 1] * y + faces[j, 2] * z < 0.8:
                    continue
                off = (
                    (spots[j, 0] - spots[i, 0]) * x
                    + (spots[j, 1] - spots[i, 1]) * y
                    + (spots[j, 2] - spots[i, 2]) * z
                )
                if abs(off) > thick:
                    continue
                if which[j] >= 0:
                    total[which[j]] += 1.0
                    hits[which[j]] += lit[j]
                if which[n + j] >= 0:
                    total[count] += 1.0
                    hits[count] += lit[n + j]
        for k in range(count + 1):
            seen[i, k] = hits[k] / total[k] if total[k] > 0 else 0.7


@jit
def soften(seen, spots, faces, back_t, height, width):
    """Averages over five squares instead of one.

    The pixel's own and those that begin two pixels away, on its plane.
    """
    out = np.empty_like(seen)
    for i in range(height * width):
        row, column = i // width, i % width
        x, y, z = faces[i, 0], faces[i, 1], faces[i, 2]
        for k in range(seen.shape[1]):
            out[i, k] = seen[i, k]
        count = 1
        for corner in range(4):
            r, c = row - 2 + 4 * (corner >> 1), column - 2 + 4 * (corner & 1)
            if r < 0 or c < 0 or r >= height or c >= width:
                continue
            j = r * width + c
            off = (
                (spots[j, 0] - spots[i, 0]) * x
                + (spots[j, 1] - spots[i, 1]) * y
                + (spots[j, 2] - spots[i, 2]) * z
            )
            if (
                faces[j, 0] * x + faces[j, 1] * y + faces[j, 2] * z < 0.9
                or abs(off) > 0.03 * back_t[i] + 0.01
            ):
                continue
            count += 1
            for k in range(seen.shape[1]):
                out[i, k] += seen[j, k]
        for k in range(seen.shape[1]):
            out[i, k] /= count
    return out


@jit
def sky(air, dx, dy, dz):
    """Linear light of the sky in a direction.

    From horizon to zenith, with soft clouds and a glow around the sun.
    """
    size = math.sqrt(dx * dx + dy * dy + dz * dz)
    x, y, z = dx / size, dy / size, max(dz / size, 0.0)
    up = math.sqrt(z)
    sun = max(0.0, x * air[SUN_DIR] + y * air[SUN_DIR + 1] + dz / size * air[SUN_DIR + 2])
    glow = 0.35 * sun**24
    a, b, s = x / (z + 0.18), y / (z + 0.18), 0.37 * air[AIR_SEED]
    wave = math.sin(1.3 * a + 1.7 * math.sin(0.8 * b + s)) * math.sin(
        1.1 * b + 1.3 * math.sin(0.9 * a + 2 * s)
    )
    wave += 0.5 * math.sin(2.9 * a + 2.1 * b + s) * math.sin(3.3 * b - 1.7 * a + 3 * s)
    cloud = air[CLOUDS] * min(1.0, max(0.0, 0.5 + 0.6 * wave)) * up
    r = (1 - cloud) * (air[HORIZON] + (air[ZENITH] - air[HORIZON]) * up) + cloud * 1.1
    g = (1 - cloud) * (air[HORIZON + 1] + (air[ZENITH + 1] - air[HORIZON + 1]) * up) + cloud * 1.1
    b = (1 - cloud) * (air[HORIZON + 2] + (air[ZENITH + 2] - air[HORIZON + 2]) * up) + cloud * 1.1
    return r + glow, g + 0.9 * glow, b + 0.7 * glow


@jit
def shade(soup, lights, air, seen, ox, oy, oz, dx, dy, dz, p, t, slope):
    """Linear radiance along a ray from triangle p; `seen`: the visible part of each light and of the sky."""
    if p < 0:
        return sky(air, dx, dy, dz)
    _, u, v, nx, ny, nz = meet(soup.corners, p, ox, oy, oz, dx, dy, dz)
    x, y, z = normal_at(soup, p, u, v, nx, ny, nz, dx, dy, dz)
    length = math.sqrt(dx * dx + dy * dy + dz * dz)
    facing = max(0.15, -(x * dx + y * dy + z * dz) / length)
    r, g, b, _ = paint(soup, p, u, v, t * slope / math.sqrt(facing))
    m = soup.material[p]
    gloss, sharp, glow = soup.materials[m, GLOSS], soup.materials[m, SHARPNESS], soup.materials[m, GLOW]
    count = len(lights)
    up = 0.5 + 0.5 * z
    free = 0.25 + 0.75 * seen[count]
    er = free * (air[AMBIENT_DOWN] + (air[AMBIENT_UP] - air[AMBIENT_DOWN]) * up)
    eg = free * (air[AMBIENT_DOWN + 1] + (air[AMBIENT_UP + 1] - air[AMBIENT_DOWN + 1]) * up)
    eb = free * (air[AMBIENT_DOWN + 2] + (air[AMBIENT_UP + 2] - air[AMBIENT_DOWN + 2]) * up)
    shine = 0.0
    px, py, pz = ox + t * dx, oy + t * dy, oz + t * dz
    for k in range(count):
        if seen[k] <= 0.0:
            continue
        lx, ly, lz, power = lights[k, 1], lights[k, 2], lights[k, 3], 1.0
        if lights[k, 0] != SUN:
            lx, ly, lz = lx - px, ly - py, lz - pz
            d2 = lx * lx + ly * ly + lz * lz
            power = 1.0 / (d2 + 0.7)  # a lamp is no point: right beside it, its light does not grow for ever
        size = max(math.sqrt(lx * lx + ly * ly + lz * lz), 1e-9)
        lx, ly, lz = lx / size, ly / size, lz / size
        cosine = x * lx + y * ly + z * lz
        if cosine <= 0.0:
            continue
        power *= seen[k]
        er += power * cosine * lights[k, 4]
        eg += power * cosine * lights[k, 5]
        eb += power * cosine * lights[k, 6]
        if gloss > 0.0:
            hx, hy, hz = lx - dx / length, ly - dy / length, lz - dz / length
            half = max(0.0, (x * hx + y * hy + z * hz) / max(math.sqrt(hx * hx + hy * hy + hz * hz), 1e-9))
            shine += power * gloss * half**sharp * (lights[k, 4] + lights[k, 5] + lights[k, 6]) / 3.0
    r, g, b = r * (er + 3.0 * glow) + shine, g * (eg + 3.0 * glow) + shine, b * (eb + 3.0 * glow) + shine
    if air[FOG] > 0.0:
        keep = math.exp(-air[FOG] * t * length)
        r = keep * r + (1 - keep) * air[FOG_COLOR]
        g = keep * g + (1 - keep) * air[FOG_COLOR + 1]
        b = keep * b + (1 - keep) * air[FOG_COLOR + 2]
    return r, g, b


@jit
def shade_all(soup, eye, lights, air, seen, lender, places, dirs, back, back_t, clear, added, rgb):
    """Adds the light of every ray to the pixel `places[i]` of rgb (N, 3).

    `seen[lender[i]]` of each light reaches it.
    """
    slope = 1.0 / eye[FOCAL]
    for i in range(len(back)):
        k = places[i]
        r, g, b = shade(
            soup, lights, air, seen[lender[i]], eye[ORIGIN], eye[ORIGIN + 1], eye[ORIGIN + 2],
            float(dirs[i, 0]), float(dirs[i, 1]), float(dirs[i, 2]), back[i], back_t[i], slope,
        )  # fmt: skip
        rgb[k, 0] += min(4.0, clear[i, 0] * r + added[i, 0])
        rgb[k, 1] += min(4.0, clear[i, 1] * g + added[i, 1])
        rgb[k, 2] += min(4.0, clear[i, 2] * b + added[i, 2])


@jit
def edges(soup, front, back, back_t, faces, height, width):
    """Pixels whose neighbours show another thing or side: where one ray is not enough."""
    out = np.zeros(height * width, np.bool_)
    for row in range(height):
        for column in range(width):
            i = row * width + column
            for side in range(2):
                if (column + 1 == width) if side == 0 else (row + 1 == height):
                    continue
                j = i + 1 if side == 0 else i + width
                same = (front[i] < 0) == (front[j] < 0) and (back[i] < 0) == (back[j] < 0)
                if same and front[i] >= 0:
                    same = (
                        soup.material[front[i]] == soup.material[front[j]]
                        and soup.owner[front[i]] == soup.owner[front[j]]
                    )
                if same and back[i] >= 0:
                    a, b = back[i], back[j]
                    same = soup.material[a] == soup.material[b] and soup.owner[a] == soup.owner[b]
                    same = (
                        same
                        and faces[i, 0] * faces[j, 0] + faces[i, 1] * faces[j, 1] + faces[i, 2] * faces[j, 2]
                        > 0.85
                    )
                    same = same and abs(back_t[i] - back_t[j]) < 0.1 * min(back_t[i], back_t[j])
                if not same:
                    out[i] = out[j] = True
    return np.flatnonzero(out)


@jit
def lenders(soup, spots, back, dirs, eye, extra, extra_t, places, height, width):
    """The pixel next to each extra ray whose surface is most like the ray's own.

    Its light is the ray's, too.
    """
    out = np.empty(len(places), np.int64)
    for i in range(len(places)):
        k = places[i]
        out[i] = k
        if extra[i] < 0:
            continue
        t = extra_t[i]
        x, y, z = (
            eye[ORIGIN] + t * dirs[i, 0],
            eye[ORIGIN + 1] + t * dirs[i, 1],
            eye[ORIGIN + 2] + t * dirs[i, 2],
        )
        best = 1e30
        row, column = k // width, k % width
        for r in range(max(0, row - 1), min(height, row + 2)):
            for c in range(max(0, column - 1), min(width, column + 2)):
                j = r * width + c
                if back[j] < 0:
                    continue
                far = abs(spots[j, 0] - x) + abs(spots[j, 1] - y) + abs(spots[j, 2] - z)
                if soup.owner[back[j]] != soup.owner[extra[i]]:
                    far += 1e3
                if far < best:
                    best = far
                    out[i] = j
    return out
