# SPDX-License-Identifier: Apache-2.0
"""The simulated camera: repeatable, steady, and worth looking at. The GPU's path: the same numbers as the
CPU's."""

import os
import subprocess
import sys

import numpy as np
import pytest
from patience import PATIENCE_S

from vision_banana_ros.errors import InputError
from vision_banana_ros.scenes import SimulatedCamera, make_world, sample_camera
from vision_banana_ros.scenes.views import cast_on_cpu


def test_same_seed_and_time_give_the_same_frame():
    a, b = (SimulatedCamera(3, 64, 48, 10.0).view(1.7) for _ in range(2))
    assert np.array_equal(a.image, b.image)
    assert np.array_equal(a.depth_m, b.depth_m)
    later = SimulatedCamera(3, 64, 48, 10.0).view(1.8)
    assert not np.array_equal(a.image, later.image)  # the sensor's noise at least


def test_it_moves_slowly_and_without_jumps():
    camera = SimulatedCamera(5, 64, 48, 10.0)
    poses = np.array([camera.camera(0.1 * k).pose for k in range(300)])
    steps = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1)
    turns = np.degrees(np.arccos(np.clip((poses[:-1, :3, 2] * poses[1:, :3, 2]).sum(1), -1, 1)))
    assert 0 < steps.max() < 0.05
    assert 0 < turns.max() < 1.0
    assert np.ptp(poses[:, 0, 3]) + np.ptp(poses[:, 1, 3]) > 0.02


@pytest.mark.parametrize("seed", range(4))
def test_it_always_sees_something(seed):
    camera = SimulatedCamera(seed, 48, 36, 10.0)
    for t in np.linspace(0.0, 60.0, 13):
        view = camera.view(float(t))
        assert len(view.visible()) >= 2
        assert view.depth_m.min() > 0.1
        assert view.image.std() > 10


def test_a_rate_must_be_above_zero():
    with pytest.raises(InputError, match="above zero"):
        SimulatedCamera(0, 64, 48, 0.0)


GPU = """
import sys
import numpy as np
from vision_banana_ros.scenes import make_world, sample_camera
from vision_banana_ros.scenes.kernel_cuda import cast

world = make_world(3, "room")
np.savez(sys.argv[1], *cast(world, sample_camera(world, np.random.default_rng(0), 12, 9)))
"""


def test_the_path_for_gpus_gives_the_same_numbers(tmp_path):
    """In Numba's simulator, which needs no GPU: it runs the kernels as Python."""
    simulated = os.environ | {"NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"}
    subprocess.run(
        [sys.executable, "-c", GPU, str(tmp_path / "out.npz")], env=simulated, check=True, timeout=PATIENCE_S
    )
    world = make_world(3, "room")
    expected = cast_on_cpu(world, sample_camera(world, np.random.default_rng(0), 12, 9))
    with np.load(tmp_path / "out.npz") as out:
        for ours, theirs in zip(expected, out.values(), strict=True):
            assert np.allclose(ours, theirs, rtol=1e-4, atol=1e-4, equal_nan=True)
