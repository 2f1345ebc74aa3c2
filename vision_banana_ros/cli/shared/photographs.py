# SPDX-License-Identifier: Apache-2.0
"""Predictions for real photographs that come with the package, for the demo."""

from pathlib import Path

from vision_banana_ros.cli.shared.answer_files import tile, write_sheet
from vision_banana_ros.cli.shared.frame_sources import read_picture
from vision_banana_ros.errors import InputError
from vision_banana_ros.files import find_shared
from vision_banana_ros.generators import Generator
from vision_banana_ros.perception import Intrinsics, Perceiver
from vision_banana_ros.perception.questions import questions_of
from vision_banana_ros.perception.visualization import Tile

FOLDER = "docs/photographs"
FIELD_OF_VIEW = 85.0  # degrees, horizontal, of all of them
EXPRESSIONS = {"room": "the chair", "courtyard": "the door", "square": "the people"}
"""What to look for in each."""


def write_photographs(generator: Generator, path: Path) -> None:
    """Answer the photographs and write them with their answers as one sheet.

    Raises:
        InputError: The photographs are not installed.
    """
    folder = find_shared(FOLDER)
    if folder is None:
        raise InputError(f"The photographs in {FOLDER} are not installed: install the package again.")
    perceiver, tiles = Perceiver(generator), list[Tile]()
    for name, expression in EXPRESSIONS.items():
        image = read_picture(folder / f"{name}.jpg")
        questions = [
            question
            for task in generator.tasks
            for question in questions_of(task, generator.manifest.legend, [expression])
        ]
        looks = perceiver.look(
            image, questions, Intrinsics.from_fov(image.shape[1], image.shape[0], FIELD_OF_VIEW)
        )
        tiles.append(Tile(name, image, f"a photograph, {FIELD_OF_VIEW:g} degrees wide"))
        tiles += [tile(question, answer, image) for question, answer in zip(questions, looks, strict=True)]
    write_sheet(path, tiles, "Photographs", columns=len(tiles) // len(EXPRESSIONS))
