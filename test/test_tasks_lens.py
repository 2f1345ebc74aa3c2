# SPDX-License-Identifier: Apache-2.0
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision_banana_ros.errors import InputError
from vision_banana_ros.tasks.lens import metres_per_painted


def test_golden_lenses() -> None:
    assert metres_per_painted(100.0, 200, 90.0) == pytest.approx(1)
    assert metres_per_painted(200.0, 200, 90.0) == pytest.approx(2)
    assert metres_per_painted(554.26, 640, 60.0) == pytest.approx(1, rel=1e-4)
    assert metres_per_painted(554.26, 640, 70.0) == pytest.approx(math.tan(math.radians(35)) / math.tan(math.radians(30)), rel=1e-4)


@given(st.floats(1, 179), st.floats(1, 179), st.integers(16, 4096))
def test_a_thing_covers_as_many_pixels_at_the_painted_depth_as_at_the_true_one(fov: float, painted_fov: float, width: int) -> None:
    focal, painted_focal = (width / 2 / math.tan(math.radians(angle) / 2) for angle in (fov, painted_fov))
    painted_m = 2.0
    depth_m = painted_m * metres_per_painted(focal, width, painted_fov)
    assert focal / depth_m == pytest.approx(painted_focal / painted_m)


@pytest.mark.parametrize(("focal", "width", "fov"), [(0, 640, 70), (-1, 640, 70), (500, 0, 70), (500, 640, 0), (500, 640, 180)])
def test_lenses_that_cannot_be(focal: float, width: int, fov: float) -> None:
    with pytest.raises(InputError, match="cannot be"):
        metres_per_painted(focal, width, fov)
