# SPDX-License-Identifier: Apache-2.0
# mypy: disallow-untyped-defs=False
"""The ray caster: all compiled functions of the procedural scenes.

They are in one file so that Numba's cache is always consistent. A primitive is a unit shape under an affine
map: its row in `prims` contains the 3x4 matrix from world to shape coordinates. The ray parameter t is
invariant under affine maps, and with a camera ray (x, y, 1) in the optical frame, t is the depth along the
optical axis, which is the stored ground truth.

All functions are scalar and allocate nothing: the CPU loops below and the CUDA kernels of `kernel_cuda.py`
call the same ones.
"""

import math
from typing import Any

import numpy as np
from numba import njit

# columns of `prims` (float64), one row a primitive
MAP = 0  # 12 numbers: world -> unit shape
HALF = 12  # 3 numbers: half sizes in metres
TAPER = 15  # radius at the top of a TUBE over the radius at its bottom
BOUND = 16  # centre and radius of the bounding sphere
SHAPE, LABEL, INSTANCE = 20, 21, 22
PATTERN, COLOR_A, COLOR_B, SCALE, ASPECT, GLOSS, SHARPNESS, SURFACE, LOOK_SEED = (
    23,
    24,
    27,
    30,
    31,
    32,
    33,
    34,
    35,
)
PRIM_COLUMNS = 36
BOX, BALL, TUBE = 0, 1, 2
PLAIN, CHECKER, TILES, PLANKS, BRICKS, STRIPES, CLOUDY, SPECKLE, CARTON, RIBS, PICTURE, SECTORS = range(12)
OPAQUE, MIRROR, GLASS, WINDOW, GLOWING = range(5)
# columns of `groups` (float64): bounding sphere, run of primitives behind it, whether they cast shadows
FIRST, LAST, CASTS = 4, 5, 6
GROUP_COLUMNS = 7
# columns of `lights` (float64): kind, position or direction towards it, colour, radius (metres, or radians
# for a sun)
SUN, LAMP = 0, 1
LIGHT_COLUMNS = 8
# entries of `air` (float64)
AMBIENT_UP, AMBIENT_DOWN, FOG_COLOR, FOG, ZENITH, HORIZON, SUN_DIR, CLOUDS, ROOM, AIR_SEED = (
    0,
    3,
    6,
    9,
    10,
    13,
    16,
    19,
    20,
    26,
)
AIR_ENTRIES = 27
# entries of `eye` (float64): intrinsics, rotation and origin of the pose, one over the focal lengths
FOCAL, CENTRE, ROTATION, ORIGIN, SLOPE = 0, 2, 4, 13, 16
EYE_ENTRIES = 18

TILE = 8
NEAR = 0.02
FAR = 1e30

OPTIONS: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract", "nsz", "arcp", "reassoc", "afn"},  # no ninf, nnan: the truth holds both
    "_nrt": False,  # the functions own no arrays, and counting references to them cost more than the rays
}
jit = njit(**OPTIONS)
inline = njit(forceinline=True, **OPTIONS)


# ---------------------------------------------------------------- geometry


@inline
def least(a, b):  # the built-in min and max do not compile for CUDA in every release of Numba
    """The smaller value; compiled."""
    return a if a < b else b


@inline
def most(a, b):
    """The larger value; compiled."""
    return a if a > b else b


@inline
def hit_unit(shape, taper, ox, oy, oz, dx, dy, dz, near):
    """Smallest t > near at which the ray meets the unit shape, FAR if it does not."""
    if shape == BOX:
        if abs(dx) < 1e-12:
            dx = 1e-12
        if abs(dy) < 1e-12:
            dy = 1e-12
        if abs(dz) < 1e-12:
            dz = 1e-12
        ix = 1.0 / dx
        iy = 1.0 / dy
        iz = 1.0 / dz
        ax = abs(ix)
        ay = abs(iy)
        az = abs(iz)
        enter = most(most(-ox * ix - ax, -oy * iy - ay), -oz * iz - az)
        leave = least(least(-ox * ix + ax, -oy * iy + ay), -oz * iz + az)
        if enter > leave or leave <= near:
            return FAR
        return enter if enter > near else leave
    if shape == BALL:
        a = dx * dx + dy * dy + dz * dz
        b = ox * dx + oy * dy + oz * dz
        c = ox * ox + oy * oy + oz * oz - 1.0
        s = b * b - a * c
        if s < 0.0:
            return FAR
        s = math.sqrt(s)
        t = (-b - s) / a
        if t > near:
            return t
        t = (-b + s) / a
        return t if t > near else FAR
    # TUBE: radius 1 at z = -1, `taper` at z = +1, flat ends
    best = FAR
    slope = 0.5 * (taper - 1.0)
    radius = 0.5 * (taper + 1.0) + slope * oz
    a = dx * dx + dy * dy - slope * slope * dz * dz
    b = ox * dx + oy * dy - radius * slope * dz
    c = ox * ox + oy * oy - radius * radius
    s = b * b - a * c
    if s >= 0.0:
        s = math.sqrt(s)
        if abs(a) < 1e-12:
            a = 1e-12
        for sign in range(2):
            t = (-b - s) / a if sign == 0 else (-b + s) / a
            if t > near and t < best and abs(oz + t * dz) <= 1.0:
                best = t
    if abs(dz) > 1e-12:
        for sign in range(2):
            end = -1.0 if sign == 0 else 1.0
            t = (end - oz) / dz
            if t > near and t < best:
                x = ox + t * dx
                y = oy + t * dy
                r = 1.0 if sign == 0 else taper
                if x * x + y * y <= r * r:
                    best = t
    return best


