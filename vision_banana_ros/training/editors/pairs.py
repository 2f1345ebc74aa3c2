# SPDX-License-Identifier: Apache-2.0
"""Pairs of images with prompts: single files, or shards in the format of WebDataset."""

import tarfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.files import open_regular
from vision_banana_ros.generators.backbones.diffusers_folder import read_json
from vision_banana_ros.training.editors.examples import Example, to_unit_range

LIST = "pairs.json"
_SAME_SHAPE = 0.02  # tolerance of the logarithm of the aspect ratio, for rounding to pixels
MAX_PICTURE_BYTES, MAX_INSTRUCTION_BYTES = 256_000_000, 100_000
_PICTURES = ("png", "jpg", "jpeg", "webp")


class Pairs:
    """Pairs of images with prompts, loaded from disk on demand.

    Args:
        folder: Folder with pairs.json: {"pairs": [{"image": file, "answer": file, "instruction": text}, ...],
            "shards": [file.tar, ...]}; one of the two may be missing. A shard is a tar file without
            compression, in which NAME.jpg, NAME.answer.png and NAME.txt (the instruction) are a pair.
        size: Height and width of the examples in pixels. Pairs with another aspect ratio are cropped at a
            random position, the same in both images.

    Raises:
        InputError: The list is invalid, or a file is missing.
    """

    def __init__(self, folder: Path, size: tuple[int, int]) -> None:
        listed = read_json(folder / LIST) if (folder / LIST).is_file() else {}
        entries, shards = listed.get("pairs", []), listed.get("shards", [])
        if (
            not all(isinstance(each, list) for each in (entries, shards))
            or not all(isinstance(entry, dict) for entry in entries)
            or not entries + shards
        ):
            raise InputError(
                f"'{folder}' holds no {LIST} with a list of pairs or shards: "
                "write one, see `vision-banana tune --help`."
            )
        self._size = size
        self._pairs = [_listed(folder, entry) for entry in entries]
        for shard in shards:
            self._pairs += _of_shard(folder / str(shard))

    def __len__(self) -> int:
        return len(self._pairs)

    @property
    def instructions(self) -> list[str]:
        """The prompts without duplicates."""
        return list(dict.fromkeys(pair.instruction for pair in self._pairs))

    def draw(self, rng: np.random.Generator) -> Example:
        """Draws a pair.

        Args:
            rng: Random generator.

        Raises:
            InputError: An image cannot be read, or the aspect ratios of the two differ.
        """
        pair = self._pairs[int(rng.integers(len(self._pairs)))]
        frame, painted = pair.image.picture(), pair.answer.picture()
        if abs(np.log(frame.shape[0] * painted.shape[1] / (frame.shape[1] * painted.shape[0]))) > _SAME_SHAPE:
            raise InputError(f"{pair.image} and {pair.answer} have other proportions: give both of one size.")
        place = rng.random(2)
        return Example(
            _cut(frame, self._size, place, cv2.INTER_AREA),
            pair.instruction,
            to_unit_range(_cut(painted, self._size, place, cv2.INTER_NEAREST)),
        )


@dataclass(frozen=True, slots=True)
class _Stored:
    """A picture in a file, or in a part of one. size: of the part in bytes; -1 up to the end."""

    name: str
    file: Path
    offset: int = 0
    size: int = -1

    def __str__(self) -> str:
        return f"The picture '{self.name}' of '{self.file.parent if self.size < 0 else self.file}'"

    def picture(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB. InputError where it cannot be read."""
        try:
            with open_regular(self.file) as file:
                file.seek(self.offset)
                size = MAX_PICTURE_BYTES if self.size < 0 else min(self.size, MAX_PICTURE_BYTES)
                data = np.frombuffer(file.read(size), np.uint8)
            picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
        except (OSError, InputError, cv2.error):  # the last for more pixels than OpenCV may unpack
            picture = None
        if picture is None:
            raise InputError(f"{self} is not there or cannot be read.")
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


@dataclass(frozen=True, slots=True)
class _Pair:
    image: _Stored
    answer: _Stored
    instruction: str


def _listed(folder: Path, entry: dict[str, object]) -> _Pair:
    image, answer = (
        _Stored(str(entry.get(name, "")), folder / str(entry.get(name, ""))) for name in ("image", "answer")
    )
    if missing := next((stored for stored in (image, answer) if not stored.file.is_file()), None):
        raise InputError(f"{missing} is not there or cannot be read.")
    instruction = str(entry.get("instruction", ""))
    if not instruction.strip():
        raise InputError(f"A pair of '{folder}' has no instruction: say in words what its answer shows.")
    return _Pair(image, answer, instruction)


def _of_shard(path: Path) -> Iterator[_Pair]:
    """The pairs of a shard, by reading its file headers and instructions alone."""
    parts: dict[PurePosixPath, dict[str, tarfile.TarInfo]] = defaultdict(dict)
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                name = PurePosixPath(member.name)
                stem, _, kind = name.name.partition(".")
                if member.isfile():
                    parts[name.with_name(stem)][kind.lower()] = member
            for sample, kinds in parts.items():
                image, answer = (
                    next((kinds[kind] for end in _PICTURES if (kind := before + end) in kinds), None)
                    for before in ("", "answer.")
                )
                told = tar.extractfile(kinds["txt"]) if "txt" in kinds else None
                text = told.read(MAX_INSTRUCTION_BYTES).decode(errors="replace").strip() if told else ""
                if image is None or answer is None or not text:
                    raise InputError(
                        f"'{sample}' of '{path}' is no whole pair: a shard holds {sample}.jpg, "
                        f"{sample}.answer.png and {sample}.txt, the instruction."
                    )
                shown, painted = (
                    _Stored(member.name, path, member.offset_data, member.size) for member in (image, answer)
                )
                yield _Pair(shown, painted, text)
    except (OSError, tarfile.TarError) as error:
        raise InputError(
            f"The shard '{path}' cannot be read as a tar file without compression ({error})."
        ) from error


def _cut(picture: np.ndarray, size: tuple[int, int], place: np.ndarray, interpolation: int) -> np.ndarray:
    """The largest crop with the aspect ratio of `size`, resized; `place` is its position, 0..1 per axis."""
    height, width = picture.shape[:2]
    scale = min(height / size[0], width / size[1])
    part = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    top, left = (
        int(share * (whole - cut + 1)) for share, whole, cut in zip(place, (height, width), part, strict=True)
    )
    cut = picture[top : top + part[0], left : left + part[1]]
    return np.ascontiguousarray(cv2.resize(cut, size[::-1], interpolation=interpolation))
