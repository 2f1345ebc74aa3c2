# SPDX-License-Identifier: Apache-2.0
"""The documentation: tables that come from the code are current, links lead somewhere, and every page is
reached."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(
    page for page in DOCS.rglob("*.md") if page.relative_to(DOCS).parts[0] not in ("build", "photographs")
)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def generator():
    spec = importlib.util.spec_from_file_location("generate_reference", DOCS / "generate_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_from_the_code_are_current():
    pytest.importorskip("rclpy", reason="needs ROS 2")
    for file, make in generator().TABLES.items():
        assert (DOCS / "reference" / file).read_text() == make(), (
            f"{file} is not current: run `make docs` and commit it"
        )


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name
)
def test_links_lead_to_files(page):
    for link in LINK.findall(page.read_text()):
        if not link.startswith(("http:", "https:", "#")):
            assert (page.parent / link.partition("#")[0]).exists(), (
                f"{page.name} links to {link}, which does not exist"
            )


def test_every_page_can_be_reached_from_the_index():
    """Sphinx's toctrees name the folders whole; the pages beside the index have to be named."""
    index = (DOCS / "index.md").read_text()
    for page in PAGES:
        name = page.relative_to(DOCS).with_suffix("").as_posix()
        assert name == "index" or name in index or f"{name.rpartition('/')[0]}/*" in index, (
            f"{name} is in no toctree"
        )