@inline
def hit(prims, p, ox, oy, oz, dx, dy, dz, near):
    """The distance along a ray at which it hits primitive `p`, or `near` if there is none before."""
    return hit_unit(
        prims[p, SHAPE],
        prims[p, TAPER],
        prims[p, 0] * ox + prims[p, 1] * oy + prims[p, 2] * oz + prims[p, 3],
        prims[p, 4] * ox + prims[p, 5] * oy + prims[p, 6] * oz + prims[p, 7],
        prims[p, 8] * ox + prims[p, 9] * oy + prims[p, 10] * oz + prims[p, 11],
        prims[p, 0] * dx + prims[p, 1] * dy + prims[p, 2] * dz,
        prims[p, 4] * dx + prims[p, 5] * dy + prims[p, 6] * dz,
        prims[p, 8] * dx + prims[p, 9] * dy + prims[p, 10] * dz,
        near,
    )


@inline
def misses(cx, cy, cz, r, ox, oy, oz, dx, dy, dz, dd, far):
    """True where the ray, of squared length dd, stays outside a sphere up to t = far."""
    x = cx - ox
    y = cy - oy
    z = cz - oz
    outside = x * x + y * y + z * z - r * r
    if outside <= 0.0:
        return False
    along = x * dx + y * dy + z * dz
    return along <= 0.0 or along * along < outside * dd or along - r * math.sqrt(dd) > far * dd


@inline
def trace_list(prims, items, nears, first, last, ox, oy, oz, dx, dy, dz, near, skip_glass):
    """Nearest hit among a tile's primitives, which are sorted by their nearest depth.

    (t, primitive or -1).
    """
    best = FAR
    who = -1
    for i in range(first, last):
        p = items[i]
        if nears[p] > best:
            break
        if skip_glass and prims[p, SURFACE] == GLASS:
            continue
        t = hit(prims, p, ox, oy, oz, dx, dy, dz, near)
        if t < best:
            best = t
            who = p
    return best, who


@jit
def trace_all(prims, groups, ox, oy, oz, dx, dy, dz, near):
    """Nearest hit among all primitives: (t, primitive or -1)."""
    best = FAR
    who = -1
    dd = dx * dx + dy * dy + dz * dz
    for g in range(groups.shape[0]):
        if misses(groups[g, 0], groups[g, 1], groups[g, 2], groups[g, 3], ox, oy, oz, dx, dy, dz, dd, best):
            continue
        for p in range(int(groups[g, FIRST]), int(groups[g, LAST])):
            t = hit(prims, p, ox, oy, oz, dx, dy, dz, near)
            if t < best:
                best = t
                who = p
    return best, who


@inline
def shadows(prims, p, ox, oy, oz, dx, dy, dz, far):
    """True where primitive p stands between o and o + far d (d of length 1)."""
    if misses(
        prims[p, BOUND], prims[p, BOUND + 1], prims[p, BOUND + 2], prims[p, BOUND + 3],
        ox, oy, oz, dx, dy, dz, 1.0, far,
    ):  # fmt: skip
        return False
    return hit(prims, p, ox, oy, oz, dx, dy, dz, 1e-4) < far


@jit
def occluded(prims, groups, casters, row, ox, oy, oz, dx, dy, dz, far):
    """True where one of the casters in a row, or with row < 0 any caster, stands between o and o + far d."""
    if row >= 0:
        for i in range(1, casters[row, 0] + 1):  # noqa: SIM110 - Numba compiles no generators
            if shadows(prims, casters[row, i], ox, oy, oz, dx, dy, dz, far):
                return True
        return False
    for g in range(groups.shape[0]):
        if groups[g, CASTS] == 0.0 or misses(
            groups[g, 0], groups[g, 1], groups[g, 2], groups[g, 3], ox, oy, oz, dx, dy, dz, 1.0, far
        ):
            continue
        for p in range(int(groups[g, FIRST]), int(groups[g, LAST])):
            if casts_shadow(prims, p) and shadows(prims, p, ox, oy, oz, dx, dy, dz, far):
                return True
    return False


@inline
def casts_shadow(prims, p):
    """Whether primitive `p` casts shadows."""
    return prims[p, SURFACE] != GLASS and prims[p, SURFACE] != GLOWING


