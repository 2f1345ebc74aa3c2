# SPDX-License-Identifier: Apache-2.0
# mypy: disallow-untyped-defs=False
"""Shading of streets.

That of `furnished.shading` with dirt, translucent leaves, reflections and a sky with clouds.
"""

import math

import numpy as np
from numba import njit

from vision_banana_ros.scenes import kernel
from vision_banana_ros.scenes.furnished.models import CUTOUT, GLOSS, GLOW, SHARPNESS, TEXTURE
from vision_banana_ros.scenes.furnished.shading import (
    AIR_SEED,
    AMBIENT_DOWN,
    AMBIENT_UP,
    CLOUDS,
    FOCAL,
    FOG,
    FOG_COLOR,
    HORIZON,
    OPTIONS,
    ORIGIN,
    SUN_DIR,
    ZENITH,
    around,
    meet,
    normal_at,
)
from vision_banana_ros.scenes.street.meshes import GRIME, MIRROR, THIN

CLOUD_LIGHT, GLARE = kernel.AIR_ENTRIES, kernel.AIR_ENTRIES + 1
"""Entries of `air` that streets have besides those of `kernel`: how bright clouds are, how the sun blinds."""
STREET_AIR = kernel.AIR_ENTRIES + 2

jit = njit(**OPTIONS)


@jit
def sample(field, x, y):
    """Bilinear value of a square field that repeats, at x, y in periods."""
    size = field.shape[0]
    x, y = x * size, y * size
    fx, fy = math.floor(x), math.floor(y)
    x -= fx
    y -= fy
    i0, j0 = int(fx) & (size - 1), int(fy) & (size - 1)
    i1, j1 = (i0 + 1) & (size - 1), (j0 + 1) & (size - 1)
    return (1 - y) * ((1 - x) * field[j0, i0] + x * field[j0, i1]) + y * (
        (1 - x) * field[j1, i0] + x * field[j1, i1]
    )


