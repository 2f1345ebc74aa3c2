# SPDX-License-Identifier: Apache-2.0
"""Every input that once went wrong, and those that a fuzzer starts from: read, or refused with a sentence."""

import importlib.util
import sys
from pathlib import Path

import pytest

from vision_banana_ros.errors import InputError

_SPEC = importlib.util.spec_from_file_location("fuzz_targets", Path(__file__).with_name("targets.py"))
assert _SPEC is not None and _SPEC.loader is not None
_MODULE = importlib.util.module_from_spec(_SPEC)
sys.modules["fuzz_targets"] = _MODULE
_SPEC.loader.exec_module(_MODULE)


@pytest.mark.parametrize("name", _MODULE.TARGETS)
def test_seeds_are_read_or_refused(name):
    target = _MODULE.TARGETS[name]
    outcomes = []
    for seed in target.seeds():
        try:
            target.read(seed)
            outcomes.append("read")
        except InputError as error:
            assert str(error)
            outcomes.append("refused")
    assert outcomes