@inline
def surface_at(prims, p, ox, oy, oz, dx, dy, dz, t):
    """Unit normal facing the viewer, local point in metres, and local face (0 x, 1 y, 2 z, 3 round)."""
    x = ox + t * dx
    y = oy + t * dy
    z = oz + t * dz
    lx = prims[p, 0] * x + prims[p, 1] * y + prims[p, 2] * z + prims[p, 3]
    ly = prims[p, 4] * x + prims[p, 5] * y + prims[p, 6] * z + prims[p, 7]
    lz = prims[p, 8] * x + prims[p, 9] * y + prims[p, 10] * z + prims[p, 11]
    shape = prims[p, SHAPE]
    nx = 0.0
    ny = 0.0
    nz = 0.0
    face = 3
    if shape == BOX:
        ax = abs(lx)
        ay = abs(ly)
        az = abs(lz)
        if ax >= ay and ax >= az:
            nx = lx
            face = 0
        elif ay >= az:
            ny = ly
            face = 1
        else:
            nz = lz
            face = 2
    elif shape == BALL:
        nx = lx
        ny = ly
        nz = lz
    else:
        taper = prims[p, TAPER]
        slope = 0.5 * (taper - 1.0)
        radius = 0.5 * (taper + 1.0) + slope * lz
        r = math.sqrt(lx * lx + ly * ly)
        side = abs(r - radius)
        if side <= abs(lz - 1.0) and side <= abs(lz + 1.0):
            nx = lx
            ny = ly
            nz = -slope * radius
        else:
            nz = lz
            face = 2
    wx = prims[p, 0] * nx + prims[p, 4] * ny + prims[p, 8] * nz
    wy = prims[p, 1] * nx + prims[p, 5] * ny + prims[p, 9] * nz
    wz = prims[p, 2] * nx + prims[p, 6] * ny + prims[p, 10] * nz
    length = math.sqrt(wx * wx + wy * wy + wz * wz)
    if wx * dx + wy * dy + wz * dz > 0.0:
        length = -length
    s = 1.0 / length
    return wx * s, wy * s, wz * s, lx * prims[p, HALF], ly * prims[p, HALF + 1], lz * prims[p, HALF + 2], face


# ---------------------------------------------------------------- patterns


@inline
def chance(x, y, seed):
    """A fixed pseudo-random number in [0, 1] for whole x, y, seed."""
    h = (x * 374761393 + y * 668265263 + seed * 69069 + 12345) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    return ((h ^ (h >> 16)) & 0xFFFF) / 65535.0


@jit
def value_noise(u, v, seed):
    """Value noise in [0, 1] at (u, v)."""
    fu = math.floor(u)
    fv = math.floor(v)
    x = int(fu)
    y = int(fv)
    a = u - fu
    b = v - fv
    a = a * a * (3.0 - 2.0 * a)
    b = b * b * (3.0 - 2.0 * b)
    top = chance(x, y, seed) * (1.0 - a) + chance(x + 1, y, seed) * a
    low = chance(x, y + 1, seed) * (1.0 - a) + chance(x + 1, y + 1, seed) * a
    return top * (1.0 - b) + low * b


@inline
def line(u, period, width, blur):
    """1 on a line of `width` at every multiple of `period`, 0 beside it, its edge softened over `blur`."""
    d = abs(u - period * math.floor(u / period + 0.5))
    return least(1.0, most(0.0, (0.5 * width - d) / blur + 0.5)) * least(1.0, width / blur)


@inline
def paint(prims, p, lx, ly, lz, face, pixel):
    """How far the surface's colour goes from A (0) to B (1), and a brightness factor.

    `pixel` is how many metres of surface a pixel covers.
    """
    seed = int(prims[p, LOOK_SEED])
    pattern = int(prims[p, PATTERN])
    if pattern == PLAIN:
        return 0.0, 1.0
    if face == 0:
        u = ly
        v = lz
    elif face == 1:
        u = lx
        v = lz
    elif face == 2:
        u = lx
        v = ly
    else:
        angle = math.atan2(ly, lx)
        if pattern == SECTORS:
            w = angle * prims[p, ASPECT] * 0.15915494309189535
            return float(int(math.floor(w * 2.0)) & 1), 1.0
        u = angle * math.sqrt(lx * lx + ly * ly)
        v = lz
    s = prims[p, SCALE]
    sharp = most(0.0, 1.0 - pixel / (0.6 * s))  # a pattern finer than a pixel fades to its mean
    blur = most(pixel, 1e-4)
    if pattern == CHECKER:
        odd = (int(math.floor(u / s)) + int(math.floor(v / s))) & 1
        return 0.5 + (odd - 0.5) * sharp, 1.0
    if pattern == TILES:
        w = s * prims[p, ASPECT]
        grout = most(line(u, s, w, blur), line(v, s, w, blur))
        shade = chance(int(math.floor(u / s)), int(math.floor(v / s)), seed)
        return grout, 1.0 + 0.12 * (shade - 0.5) * sharp
    if pattern == PLANKS:
        row = int(math.floor(v / s))
        long = s * prims[p, ASPECT]
        u += chance(row, 7, seed) * long
        plank = chance(row, int(math.floor(u / long)), seed)
        grain = value_noise(u * 3.0 / s, v * 30.0 / s, seed) if pixel < 0.08 * s else 0.5
        gap = most(line(v, s, 0.004, blur), line(u, long, 0.004, blur))
        return 0.7 * plank + 0.3 * grain, 1.0 - 0.55 * gap
    if pattern == BRICKS:
        row = int(math.floor(v / s))
        long = s * prims[p, ASPECT]
        u += 0.5 * long * (row & 1)
        mortar = most(line(v, s, 0.15 * s, blur), line(u, long, 0.15 * s, blur))
        shade = chance(int(math.floor(u / long)), row, seed)
        return mortar, 1.0 + 0.35 * (shade - 0.5) * (1.0 - mortar) * sharp
    if pattern == STRIPES:
        odd = int(math.floor(v / s + 100.5)) & 1
        return 0.5 + (odd - 0.5) * sharp, 1.0
    if pattern == CLOUDY:
        w = value_noise(u / s, v / s, seed)
        if pixel < 0.25 * s:
            w = 0.6 * w + 0.4 * value_noise(4.0 * u / s, 4.0 * v / s, seed + 1)
        return w, 1.0
    if pattern == SPECKLE:
        w = value_noise(u / s, v / s, seed)
        return 0.5 + (w - 0.5) * sharp, 1.0 + 0.15 * (value_noise(0.05 * u / s, 0.05 * v / s, seed + 2) - 0.5)
    if pattern == CARTON:
        tape = 0.0
        if face == 2 and abs(v) < prims[p, SCALE]:
            tape = 1.0
        return tape, 0.94 + 0.12 * value_noise(u * 40.0, v * 4.0, seed)
    if pattern == RIBS:
        return 0.0, 1.0 + 0.22 * math.sin(6.283185307179586 * u / s) * sharp
    # PICTURE: a few flat fields of colour
    w = value_noise(u / s, v / s, seed)
    return least(1.0, most(0.0, (w - 0.4) * 6.0)), 0.55 + 0.9 * chance(int(math.floor(u / s * 1.3)), 3, seed)


