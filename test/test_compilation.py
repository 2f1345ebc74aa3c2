# SPDX-License-Identifier: Apache-2.0
from numba import njit

from vision_banana_ros.compilation import compilation_told


def test_compiling_is_told_once_and_what_is_compiled_already_is_not():
    @njit
    def double(x):
        return x + x

    said: list[str] = []
    with compilation_told(said.append):
        double(1)
    assert "compiled for this machine" in said[0] and said[-1].startswith("Compiled 1 functions")
    before = len(said)
    with compilation_told(said.append):
        double(2)
    assert len(said) == before
