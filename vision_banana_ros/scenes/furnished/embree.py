# SPDX-License-Identifier: Apache-2.0
"""Ray casting of triangle meshes with Embree, on the CPU.

Uses `embreex`, a wheel of 14 MB that only needs NumPy; Open3D's RaycastingScene (the same Embree) needs 105
MB, system libraries and a plotting stack. It takes 0.65 microseconds per camera ray for 300,000 triangles on
one thread; training renders its views with one process per core.
"""

from functools import cached_property
from typing import Any

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.scenes.cameras import Camera
from vision_banana_ros.scenes.furnished import shading
from vision_banana_ros.scenes.furnished.models import GLOSS
from vision_banana_ros.scenes.furnished.shading import Soup
from vision_banana_ros.scenes.solids import SKY

LAYERS = 12
"""Panes of glass and leaves that a ray passes at most."""
OFFSETS = ((-0.375, 0.4), (0.0, -0.1), (0.375, 0.3), (-0.1, -0.4))
"""Where in a pixel at an edge further rays go, besides the one through its middle."""
MIRROR_GLOSS = 1.0
"""Flat surfaces as glossy as this are mirrors; `gl.py` draws them grey."""
MIRRORED = 0.88
"""Share of the light that a mirror gives back."""


def scene_of(corners: np.ndarray) -> Any:
    """An Embree scene of triangles (T, 3, 3); None of none."""
    try:
        from embreex import rtcore_scene
        from embreex.mesh_construction import TriangleMesh
    except ImportError as error:
        raise InputError("Furnished scenes need Embree: run `pip install embreex`.") from error
    if not len(corners):
        return None
    scene = rtcore_scene.EmbreeScene()
    TriangleMesh(scene, np.ascontiguousarray(corners, np.float32))
    return scene


