# SPDX-License-Identifier: Apache-2.0
"""Installs the package for colcon (ament_python) and for plain pip alike."""

import re
import sys
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.develop import develop
from setuptools.command.install_scripts import install_scripts

NAME = "vision_banana_ros"
HERE = Path(__file__).resolve().parent


def shared(*folders: str) -> list[tuple[str, list[str]]]:
    """Every file under these folders, to land at the same place under share/vision_banana_ros."""
    found: dict[str, list[str]] = {}
    for folder in folders:
        for path in sorted((HERE / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                place = path.relative_to(HERE)
                found.setdefault(f"share/{NAME}/{place.parent.as_posix()}", []).append(place.as_posix())
    return sorted(found.items())


class InstallScripts(install_scripts):
    """Has scripts run in the Python that installs them. Recent setuptools writes `#!python`, which pip
    alone fills in."""

    def run(self) -> None:
        self.force = True  # what an earlier build has left has that start already
        super().run()
        if "bdist_wheel" in self.distribution.commands:
            return  # pip is installing
        for script in map(Path, self.outfiles):
            # To the shell a command, to Python a string: a path after #! may have no space.
            start = f"#!/bin/sh\n'''exec' \"{sys.executable}\" \"$0\" \"$@\"\n' '''\n"
            script.write_text(start + script.read_text().partition("\n")[2])


class Develop(develop):
    """For colcon build --symlink-install, whose scripts ask for every requirement by pip's name at each
    start: python3-opencv of a distribution is not called opencv-python-headless."""

    def run(self) -> None:
        self.distribution.install_requires = []
        super().run()


setup(
    name=NAME,
    version=re.search(r'__version__ = "(.+?)"', (HERE / NAME / "__init__.py").read_text()).group(1),
    description="One image generator answers metric depth, surface normals, segmentation and referring"
    " masks.",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        *shared("launch", "config", "rviz", "foxglove", "models", "docs/photographs"),
    ],
    install_requires=["numpy", "numba", "opencv-python-headless", "onnxruntime"],
    extras_require={
        "bags": ["rosbags"],
        "gpu": ["cuda-bindings"],
        "view": ["open3d"],
        "test": ["pytest", "hypothesis"],
    },
    zip_safe=False,
    scripts=["scripts/vision_banana_node", "scripts/vision-banana"],
    cmdclass={"develop": Develop, "install_scripts": InstallScripts},
)