@inline
def sky(air, dx, dy, dz):
    """Colour of the sky, and of hazy land below the horizon, in direction d of length 1."""
    seed = int(air[AIR_SEED])
    if dz >= 0.0:
        w = dz**0.55
        r = air[HORIZON] + (air[ZENITH] - air[HORIZON]) * w
        g = air[HORIZON + 1] + (air[ZENITH + 1] - air[HORIZON + 1]) * w
        b = air[HORIZON + 2] + (air[ZENITH + 2] - air[HORIZON + 2]) * w
        if air[CLOUDS] > 0.0:
            u = dx / (dz + 0.18)
            v = dy / (dz + 0.18)
            n = (
                0.55 * value_noise(1.3 * u, 1.3 * v, seed)
                + 0.3 * value_noise(3.1 * u, 3.1 * v, seed + 1)
                + 0.15 * value_noise(7.0 * u, 7.0 * v, seed + 2)
            )
            c = least(1.0, most(0.0, (n + air[CLOUDS] - 0.75) * 4.0)) * least(1.0, dz * 8.0)
            lit = 1.25 * (air[HORIZON] + air[HORIZON + 1] + air[HORIZON + 2]) / 3.0
            r += c * (lit - r)
            g += c * (lit - g)
            b += c * (lit - b)
        sun = most(0.0, dx * air[SUN_DIR] + dy * air[SUN_DIR + 1] + dz * air[SUN_DIR + 2])
        glow = 0.35 * sun**24 + 2.0 * sun**1500
        return r + glow, g + 0.9 * glow, b + 0.7 * glow
    hill = 0.25 * value_noise(4.0 * math.atan2(dy, dx) + 20.0, 0.0, seed)
    w = least(1.0, -dz * (3.0 + 8.0 * hill))
    r = air[HORIZON] * (1.0 - w) + 0.16 * w
    g = air[HORIZON + 1] * (1.0 - w) + 0.2 * w
    b = air[HORIZON + 2] * (1.0 - w) + 0.11 * w
    return r, g, b


# ---------------------------------------------------------------- light


@inline
def corner_shade(air, x, y, z, nx, ny, nz):
    """Ambient light lost in the corners of a room whose bounds stand in `air`.

    Outdoors, only near the ground.

    Each wall takes a share s that falls with its distance g as s / (1 + 32 g^2); one division serves all six.
    """
    if air[ROOM + 3] <= air[ROOM]:
        return 1.0 if nz > 0.5 else least(1.0, 0.62 + 0.5 * most(z, 0.0))
    a = 1.0 + 32.0 * (x - air[ROOM]) ** 2
    b = 1.0 + 32.0 * (air[ROOM + 3] - x) ** 2
    c = 1.0 + 32.0 * (y - air[ROOM + 1]) ** 2
    d = 1.0 + 32.0 * (air[ROOM + 4] - y) ** 2
    e = 1.0 + 32.0 * (z - air[ROOM + 2]) ** 2
    f = 1.0 + 32.0 * (air[ROOM + 5] - z) ** 2
    kept = (
        (a - 0.25 * (1.0 - nx)) * (b - 0.25 * (1.0 + nx)) * (c - 0.25 * (1.0 - ny)) * (d - 0.25 * (1.0 + ny))
    )
    return kept * (e - 0.3 * (1.0 - nz)) * (f - 0.2 * (1.0 + nz)) / (a * b * c * d * e * f)