@jit
def paint(soup, p, u, v, footprint):
    """As `furnished.shading.paint`, quicker.

    Colours are averaged as a display shows them, then made linear.
    """
    m = soup.material[p]
    r, g, b = soup.materials[m, 0], soup.materials[m, 1], soup.materials[m, 2]
    row = int(soup.materials[m, TEXTURE])
    if row < 0:
        return r, g, b, 1.0
    w = 1.0 - u - v
    c, k = soup.uv, soup.corners
    s = w * c[p, 0, 0] + u * c[p, 1, 0] + v * c[p, 2, 0]
    t = w * c[p, 0, 1] + u * c[p, 1, 1] + v * c[p, 2, 1]
    first, wide, high = int(soup.textures[row, 0]), int(soup.textures[row, 1]), int(soup.textures[row, 2])
    twice = abs(
        (c[p, 1, 0] - c[p, 0, 0]) * (c[p, 2, 1] - c[p, 0, 1])
        - (c[p, 2, 0] - c[p, 0, 0]) * (c[p, 1, 1] - c[p, 0, 1])
    )
    ux, uy, uz = k[p, 1, 0] - k[p, 0, 0], k[p, 1, 1] - k[p, 0, 1], k[p, 1, 2] - k[p, 0, 2]
    vx, vy, vz = k[p, 2, 0] - k[p, 0, 0], k[p, 2, 1] - k[p, 0, 1], k[p, 2, 2] - k[p, 0, 2]
    x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    # texels in a pixel, squared twice over: its logarithm to the base of 16 is the level
    share = (
        twice * twice / max(x * x + y * y + z * z, 1e-20) * (footprint * footprint) * (footprint * footprint)
    )
    share *= float(1 << (wide + high)) * float(1 << (wide + high))
    while share > 4.0 and wide + high > 0:
        first += 1 << (wide + high)
        wide, high = max(wide - 1, 0), max(high - 1, 0)
        share *= 0.0625
    e, f, g_, h, x, y = around(first, wide, high, s, t)
    q = soup.texels
    w00, w10, w01, w11 = (1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y
    x = (w00 * q[e, 0] + w10 * q[f, 0] + w01 * q[g_, 0] + w11 * q[h, 0]) / 255.0
    y = (w00 * q[e, 1] + w10 * q[f, 1] + w01 * q[g_, 1] + w11 * q[h, 1]) / 255.0
    z = (w00 * q[e, 2] + w10 * q[f, 2] + w01 * q[g_, 2] + w11 * q[h, 2]) / 255.0
    alpha = (w00 * q[e, 3] + w10 * q[f, 3] + w01 * q[g_, 3] + w11 * q[h, 3]) / 255.0
    # x**2.2 within 0.008
    return r * x * x * (0.78 + 0.22 * x), g * y * y * (0.78 + 0.22 * y), b * z * z * (0.78 + 0.22 * z), alpha


@jit
def sky(air, field, dx, dy, dz):
    """Linear light of the sky: a gradient, clouds on a far plane, lighter towards the sun."""
    size = math.sqrt(dx * dx + dy * dy + dz * dz)
    x, y, z = dx / size, dy / size, max(dz / size, 0.0)
    up = z**0.55
    sun = max(0.0, x * air[SUN_DIR] + y * air[SUN_DIR + 1] + dz / size * air[SUN_DIR + 2])
    glow = air[GLARE] * (0.25 * sun**4 + 0.9 * sun**40 + 6.0 * sun**900)
    s = 0.137 * air[AIR_SEED]
    far = 1.0 / (z + 0.09)
    a, b = 0.05 * x * far + s, 0.05 * y * far + 1.7 * s
    cover = (
        sample(field, a, b)
        + 0.5 * sample(field, 3.1 * a + 0.3, 3.1 * b)
        + 0.25 * sample(field, 8.7 * a, 8.7 * b + 0.6)
    )
    cloud = min(1.0, max(0.0, 0.55 * cover + 2.6 * air[CLOUDS] - 1.3)) * min(1.0, 6.0 * z + 0.1)
    thick = min(1.0, max(0.0, 0.4 * cover + 1.6 * air[CLOUDS] - 0.9))
    light = air[CLOUD_LIGHT] * (1.0 - 0.4 * thick + 0.5 * sun**3)
    r = (1 - cloud) * (air[HORIZON] + (air[ZENITH] - air[HORIZON]) * up) + cloud * light
    g = (1 - cloud) * (air[HORIZON + 1] + (air[ZENITH + 1] - air[HORIZON + 1]) * up) + cloud * light
    b = (1 - cloud) * (air[HORIZON + 2] + (air[ZENITH + 2] - air[HORIZON + 2]) * up) + cloud * light * 1.02
    return r + glow, g + 0.93 * glow, b + 0.8 * glow


@jit
def dirt(field, amount, px, py, pz, up):
    """What dirt and weather leave of a surface's colour.

    Blotches of metres and of hand's breadths, more near the ground.
    """
    if up > 0.6:
        big, small = sample(field, 0.031 * px, 0.031 * py), sample(field, 0.23 * px, 0.23 * py)
        return 1.0 + amount * (0.13 * big + 0.1 * small)
    along = 0.8 * px + 0.6 * py
    big, small = sample(field, 0.043 * along, 0.05 * pz), sample(field, 0.31 * along, 0.09 * pz)
    low = 0.3 * math.exp(-1.6 * max(pz, 0.0)) * (1.0 + 0.6 * small)
    return max(0.25, 1.0 + amount * (0.13 * big + 0.11 * small - low))


@jit
def surface(
    soup, lights, air, field, seen, air_seen, px, py, pz, dx, dy, dz, length, p, u, v, x, y, z, footprint
):
    """Linear light that leaves triangle p towards a ray's start; without what it mirrors."""
    r, g, b, _ = paint(soup, p, u, v, footprint)
    m = soup.material[p]
    row = soup.materials[m]
    gloss, sharp, glow, thin = row[GLOSS], row[SHARPNESS], row[GLOW], row[THIN]
    if row[GRIME] > 0.0:
        keep = dirt(field, row[GRIME], px, py, pz, abs(z))
        r, g, b = r * keep, g * keep, b * keep
    up = 0.5 + 0.5 * z
    # a crown is denser here than leaves are: some of the light that its cards stop comes through a real one
    leak = 0.6 * thin
    free = 0.1 + 0.9 * (leak + (1.0 - leak) * air_seen)
    er = free * (air[AMBIENT_DOWN] + (air[AMBIENT_UP] - air[AMBIENT_DOWN]) * up)
    eg = free * (air[AMBIENT_DOWN + 1] + (air[AMBIENT_UP + 1] - air[AMBIENT_DOWN + 1]) * up)
    eb = free * (air[AMBIENT_DOWN + 2] + (air[AMBIENT_UP + 2] - air[AMBIENT_DOWN + 2]) * up)
    shine = 0.0
    for k in range(len(lights)):
        lit = leak + (1.0 - leak) * seen[k]
        if lit <= 0.0:
            continue
        lx, ly, lz = lights[k, 1], lights[k, 2], lights[k, 3]
        cosine = x * lx + y * ly + z * lz
        if thin > 0.0:  # leaves: some light shines through, and soft all round
            cosine = (1.0 - thin) * max(cosine, 0.0) + thin * (0.35 + 0.4 * max(-cosine, 0.0))
        if cosine <= 0.0:
            continue
        er += lit * cosine * lights[k, 4]
        eg += lit * cosine * lights[k, 5]
        eb += lit * cosine * lights[k, 6]
        if gloss > 0.0:
            hx, hy, hz = lx - dx / length, ly - dy / length, lz - dz / length
            half = max(0.0, (x * hx + y * hy + z * hz) / max(math.sqrt(hx * hx + hy * hy + hz * hz), 1e-9))
            shine += lit * gloss * half**sharp * (lights[k, 4] + lights[k, 5] + lights[k, 6]) / 3.0
    return r * (er + 3.0 * glow) + shine, g * (eg + 3.0 * glow) + shine, b * (eb + 3.0 * glow) + shine


@jit
def mirrored(soup, eye, field, dirs, back, back_t, share, starts, towards, which):
    """Rays that shiny surfaces mirror: fills share (N,) of each ray, `which` rays these are; how many."""
    count = 0
    slope = 1.0 / eye[FOCAL]
    for i in range(len(back)):
        share[i] = 0.0
        p = back[i]
        if p < 0:
            continue
        m = soup.material[p]
        base = soup.materials[m, MIRROR]
        if base <= 0.0:
            continue
        dx, dy, dz = float(dirs[i, 0]), float(dirs[i, 1]), float(dirs[i, 2])
        t, u, v, nx, ny, nz = meet(soup.corners, p, eye[ORIGIN], eye[ORIGIN + 1], eye[ORIGIN + 2], dx, dy, dz)
        x, y, z = normal_at(soup, p, u, v, nx, ny, nz, dx, dy, dz)
        length = math.sqrt(dx * dx + dy * dy + dz * dz)
        if z > 0.9 and base < 0.04:  # wet asphalt is rough: what it mirrors wavers
            px, py = eye[ORIGIN] + t * dx, eye[ORIGIN + 1] + t * dy
            rough = 0.025 / (1.0 + 0.05 * t)
            x += rough * (sample(field, 0.9 * px, 0.9 * py) + sample(field, 0.13 * px, 0.13 * py))
            y += rough * (sample(field, 0.9 * py + 0.3, 0.9 * px) + sample(field, 0.13 * py, 0.13 * px + 0.6))
            size = math.sqrt(x * x + y * y + z * z)
            x, y, z = x / size, y / size, z / size
        facing = min(1.0, max(0.0, -(x * dx + y * dy + z * dz) / length))
        amount = base + (0.6 - base) * (1.0 - facing) ** 5
        if soup.materials[m, TEXTURE] >= 0 and soup.materials[m, CUTOUT] < 0.5:
            amount *= paint(soup, p, u, v, t * slope)[3]
        if amount < 0.02:
            continue
        share[i] = amount
        twice = 2.0 * (x * dx + y * dy + z * dz)
        rx, ry, rz = (dx - twice * x) / length, (dy - twice * y) / length, (dz - twice * z) / length
        lift = 0.004 + 0.001 * t
        starts[count, 0] = eye[ORIGIN] + t * dx + lift * x
        starts[count, 1] = eye[ORIGIN + 1] + t * dy + lift * y
        starts[count, 2] = eye[ORIGIN + 2] + t * dz + lift * z
        towards[count, 0], towards[count, 1], towards[count, 2] = rx, ry, rz
        which[count] = i
        count += 1
    return count


@jit
def mirror_light(soup, lights, air, field, starts, towards, found, which, light):
    """The light (N, 3) along the mirrored rays; shadows are left out there."""
    half = np.full(len(lights) + 1, 0.5)
    for k in range(len(found)):
        i, p = which[k], found[k]
        dx, dy, dz = float(towards[k, 0]), float(towards[k, 1]), float(towards[k, 2])
        if p < 0:
            r, g, b = sky(air, field, dx, dy, dz)
        else:
            ox, oy, oz = float(starts[k, 0]), float(starts[k, 1]), float(starts[k, 2])
            t, u, v, nx, ny, nz = meet(soup.corners, p, ox, oy, oz, dx, dy, dz)
            x, y, z = normal_at(soup, p, u, v, nx, ny, nz, dx, dy, dz)
            r, g, b = surface(
                soup,
                lights,
                air,
                field,
                half,
                0.7,
                ox + t * dx,
                oy + t * dy,
                oz + t * dz,
                dx,
                dy,
                dz,
                1.0,
                p,
                u,
                v,
                x,
                y,
                z,
                0.01 * t,
            )
        light[i, 0], light[i, 1], light[i, 2] = min(r, 1.5), min(g, 1.5), min(b, 1.5)


@jit
def shade_all(
    soup, eye, lights, air, field, seen, lender, places, dirs, back, back_t, clear, added, share, light, rgb
):
    """As `furnished.shading.shade_all`; `share` of a ray's light is the mirrored `light`."""
    slope = 1.0 / eye[FOCAL]
    count = len(lights)
    ox, oy, oz = eye[ORIGIN], eye[ORIGIN + 1], eye[ORIGIN + 2]
    for i in range(len(back)):
        p = back[i]
        dx, dy, dz = float(dirs[i, 0]), float(dirs[i, 1]), float(dirs[i, 2])
        if p < 0:
            r, g, b = sky(air, field, dx, dy, dz)
        else:
            t = back_t[i]
            _, u, v, nx, ny, nz = meet(soup.corners, p, ox, oy, oz, dx, dy, dz)
            x, y, z = normal_at(soup, p, u, v, nx, ny, nz, dx, dy, dz)
            length = math.sqrt(dx * dx + dy * dy + dz * dz)
            facing = max(0.15, -(x * dx + y * dy + z * dz) / length)
            r, g, b = surface(
                soup,
                lights,
                air,
                field,
                seen[lender[i]],
                seen[lender[i], count],
                ox + t * dx,
                oy + t * dy,
                oz + t * dz,
                dx,
                dy,
                dz,
                length,
                p,
                u,
                v,
                x,
                y,
                z,
                t * slope / math.sqrt(facing),
            )
            q = share[i]
            r, g, b = (
                (1 - q) * r + q * light[i, 0],
                (1 - q) * g + q * light[i, 1],
                (1 - q) * b + q * light[i, 2],
            )
            if air[FOG] > 0.0:
                keep = math.exp(-air[FOG] * t * length)
                sun = max(0.0, (dx * air[SUN_DIR] + dy * air[SUN_DIR + 1] + dz * air[SUN_DIR + 2]) / length)
                veil = (1 - keep) * (1.0 + air[GLARE] * sun**6)
                r = keep * r + veil * air[FOG_COLOR]
                g = keep * g + veil * air[FOG_COLOR + 1]
                b = keep * b + veil * air[FOG_COLOR + 2]
        k = places[i]
        rgb[k, 0] += min(6.0, clear[i, 0] * r + added[i, 0])
        rgb[k, 1] += min(6.0, clear[i, 1] * g + added[i, 1])
        rgb[k, 2] += min(6.0, clear[i, 2] * b + added[i, 2])
