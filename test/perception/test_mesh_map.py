# SPDX-License-Identifier: Apache-2.0
"""Rendered views with exact depth and poses give a mesh that lies on the world's surfaces, with its
classes and colours."""

import numpy as np
import pytest

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception import Intrinsics, points
from vision_banana_ros.perception.mesh_map import MeshMap
from vision_banana_ros.scenes import SimulatedCamera
from vision_banana_ros.tasks.semantic import UNLABELLED

pytest.importorskip("open3d", reason="Open3D is an extra", exc_type=ImportError)
VOXEL_M = 0.05


@pytest.fixture(scope="module")
def views():
    camera = SimulatedCamera(4, 160, 120, 10.0)
    return [camera.view(2.0 * k) for k in range(6)]


@pytest.fixture(scope="module")
def mesh(views):
    fused = MeshMap(VOXEL_M, 6.0)
    for view in views:
        fused.add(view.depth_m, view.image, view.labels, Intrinsics.of(view.camera), view.camera.pose)
    return fused.mesh(2)


def surfaces(views):
    """Every pixel's point in the world, with its class and colour."""
    places = [
        points(v.depth_m, Intrinsics.of(v.camera)) @ v.camera.pose[:3, :3].T + v.camera.pose[:3, 3]
        for v in views
    ]
    xyz, labels, colors = (np.concatenate([a.reshape(-1, *a.shape[2:]) for a in each]) for each in
                           (places, [v.labels for v in views], [v.image for v in views]))  # fmt: skip
    known = np.isfinite(xyz).all(1)
    return xyz[known], labels[known], colors[known]


def nearest(places, others):
    """For each of `places` the number of the nearest of `others`, and how far that is."""
    found = [((others - place) ** 2).sum(1).argmin() for place in places]
    return np.array(found), np.linalg.norm(others[found] - places, axis=1)


def test_the_mesh_lies_on_the_surfaces_with_their_classes_and_colours(views, mesh):
    xyz, labels, colors = surfaces(views)
    some = np.random.default_rng(0).choice(len(mesh.vertices), 400, replace=False)
    number, away = nearest(mesh.vertices[some], xyz)
    assert np.median(away) < VOXEL_M and np.mean(away < 2 * VOXEL_M) > 0.95
    assert np.mean(mesh.labels[some] == labels[number]) > 0.9 and np.mean(mesh.labels == UNLABELLED) < 0.02
    assert np.abs(mesh.colors[some].astype(int) - colors[number]).mean() < 30
    assert mesh.triangles.min() >= 0 and mesh.triangles.max() < len(mesh.vertices)


def test_what_is_unreadable_far_or_unlabelled_makes_no_surface_and_no_class(views):
    view = views[0]
    camera, pose = Intrinsics.of(view.camera), view.camera.pose
    nothing = np.full(view.depth_m.shape, UNLABELLED, np.uint8)
    fused = MeshMap(VOXEL_M, 1.0)
    fused.add(np.full_like(view.depth_m, np.nan), view.image, nothing, camera, pose)
    fused.add(np.full_like(view.depth_m, np.inf), view.image, nothing, camera, pose)
    fused.add(np.full_like(view.depth_m, 3.0), view.image, nothing, camera, pose)
    with pytest.raises(InputError, match="No surface"):
        fused.mesh()
    fused.add(np.full_like(view.depth_m, 0.8), view.image, nothing, camera, pose)
    assert (fused.mesh().labels == UNLABELLED).all()


def test_poses_and_lengths_that_cannot_be_are_refused(views):
    view = views[0]
    with pytest.raises(InputError, match="do not fit"):
        MeshMap(0.0)
    with pytest.raises(InputError, match="finite"):
        pose = np.full((4, 4), np.nan)
        MeshMap().add(view.depth_m, view.image, view.labels, Intrinsics.of(view.camera), pose)