class EmbreeCaster:
    """The rays of one world. `lights` and `air` as the procedural scenes have them."""

    reach_of_air = shading.REACH
    """How far, in metres, other things darken a place."""
    samples = 4
    """Rays through a pixel at an edge."""

    def __init__(self, soup: Soup, lights: np.ndarray, air: np.ndarray):
        self.soup, self.lights, self.air = soup, lights, air

    def __getstate__(self) -> dict[str, Any]:
        """Without Embree's own memory, so that a world can go to another process."""
        return {"soup": self.soup, "lights": self.lights, "air": self.air}

    @cached_property
    def scenes(self) -> tuple[Any, Any]:
        """What is opaque, and what is glass or cut out; built when the first ray is cast."""
        return scene_of(self.soup.corners[: self.soup.solid]), scene_of(self.soup.corners[self.soup.solid :])

    @cached_property
    def on_gpu(self) -> Any:
        """The same world on the graphics card."""
        from vision_banana_ros.scenes.furnished.gl import GlCaster

        return GlCaster(self.soup, self.lights, self.air)

    def meet(
        self, scene: int, starts: np.ndarray, towards: np.ndarray, reach: np.ndarray | None = None,
        query: str = "INTERSECT"
    ) -> np.ndarray:  # fmt: skip
        """The first triangle that each ray hits in one of the two scenes, -1 for none.

        reach: length of the ray in multiples of its direction (float32). query: "OCCLUDED" only tests whether
        anything is hit.
        """
        if self.scenes[scene] is None or not len(starts):
            return np.full(len(starts), -1, np.int32)
        return np.asarray(self.scenes[scene].run(starts, towards, dists=reach, query=query), np.int32)

    def glance(self, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
        """Depth (inf for sky) and instances of the opaque things alone, (H, W)."""
        eye = camera.eye()
        dirs = shading.rays(eye, *grid(camera))
        origin = eye[shading.ORIGIN : shading.ORIGIN + 3]
        found = self.meet(0, np.broadcast_to(origin.astype(np.float32), dirs.shape).copy(), dirs)
        depth = np.empty(len(dirs))
        shading.solid_hits(self.soup, *origin, dirs, found, depth)
        instances = np.where(found >= 0, self.soup.instance[self.soup.owner[found]], 0).astype(int)
        size = camera.height, camera.width
        return depth.reshape(size), instances.reshape(size)

    def trace(self, eye: np.ndarray, dirs: np.ndarray) -> tuple[np.ndarray, ...]:
        """Traces rays through glass.

        Returns:
            The first surface of each ray and the last one behind glass, each with its depth; the transmission
            of the glass (N, 3) and the light that it adds (N, 3).
        """
        origin = eye[shading.ORIGIN : shading.ORIGIN + 3]
        starts = np.broadcast_to(origin.astype(np.float32), dirs.shape).copy()
        back = self.meet(0, starts, dirs)
        n = len(dirs)
        back_t = np.empty(n)
        shading.solid_hits(self.soup, *origin, dirs, back, back_t)
        front, front_t = np.full(n, -1, np.int32), np.empty(n)
        clear, added = np.ones((n, 3), np.float32), np.zeros((n, 3), np.float32)
        near, active = np.zeros(n), np.arange(n)
        for layer in range(LAYERS):
            if self.scenes[1] is None or not len(active):
                break
            if layer:
                starts = (origin + dirs[active] * (near[active] * 1.00001 + 1e-4)[:, None]).astype(np.float32)
            found = self.meet(
                1, starts, dirs[active], np.minimum(back_t[active] - near[active], 1e30).astype(np.float32)
            )
            count = shading.pass_through(
                self.soup,
                self.air,
                *origin,
                dirs,
                active,
                found,
                near,
                front,
                front_t,
                back,
                back_t,
                clear,
                added,
            )
            active = active[:count]
        none = front < 0
        front[none], front_t[none] = back[none], back_t[none]
        return front, front_t, back, back_t, clear, added

    def reach_of_light(  # type: ignore[no-untyped-def]
        self, eye: np.ndarray, dirs: np.ndarray, back: np.ndarray, back_t: np.ndarray, size: tuple[int, int]
    ):
        """The share of each light and of the air that reaches each pixel (N, lights + 1).

        Places and normals.
        """
        n = len(dirs)
        spots, faces = np.zeros((n, 3)), np.zeros((n, 3))
        starts, towards = np.zeros((2 * n, 3), np.float32), np.zeros((2 * n, 3), np.float32)
        reach, which = np.zeros(2 * n, np.float32), np.empty(2 * n, np.int32)
        shading.prepare(
            self.soup, eye, self.lights, dirs, back, back_t, *size, spots, faces, starts, towards, reach,
            which
        )  # fmt: skip
        reach[n:] *= self.reach_of_air / shading.REACH
        lit = np.zeros(2 * n, np.float32)
        asked = np.flatnonzero((which >= 0) & (reach > 0))
        free = asked[self.meet(0, starts[asked], towards[asked], reach[asked], "OCCLUDED") < 0]
        lit[free] = 1.0
        if self.scenes[1] is not None:
            free = free[free < n]
            found = self.meet(1, starts[free], towards[free], reach[free])
            shading.dim(self.soup, starts, towards, reach, free, found, lit)
        seen = np.empty((n, len(self.lights) + 1), np.float32)
        shading.filter_light(which, lit, spots, faces, back_t, self.lights, *size, seen)
        return shading.soften(seen, spots, faces, back_t, *size), spots, faces

    def reflect(
        self, eye: np.ndarray, dirs: np.ndarray, back: np.ndarray, back_t: np.ndarray, rgb: np.ndarray
    ) -> None:
        """Paints into rgb (N, 3) what mirrors show, each seen from the eye's image behind it.

        Their light falls freely.
        """
        soup = self.soup
        of = soup.material[np.maximum(back, 0)]
        shown = (back >= 0) & (soup.materials[of, GLOSS] >= MIRROR_GLOSS)
        for owner in np.unique(soup.owner[back[shown]]):
            places = np.flatnonzero(shown & (soup.owner[back] == owner))
            a, b, c = soup.corners[back[places[0]]].astype(float)
            normal = np.cross(b - a, c - a)
            normal /= np.linalg.norm(normal)
            behind = eye.copy()
            origin = eye[shading.ORIGIN : shading.ORIGIN + 3]
            behind[shading.ORIGIN : shading.ORIGIN + 3] = origin - 2.0 * ((origin - a) @ normal) * normal
            image = behind[shading.ORIGIN : shading.ORIGIN + 3]
            turned = dirs[places].astype(float)
            turned = (turned - 2.0 * (turned @ normal)[:, None] * normal).astype(np.float32)
            starts = (image + turned * (back_t[places, None] * 1.0001 + 1e-3)).astype(np.float32)
            found, far = self.meet(0, starts, turned), np.empty(len(places))
            shading.solid_hits(soup, *image, turned, found, far)
            n = len(places)
            seen = np.full((1, len(self.lights) + 1), 0.8, np.float32)
            clear, added = np.full((n, 3), MIRRORED, np.float32), np.full((n, 3), 0.004, np.float32)
            rgb[places] = 0.0
            lender = np.zeros(n, np.int64)
            shading.shade_all(
                soup, behind, self.lights, self.air, seen, lender, places, turned, found, far, clear, added,
                rgb
            )  # fmt: skip

    def shine(
        self, eye: np.ndarray, seen: np.ndarray, lender: np.ndarray, places: np.ndarray, dirs: np.ndarray,
        back: np.ndarray,
        back_t: np.ndarray, clear: np.ndarray, added: np.ndarray, rgb: np.ndarray,
    ) -> None:  # fmt: skip
        """Adds the light of every ray to the pixel `places[i]` of rgb (N, 3)."""
        shading.shade_all(
            self.soup, eye, self.lights, self.air, seen, lender, places, dirs, back, back_t, clear, added, rgb
        )

    def worth_more(self, at: np.ndarray, rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Which of the pixels `at` edges need several rays, by their first one's light (N, 3): here all."""
        return at

    def cast(self, camera: Camera, device: str = "cpu") -> tuple[np.ndarray, ...]:
        """Linear light, depth, normals, labels and instances of all pixels, as in `views.View`.

        device: "cuda" renders by OpenGL on the GPU instead.
        """
        if device == "cuda":
            return self.on_gpu.cast(camera)
        eye, soup = camera.eye(), self.soup
        size = camera.height, camera.width
        n = camera.height * camera.width
        columns, rows = grid(camera)
        dirs = shading.rays(eye, columns, rows)
        front, front_t, back, back_t, clear, added = self.trace(eye, dirs)
        depth_m, normals = np.empty(n, np.float32), np.empty((n, 3), np.float32)
        labels, instances = np.empty(n, np.uint8), np.empty(n, np.uint16)
        shading.truth(soup, eye, dirs, front, front_t, SKY, depth_m, normals, labels, instances)
        seen, spots, faces = self.reach_of_light(eye, dirs, back, back_t, size)
        rgb = np.zeros((n, 3), np.float32)
        own = np.arange(n)
        self.shine(eye, seen, own, own, dirs, back, back_t, clear, added, rgb)
        at = shading.edges(soup, front, back, back_t, faces, *size)
        at = self.worth_more(at, rgb, size)
        if len(at):
            places = np.repeat(at, self.samples - 1)
            turn = (np.arange(len(places)) + places) % len(OFFSETS)
            offsets = np.array(OFFSETS)[turn]
            more = shading.rays(eye, columns[places] + offsets[:, 0], rows[places] + offsets[:, 1])
            _, _, extra, extra_t, clear, added = self.trace(eye, more)
            lender = shading.lenders(soup, spots, back, more, eye, extra, extra_t, places, *size)
            self.shine(eye, seen, lender, places, more, extra, extra_t, clear, added, rgb)
            rgb[at] /= self.samples
        self.reflect(eye, dirs, back, back_t, rgb)
        return (
            rgb.reshape(*size, 3), depth_m.reshape(size), normals.reshape(*size, 3), labels.reshape(size),
            instances.reshape(size),
        )  # fmt: skip


def grid(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows of all pixels, row by row."""
    rows, columns = np.divmod(np.arange(camera.height * camera.width, dtype=float), camera.width)
    return columns, rows
