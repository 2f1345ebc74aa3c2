# SPDX-License-Identifier: Apache-2.0
"""Renders one view of a world with its ground truth."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from vision_banana_ros.scenes import kernel
from vision_banana_ros.scenes.cameras import Camera
from vision_banana_ros.scenes.effects import Effects, develop
from vision_banana_ros.scenes.solids import SKY, World, WorldObject


@dataclass(frozen=True)
class View:
    """A picture and its truth, all (H, W).

    image: uint8 RGB. depth_m: float32 metres along the optical axis, +inf on the sky. normals: float32 (H, W,
    3) unit, +x right, +y up, +z to the viewer, NaN on the sky. labels: uint8 index into `CLASSES`, 255 on
    things of no class (furnished scenes alone have some). instances: uint16, 0 where nothing countable is.
    Glass and mirrors count with their own surface.
    """

    image: np.ndarray
    depth_m: np.ndarray
    normals: np.ndarray
    labels: np.ndarray
    instances: np.ndarray
    camera: Camera
    world: World

    def visible(self, share: float = 40 / (192 * 256)) -> list[WorldObject]:
        """The objects of which at least this share of the picture can be seen."""
        counts = np.bincount(self.instances.ravel(), minlength=len(self.world.objects) + 1)
        least = max(1.0, share * self.instances.size)
        return [o for o in self.world.objects if counts[o.instance] >= least]


def render(
    world: World,
    camera: Camera,
    rng: np.random.Generator | int,
    effects: bool | Effects = True,
    device: Literal["cpu", "cuda"] = "cpu",
) -> View:
    """Renders what the camera sees.

    rng: draws the effects of lens, sensor and compression; a seed works, too. effects: False for the image
    without effects, or an `Effects`. device: "cuda" casts the rays on an NVIDIA GPU with the same functions;
    furnished worlds are rendered by OpenGL there.
    """
    rng = np.random.default_rng(rng)
    if world.caster is not None:
        rgb, depth_m, normals, labels, instances = world.caster.cast(camera, device)
    elif device == "cuda":
        from vision_banana_ros.scenes.kernel_cuda import cast

        rgb, depth_m, normals, labels, instances = cast(world, camera)
    else:
        rgb, depth_m, normals, labels, instances = cast_on_cpu(world, camera)
    if effects is True:
        effects = Effects.draw(rng, world.sunlit)
    elif effects is False:
        effects = Effects()
    image = develop(rgb, effects, int(rng.integers(1 << 31)))
    return View(image, depth_m, normals, labels, instances, camera, world)


def cast_on_cpu(world: World, camera: Camera) -> tuple[np.ndarray, ...]:
    """Linear light, depth, normals, labels and instances of all pixels."""
    size = camera.height, camera.width
    eye = camera.eye()
    items, nears, starts, columns = kernel.tiles(eye, world.prims, *size)
    depth, who = np.empty(size), np.empty(size, np.int32)
    kernel.trace_image(eye, world.prims, items, nears, starts, columns, depth, who)
    casters = np.empty((2 * len(world.lights), len(world.prims) + 1), np.int32)
    rgb = np.empty((*size, 3), np.float32)
    kernel.shade_image(
        eye,
        world.prims,
        world.groups,
        world.lights,
        world.air,
        items,
        nears,
        starts,
        columns,
        casters,
        depth,
        who,
        rgb,
    )
    depth_m, normals = np.empty(size, np.float32), np.empty((*size, 3), np.float32)
    labels, instances = np.empty(size, np.uint8), np.empty(size, np.uint16)
    kernel.truth_image(eye, world.prims, who, depth, depth_m, normals, labels, instances, SKY)
    return rgb, depth_m, normals, labels, instances
