# SPDX-License-Identifier: Apache-2.0
"""The machine that a measurement was made on, for its report."""

import os
import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any


def machine(*packages: str, **more: Any) -> dict[str, Any]:
    """CPU, cores that this process may use, load average, Python, and versions of packages.

    Args:
        packages: Names of distributions; those that are not installed are left out.
        more: Further entries.
    """
    return {
        "cpu": cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "load_average": round(os.getloadavg()[0], 1),
        **more,
        "python": platform.python_version(),
        **installed_versions(packages),
    }


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions of distributions by name, without those that are not installed."""
    versions = {}
    for name in packages:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def cpu_name() -> str:
    """The CPU model name from /proc/cpuinfo."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.processor(),
    )