@inline
def lit_surface(prims, groups, lights, air, casters, rows, p, ox, oy, oz, dx, dy, dz, t, pixel, j1, j2):
    """Light sent back by an opaque surface: (r, g, b).

    d need not have length 1. The casters of light k stand in row `rows` + k; with rows < 0 they are all that
    cast shadows. j1, j2 jitter the lights.
    """
    nx, ny, nz, lx, ly, lz, face = surface_at(prims, p, ox, oy, oz, dx, dy, dz, t)
    length = math.sqrt(dx * dx + dy * dy + dz * dz)
    vx = dx / length
    vy = dy / length
    vz = dz / length
    facing = most(0.05, -(nx * vx + ny * vy + nz * vz))
    w, bright = paint(prims, p, lx, ly, lz, face, pixel * t * length / facing)
    cr = (prims[p, COLOR_A] + (prims[p, COLOR_B] - prims[p, COLOR_A]) * w) * bright
    cg = (prims[p, COLOR_A + 1] + (prims[p, COLOR_B + 1] - prims[p, COLOR_A + 1]) * w) * bright
    cb = (prims[p, COLOR_A + 2] + (prims[p, COLOR_B + 2] - prims[p, COLOR_A + 2]) * w) * bright
    if prims[p, SURFACE] == GLOWING:
        return cr, cg, cb
    x = ox + t * dx + 1e-3 * nx
    y = oy + t * dy + 1e-3 * ny
    z = oz + t * dz + 1e-3 * nz
    up = 0.5 + 0.5 * nz
    shade = corner_shade(air, x, y, z, nx, ny, nz)
    er = (air[AMBIENT_DOWN] + (air[AMBIENT_UP] - air[AMBIENT_DOWN]) * up) * shade
    eg = (air[AMBIENT_DOWN + 1] + (air[AMBIENT_UP + 1] - air[AMBIENT_DOWN + 1]) * up) * shade
    eb = (air[AMBIENT_DOWN + 2] + (air[AMBIENT_UP + 2] - air[AMBIENT_DOWN + 2]) * up) * shade
    gr = 0.0
    gg = 0.0
    gb = 0.0
    for k in range(lights.shape[0]):
        wx = lights[k, 1]
        wy = lights[k, 2]
        wz = lights[k, 3]
        lamp = lights[k, 0] == LAMP
        power = 1.0
        if lamp:
            wx -= x
            wy -= y
            wz -= z
            power = 1.0 / (wx * wx + wy * wy + wz * wz + 0.3)
        cosine = nx * wx + ny * wy + nz * wz
        if cosine <= 0.0:
            continue
        row = rows + k if rows >= 0 else -1
        shaded = row < 0 or casters[row, 0] > 0
        if shaded:  # a random point of the light
            wx += lights[k, 7] * (1.8 * j1 - 0.9)
            wy += lights[k, 7] * (1.8 * j2 - 0.9)
        far = math.sqrt(wx * wx + wy * wy + wz * wz)
        wx /= far
        wy /= far
        wz /= far
        if shaded and occluded(prims, groups, casters, row, x, y, z, wx, wy, wz, far if lamp else 1e3):
            continue
        power *= cosine / far
        er += lights[k, 4] * power
        eg += lights[k, 5] * power
        eb += lights[k, 6] * power
        if prims[p, GLOSS] > 0.0:
            hx = wx - vx
            hy = wy - vy
            hz = wz - vz
            h = (nx * hx + ny * hy + nz * hz) / math.sqrt(hx * hx + hy * hy + hz * hz)
            if h > 0.0:  # h**n nearly, after Schlick, without the power
                s = h / (h + 0.5 * prims[p, SHARPNESS] * (1.0 - h))
                s *= s * prims[p, GLOSS] * power
                gr += lights[k, 4] * s
                gg += lights[k, 5] * s
                gb += lights[k, 6] * s
    return cr * er + gr, cg * eg + gg, cb * eb + gb


@inline
def color_of(
    prims,
    groups,
    lights,
    air,
    casters,
    rows,
    items,
    nears,
    first,
    last,
    p,
    ox,
    oy,
    oz,
    dx,
    dy,
    dz,
    t,
    pixel,
    j1,
    j2,
):
    """Colour seen along a camera ray that meets primitive p (or nothing, p < 0) at depth t: (r, g, b).

    A pane shows two things: what it mirrors, and what is behind it.
    """
    length = math.sqrt(dx * dx + dy * dy + dz * dz)
    surface = prims[p, SURFACE] if p >= 0 else float(OPAQUE)
    pane = surface in (MIRROR, GLASS, WINDOW)
    r = 0.0
    g = 0.0
    b = 0.0
    share = 1.0
    for part in range(2):
        q = p
        s = t
        qx = ox
        qy = oy
        qz = oz
        ex = dx
        ey = dy
        ez = dz
        if pane and part == 0:
            nx, ny, nz, _, _, _, _ = surface_at(prims, p, ox, oy, oz, dx, dy, dz, t)
            dot = nx * dx + ny * dy + nz * dz
            ex -= 2.0 * dot * nx
            ey -= 2.0 * dot * ny
            ez -= 2.0 * dot * nz
            qx = ox + t * dx + 1e-3 * nx
            qy = oy + t * dy + 1e-3 * ny
            qz = oz + t * dz + 1e-3 * nz
            if surface != MIRROR:  # Fresnel's law after Schlick, less what looking straight on gives
                share = 0.7 * (1.0 + dot / length) ** 5
                if share < 0.02:
                    share = 0.0
                    continue
            s, q = trace_all(prims, groups, qx, qy, qz, ex, ey, ez, 1e-4)
        elif pane:
            share = 1.0 - share
            q = -1
            if surface == GLASS:
                s, q = trace_list(prims, items, nears, first, last, ox, oy, oz, dx, dy, dz, t + 1e-4, True)
        if q < 0:
            sr, sg, sb = sky(air, ex / length, ey / length, ez / length)
        else:
            sr, sg, sb = lit_surface(
                prims,
                groups,
                lights,
                air,
                casters,
                -1 if pane else rows,
                q,
                qx,
                qy,
                qz,
                ex,
                ey,
                ez,
                s,
                pixel,
                j1,
                j2,
            )
        if not pane:
            r = sr
            g = sg
            b = sb
            break
        r += share * prims[p, COLOR_A] * sr
        g += share * prims[p, COLOR_A + 1] * sg
        b += share * prims[p, COLOR_A + 2] * sb
        if surface == MIRROR:
            break
    if air[FOG] > 0.0:
        fog = 1.0 - math.exp(-air[FOG] * least(t * length, 60.0))
        r += (air[FOG_COLOR] - r) * fog
        g += (air[FOG_COLOR + 1] - g) * fog
        b += (air[FOG_COLOR + 2] - b) * fog
    return r, g, b


