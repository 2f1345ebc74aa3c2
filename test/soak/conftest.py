# SPDX-License-Identifier: Apache-2.0
"""Faults and load for minutes, or with `--hours` for longer: `python -m pytest test/soak`. Not part of the
usual test run.

Each test notes what it measured; the end is a table, and benchmark/soak.json.
"""

import json
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
_noted: list[dict[str, Any]] = []
_started = time.monotonic()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--hours",
        type=float,
        default=float(os.environ.get("SOAK_HOURS", "0")),
        help="how long the stream runs; 0: a minute and a half",
    )
    parser.addoption(
        "--pace",
        type=float,
        default=1.0,
        help="part of the full rates, for a machine that has other work too",
    )
    parser.addoption(
        "--soak-json",
        type=Path,
        default=HERE.parent.parent / "benchmark" / "soak.json",
        help="where figures go",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Only who names this folder, or a file in it, runs it."""
    named = [(config.invocation_params.dir / arg.split("::")[0]).resolve() for arg in config.args]
    return None if any(path == HERE or HERE in path.parents for path in named) else True


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Callable[[str, Any, Any], None]:
    """note(what, measured, limit): a row of the table. The limit is only shown; the test itself asserts."""

    def add(what: str, measured: Any, limit: Any = "") -> None:
        _noted.append({"test": request.node.name, "what": what, "measured": measured, "limit": limit})

    return add


@pytest.fixture(scope="session")
def seconds(request: pytest.FixtureRequest) -> float:
    """How long the stream is watched after it has warmed up."""
    hours = request.config.getoption("--hours")
    return 3600 * hours if hours else 90.0


@pytest.fixture(scope="session")
def pace(request: pytest.FixtureRequest) -> float:
    """Part of the full rates of frames and requests."""
    return request.config.getoption("--pace")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if not _noted:
        return
    stats = terminalreporter.stats
    outcomes = {
        r.nodeid.split("::")[-1]: outcome
        for outcome in ("passed", "failed", "error")
        for r in stats.get(outcome, [])
    }
    terminalreporter.section("soak")
    for row in _noted:
        terminalreporter.write_line(
            f"{row['test']:48}{row['what']:44}{row['measured']!s:>16}   {row['limit']}"
        )
    result = {
        "command": " ".join(["python -m pytest", *config.args, *_given(config)]),
        "machine": {
            "cores": os.cpu_count(),
            "load average at the end": [round(load, 1) for load in os.getloadavg()],
            "python": platform.python_version(),
            "rclpy": version("ros-rclpy") if _has("ros-rclpy") else "of the ROS installation",
        },
        "minutes": round((time.monotonic() - _started) / 60, 1),
        "outcomes": outcomes,
        "measured": _noted,
    }
    config.getoption("--soak-json").write_text(json.dumps(result, indent=2) + "\n")


def _given(config: pytest.Config) -> list[str]:
    values = (("--hours", config.getoption("--hours"), 0.0), ("--pace", config.getoption("--pace"), 1.0))
    return [f"{name} {value:g}" for name, value, default in values if value != default]


def _has(distribution: str) -> bool:
    try:
        version(distribution)
    except ImportError:
        return False
    return True
