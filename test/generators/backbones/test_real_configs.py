# SPDX-License-Identifier: Apache-2.0
"""Every published configuration, built on no device: the adapters do what diffusers' pipelines do."""

import json
import runpy
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")

ROOT = Path(__file__).resolve().parents[3]
MODELS = sorted(path.stem for path in (ROOT / "test" / "data" / "real_configs").glob("*.json"))


@pytest.fixture(scope="module")
def tables():
    return runpy.run_path(str(ROOT / "benchmark" / "open_weights.py"))["tables"]()


@pytest.mark.parametrize("model", MODELS)
def test_it_is_done_as_diffusers_does_it(tables, model):
    unequal = [row for row in tables[model]["rows"] if not row["equal"]]
    assert not unequal and len(tables[model]["rows"]) > 10


def test_the_tables_that_are_kept_are_these(tables):
    kept = json.loads((ROOT / "benchmark" / "open_weights.json").read_text())["configurations"]["models"]
    assert json.loads(json.dumps(tables)) == kept