# ---------------------------------------------------------------- pixels


@inline
def ray(eye, column, row):
    """Direction in the world of the camera ray through (column, row); its optical z is 1."""
    x = (column - eye[CENTRE]) * eye[SLOPE]
    y = (row - eye[CENTRE + 1]) * eye[SLOPE + 1]
    return (
        eye[ROTATION] * x + eye[ROTATION + 1] * y + eye[ROTATION + 2],
        eye[ROTATION + 3] * x + eye[ROTATION + 4] * y + eye[ROTATION + 5],
        eye[ROTATION + 6] * x + eye[ROTATION + 7] * y + eye[ROTATION + 8],
    )


@inline
def trace_pixel(eye, prims, items, nears, starts, column, row, columns):
    """(depth, primitive or -1) of one pixel."""
    tile = (row // TILE) * columns + column // TILE
    dx, dy, dz = ray(eye, column, row)
    return trace_list(
        prims, items, nears, starts[tile], starts[tile + 1],
        eye[ORIGIN], eye[ORIGIN + 1], eye[ORIGIN + 2], dx, dy, dz, NEAR, False,
    )  # fmt: skip


@inline
def fraction(x):
    """The fractional part."""
    return x - math.floor(x)


@inline
def shade_pixel(
    eye,
    prims,
    groups,
    lights,
    air,
    casters,
    rows,
    split,
    items,
    nears,
    starts,
    columns,
    depth,
    who,
    column,
    row,
    rgb,
):
    """Colour of one pixel: one sample inside surfaces, four where neighbours show different primitives.

    Casters for what is nearer than `split` begin at `rows`, for the rest L rows further on.
    """
    height, width = depth.shape
    p = who[row, column]
    tile = (row // TILE) * columns + column // TILE
    samples = 1
    if (
        who[row, most(column - 1, 0)] != p
        or who[row, least(column + 1, width - 1)] != p
        or who[most(row - 1, 0), column] != p
        or who[least(row + 1, height - 1), column] != p
    ):
        samples = 4
    # interleaved gradient noise: neighbours get well spread numbers, so that soft shadows look smooth
    j1 = fraction(52.9829189 * fraction(0.06711056 * column + 0.00583715 * row))
    j2 = fraction(52.9829189 * fraction(0.06711056 * (column + 37) + 0.00583715 * (row + 17)))
    r = 0.0
    g = 0.0
    b = 0.0
    for k in range(samples):
        u = float(column)
        v = float(row)
        if k > 0:  # around the middle
            u += 0.375 * (k - 2)
            v += 0.3 - 0.6 * (k & 1) + 0.1 * k
        dx, dy, dz = ray(eye, u, v)
        t = depth[row, column]
        q = p
        if k > 0:
            t, q = trace_list(
                prims, items, nears, starts[tile], starts[tile + 1],
                eye[ORIGIN], eye[ORIGIN + 1], eye[ORIGIN + 2], dx, dy, dz, NEAR, False,
            )  # fmt: skip
        mine = rows if t < split else rows + lights.shape[0]
        sr, sg, sb = color_of(
            prims, groups, lights, air, casters, mine, items, nears, starts[tile], starts[tile + 1], q,
            eye[ORIGIN], eye[ORIGIN + 1], eye[ORIGIN + 2], dx, dy, dz, t, eye[SLOPE], fraction(j1 + 0.25 * k),
            j2,
        )  # fmt: skip
        r += least(sr, 4.0)
        g += least(sg, 4.0)
        b += least(sb, 4.0)
    rgb[row, column, 0] = r / samples
    rgb[row, column, 1] = g / samples
    rgb[row, column, 2] = b / samples


@inline
def truth_pixel(eye, prims, who, depth, column, row, depth_m, normals, labels, instances, sky_label):
    """Depth, normal, label and instance of one pixel, from its primitive and its depth."""
    p = who[row, column]
    if p < 0:
        depth_m[row, column] = math.inf
        for k in range(3):
            normals[row, column, k] = math.nan
        labels[row, column] = sky_label
        instances[row, column] = 0
        return
    dx, dy, dz = ray(eye, column, row)
    t = depth[row, column]
    nx, ny, nz, _, _, _, _ = surface_at(
        prims, p, eye[ORIGIN], eye[ORIGIN + 1], eye[ORIGIN + 2], dx, dy, dz, t
    )
    depth_m[row, column] = t
    normals[row, column, 0] = eye[ROTATION] * nx + eye[ROTATION + 3] * ny + eye[ROTATION + 6] * nz
    normals[row, column, 1] = -(eye[ROTATION + 1] * nx + eye[ROTATION + 4] * ny + eye[ROTATION + 7] * nz)
    normals[row, column, 2] = -(eye[ROTATION + 2] * nx + eye[ROTATION + 5] * ny + eye[ROTATION + 8] * nz)
    labels[row, column] = int(prims[p, LABEL])
    instances[row, column] = int(prims[p, INSTANCE])


# ---------------------------------------------------------------- CPU loops


@jit
def screen_boxes(eye, prims, height, width, boxes, nears, corners):
    """Tile rectangle (x0, y0, x1, y1; empty where x1 < x0) and nearest depth of every primitive.

    `corners` (8, 3) is scratch: the corners of the primitive's box in the optical frame.
    """
    for p in range(prims.shape[0]):
        grow = most(1.0, prims[p, TAPER]) if prims[p, SHAPE] == TUBE else 1.0
        near = FAR
        far = -FAR
        for k in range(8):
            # rows of the map are axis / half, so axis * half is row * half^2
            a = (grow if k & 1 else -grow) * prims[p, HALF] ** 2
            b = (grow if k & 2 else -grow) * prims[p, HALF + 1] ** 2
            c = (1.0 if k & 4 else -1.0) * prims[p, HALF + 2] ** 2
            wx = prims[p, BOUND] + a * prims[p, 0] + b * prims[p, 4] + c * prims[p, 8] - eye[ORIGIN]
            wy = prims[p, BOUND + 1] + a * prims[p, 1] + b * prims[p, 5] + c * prims[p, 9] - eye[ORIGIN + 1]
            wz = prims[p, BOUND + 2] + a * prims[p, 2] + b * prims[p, 6] + c * prims[p, 10] - eye[ORIGIN + 2]
            for j in range(3):
                corners[k, j] = (
                    eye[ROTATION + j] * wx + eye[ROTATION + 3 + j] * wy + eye[ROTATION + 6 + j] * wz
                )
            near = least(near, corners[k, 2])
            far = most(far, corners[k, 2])
        nears[p] = most(near, 0.0)
        u0 = FAR
        v0 = FAR
        u1 = -FAR
        v1 = -FAR
        for k in range(8):
            for j in range(3):  # the edges from corner k, cut off at the near plane
                m = k | (1 << j)
                za = corners[k, 2]
                zb = corners[m, 2]
                for end in range(2):
                    w = float(end)
                    if (zb if end else za) < NEAR:
                        if most(za, zb) <= NEAR:
                            continue
                        w = (NEAR - za) / (zb - za)
                    z = za + w * (zb - za)
                    u = eye[CENTRE] + eye[FOCAL] * (corners[k, 0] + w * (corners[m, 0] - corners[k, 0])) / z
                    v = (
                        eye[CENTRE + 1]
                        + eye[FOCAL + 1] * (corners[k, 1] + w * (corners[m, 1] - corners[k, 1])) / z
                    )
                    u0 = least(u0, u)
                    u1 = most(u1, u)
                    v0 = least(v0, v)
                    v1 = most(v1, v)
        # a pixel and a half around: edges are sampled beside their pixels' middles
        boxes[p, 0] = int(least(most(u0 - 1.5, 0.0), width)) // TILE
        boxes[p, 1] = int(least(most(v0 - 1.5, 0.0), height)) // TILE
        boxes[p, 2] = int(most(least(u1 + 1.5, width - 1.0), -1.0)) // TILE
        boxes[p, 3] = int(most(least(v1 + 1.5, height - 1.0), -1.0)) // TILE
        if far < NEAR or u1 < -1.5 or v1 < -1.5:
            boxes[p, 2] = -1
            boxes[p, 3] = -1


@jit
def fill_tiles(order, boxes, columns, starts, items):
    """Lists of primitives a tile, each in the given order.

    With an empty `items` it only counts, into `starts`.
    """
    count = items.shape[0] == 0
    for i in range(order.shape[0]):
        p = order[i]
        for y in range(boxes[p, 1], boxes[p, 3] + 1):
            for x in range(boxes[p, 0], boxes[p, 2] + 1):
                tile = y * columns + x
                if count:
                    starts[tile + 1] += 1
                else:
                    items[starts[tile]] = p
                    starts[tile] += 1


@jit
def trace_image(eye, prims, items, nears, starts, columns, depth, who):
    """Finds the nearest primitive and its depth for all rays of the image."""
    for row in range(depth.shape[0]):
        for column in range(depth.shape[1]):
            t, p = trace_pixel(eye, prims, items, nears, starts, column, row, columns)
            depth[row, column] = t
            who[row, column] = p


@inline
def in_beam(x, y, z, radius, cx, cy, cz, wx, wy, wz, far, wide, growth):
    """True where a sphere touches a beam.

    From c along unit w for `far` metres, `wide` + `growth` a metre thick.
    """
    x -= cx
    y -= cy
    z -= cz
    along = x * wx + y * wy + z * wz
    across = x * x + y * y + z * z - along * along
    reach = radius + wide + growth * most(0.0, along)
    return along >= -reach and across <= reach * reach and along <= far + reach


@inline
def near_axis(prims, p, cx, cy, cz, wx, wy, wz, far, wide):
    """True where the axis of a beam comes within `wide` of the primitive's box."""
    enter = -wide
    leave = far + wide
    for k in range(3):
        h = prims[p, HALF + k]
        if prims[p, SHAPE] == TUBE and k < 2:
            h *= most(1.0, prims[p, TAPER])
        h = h / prims[p, HALF + k] + wide / prims[p, HALF + k]
        o = prims[p, 4 * k] * cx + prims[p, 4 * k + 1] * cy + prims[p, 4 * k + 2] * cz + prims[p, 4 * k + 3]
        d = prims[p, 4 * k] * wx + prims[p, 4 * k + 1] * wy + prims[p, 4 * k + 2] * wz
        if abs(d) < 1e-12:
            d = 1e-12
        enter = most(enter, -o / d - h / abs(d))
        leave = least(leave, -o / d + h / abs(d))
    return enter <= leave


@jit
def find_casters(eye, prims, groups, lights, depth, y0, y1, x0, x1, low, high, casters, row):
    """Primitives that may shadow the points seen at low <= depth < high in a tile.

    Light k has its own in `casters[row + k]`: their number, then they.
    """
    bx0 = FAR
    by0 = FAR
    bz0 = FAR
    bx1 = -FAR
    by1 = -FAR
    bz1 = -FAR
    for v in range(y0, y1):
        for u in range(x0, x1):
            t = depth[v, u]
            if t < low or t >= high:
                continue
            dx, dy, dz = ray(eye, u, v)
            x = eye[ORIGIN] + t * dx
            y = eye[ORIGIN + 1] + t * dy
            z = eye[ORIGIN + 2] + t * dz
            bx0 = least(bx0, x)
            bx1 = most(bx1, x)
            by0 = least(by0, y)
            by1 = most(by1, y)
            bz0 = least(bz0, z)
            bz1 = most(bz1, z)
    cx = 0.5 * (bx0 + bx1)
    cy = 0.5 * (by0 + by1)
    cz = 0.5 * (bz0 + bz1)
    # the points that samples beside the pixels' middles see lie a little outside
    start = 0.5 * math.sqrt((bx1 - bx0) ** 2 + (by1 - by0) ** 2 + (bz1 - bz0) ** 2) + 0.02
    for k in range(lights.shape[0]):
        casters[row + k, 0] = 0
        if bx1 < bx0:
            continue
        wx = lights[k, 1]
        wy = lights[k, 2]
        wz = lights[k, 3]
        far = 1e3
        growth = lights[k, 7]
        if lights[k, 0] == LAMP:
            wx -= cx
            wy -= cy
            wz -= cz
            far = math.sqrt(wx * wx + wy * wy + wz * wz)
            growth = most(0.0, lights[k, 7] - start) / far
        length = math.sqrt(wx * wx + wy * wy + wz * wz)
        wx /= length
        wy /= length
        wz /= length
        n = 0
        for g in range(groups.shape[0]):
            if groups[g, CASTS] == 0.0 or not in_beam(
                groups[g, 0],
                groups[g, 1],
                groups[g, 2],
                groups[g, 3],
                cx,
                cy,
                cz,
                wx,
                wy,
                wz,
                far,
                start,
                growth,
            ):
                continue
            away = math.sqrt((groups[g, 0] - cx) ** 2 + (groups[g, 1] - cy) ** 2 + (groups[g, 2] - cz) ** 2)
            wide = start + growth * least(far, away + groups[g, 3])
            for p in range(int(groups[g, FIRST]), int(groups[g, LAST])):
                if casts_shadow(prims, p) and near_axis(prims, p, cx, cy, cz, wx, wy, wz, far, wide):
                    n += 1
                    casters[row + k, n] = p
        casters[row + k, 0] = n


@inline
def prepare_tile(eye, prims, groups, lights, depth, tile, columns, casters, rows):
    """Fill a tile's 2 L rows of `casters`.

    The depth that splits its points into near and far, each with its list.
    """
    y0 = tile // columns * TILE
    x0 = tile % columns * TILE
    y1 = least(y0 + TILE, depth.shape[0])
    x1 = least(x0 + TILE, depth.shape[1])
    low = FAR
    high = 0.0
    for row in range(y0, y1):
        for column in range(x0, x1):
            if depth[row, column] < FAR:
                low = least(low, depth[row, column])
                high = most(high, depth[row, column])
    split = 0.5 * (low + high) if high > 1.25 * low else FAR
    find_casters(eye, prims, groups, lights, depth, y0, y1, x0, x1, 0.0, split, casters, rows)
    if split < FAR:
        find_casters(
            eye, prims, groups, lights, depth, y0, y1, x0, x1, split, FAR, casters, rows + lights.shape[0]
        )
    return split


@jit
def shade_image(eye, prims, groups, lights, air, items, nears, starts, columns, casters, depth, who, rgb):
    """Colours of all pixels, tile by tile. `casters` (2 L, P + 1) is scratch."""
    height, width = depth.shape
    for tile in range(starts.shape[0] - 1):
        split = prepare_tile(eye, prims, groups, lights, depth, tile, columns, casters, 0)
        y0 = tile // columns * TILE
        x0 = tile % columns * TILE
        for row in range(y0, least(y0 + TILE, height)):
            for column in range(x0, least(x0 + TILE, width)):
                shade_pixel(
                    eye, prims, groups, lights, air, casters, 0, split, items, nears, starts, columns,
                    depth, who, column, row, rgb,
                )  # fmt: skip


@jit
def truth_image(eye, prims, who, depth, depth_m, normals, labels, instances, sky_label):
    """Writes depth, normals, labels and instances of all pixels."""
    for row in range(depth.shape[0]):
        for column in range(depth.shape[1]):
            truth_pixel(eye, prims, who, depth, column, row, depth_m, normals, labels, instances, sky_label)


def tiles(
    eye: np.ndarray, prims: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Which primitives may be seen in which tile: (items, nears, starts, tile columns)."""
    rows = -(-height // TILE)
    columns = -(-width // TILE)
    boxes = np.zeros((len(prims), 4), np.int32)
    nears = np.empty(len(prims))
    screen_boxes(eye, prims, height, width, boxes, nears, np.empty((8, 3)))
    order = np.argsort(nears, kind="stable")
    starts = np.zeros(rows * columns + 1, np.int32)
    fill_tiles(order, boxes, columns, starts, np.empty(0, np.int32))
    np.cumsum(starts, out=starts)
    items = np.empty(starts[-1], np.int32)
    fill_tiles(order, boxes, columns, starts[:-1].copy(), items)
    return items, nears, starts, columns
