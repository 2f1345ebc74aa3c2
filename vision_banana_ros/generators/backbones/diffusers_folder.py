# SPDX-License-Identifier: Apache-2.0
"""Reads folders in diffusers' format: only configuration JSON, tokenizer text and safetensors."""

import json
import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vision_banana_ros import files
from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.backbones.family import Family, family_of

INDEX = "model_index.json"
TOKENS = "tokenizer.json"
#: The only files that are ever read or copied. merges.txt, vocab.json and tokenizer.json are a tokenizer's
#: tables.
_TEXT = ("merges.txt",)
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
#: A second copy of the weights, such as diffusion_pytorch_model.fp16.safetensors, its shards and its index.
_VARIANT = re.compile(
    r"\.(fp16|bf16|fp32|non_ema)(-\d+-of-\d+)?\.safetensors$|\.safetensors\.index\.\w+\.json$"
)
_LONGEST_HEADER = 100_000_000
_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
}


@dataclass(frozen=True)
class Folder:
    """A diffusers directory whose index names a family that is known. Make it by `open_folder`."""

    path: Path
    index: dict[str, Any]
    family: Family

    def files(self, component: str) -> list[Path]:
        """The files of a component that may be used, without copies of its weights in another precision.

        InputError where it is not there, is a pickle, or leads elsewhere.
        """
        folder = self.path / component
        if not folder.is_dir():
            raise InputError(
                f"'{self.path}' lacks its component {component}: download the whole model, or give the"
                " folder that holds it."
            )
        self._stays_inside(folder)
        found = sorted(
            file
            for file in folder.iterdir()
            if file.suffix in (".json", ".safetensors") or file.name in _TEXT
        )
        found = [file for file in found if not _VARIANT.search(file.name)]
        for file in found:
            self._stays_inside(file)
        return found

    def weights(self, component: str) -> list[Path]:
        """The component's safetensors. InputError where there are none, or not all of them."""
        files = self.files(component)
        found = [file for file in files if file.suffix == ".safetensors"]
        if not found:
            others = sorted(file.name for file in (self.path / component).iterdir())
            pickles = [name for name in others if Path(name).suffix in _PICKLES]
            variants = [name for name in others if _VARIANT.search(name)]
            what = (
                f"only {pickles[0]}, a pickle, which can run any code when it is opened"
                if pickles
                else "no weights"
            )
            what = f"only {variants[0]}, a copy in another precision" if variants else what
            raise InputError(
                f"The component {component} of '{self.path}' holds {what}: download its .safetensors files."
            )
        for table in (file for file in files if file.name.endswith(".safetensors.index.json")):
            shards = set(map(str, dict(read_json(table).get("weight_map", {})).values()))
            missing = sorted(shards - {file.name for file in found})
            if missing:
                raise InputError(
                    f"The component {component} of '{self.path}' lacks {', '.join(missing)}:"
                    " download the whole model."
                )
        return found

    def config(self, component: str) -> dict[str, Any]:
        """config.json of a component (scheduler_config.json of a scheduler)."""
        name = "scheduler_config.json" if component == "scheduler" else "config.json"
        files = {file.name: file for file in self.files(component)}
        if name not in files:
            raise InputError(
                f"The component {component} of '{self.path}' lacks its {name}: download the whole model."
            )
        return read_json(files[name])

    def _stays_inside(self, path: Path) -> None:
        if not path.resolve().is_relative_to(self.path.resolve()):
            raise InputError(
                f"'{path}' is a link to a place outside the folder, which is not followed: download real"
                " files "
                "(`hf download MODEL --local-dir FOLDER`)."
            )


def open_folder(path: str | Path) -> Folder:
    """Read model_index.json and check that every component is there and of a class that the family allows."""
    path = Path(path).expanduser()
    if not path.is_dir():
        raise InputError(
            f"There is no folder '{path}': give the one that a model was downloaded to (it holds {INDEX})."
        )
    if not (path / INDEX).is_file():
        raise InputError(f"'{path}' holds no {INDEX}: give the folder of a whole model in diffusers' format.")
    index = read_json(path / INDEX)
    folder = Folder(path, index, family_of(index.get("_class_name")))
    folder._stays_inside(path / INDEX)
    for component, classes in {**folder.family.painting, **folder.family.encoding}.items():
        entry = index.get(component)
        named = (
            entry[1]
            if isinstance(entry, list) and len(entry) == 2 and entry[0] in ("diffusers", "transformers")
            else entry
        )
        if named not in classes:
            raise InputError(
                f"{INDEX} of '{path}' says that {component} is {named!r}; {folder.family.name} needs"
                f" {' or '.join(classes)}."
            )
        if component.startswith("tokenizer"):
            folder.files(component)
            check_tokenizer(path / component)
        elif component == "processor":
            folder.files(component)
        elif component == "scheduler":
            folder.config(component)
        else:
            for file in folder.weights(component):
                read_header(file)
            folder.config(component)
    return folder


def check_tokenizer(folder: Path) -> None:
    """InputError where a tokenizer's folder lacks its tables: TOKENS, or words and merges."""
    in_place = ("vocab.json", *_TEXT)
    if not (folder / TOKENS).is_file() and not all((folder / name).is_file() for name in in_place):
        raise InputError(
            f"'{folder}' lacks {TOKENS}, or {' and '.join(in_place)} in its place: download the whole model."
        )


def read_json(path: Path) -> dict[str, Any]:
    """The content of a JSON file. Raises InputError if it is missing, too large or not an object."""
    try:
        content = files.read_json(path)
    except (OSError, InputError) as error:
        raise InputError(f"{str(error).rstrip('.')}: download it again.") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no JSON object: download it again.")
    return content


def read_header(path: Path) -> dict[str, Any]:
    """The header of a safetensors file.

    Name -> {"dtype", "shape", "data_offsets"}, and "__metadata__" where there is some.

    Source of the format: the safetensors specification (8 bytes of length, JSON, values). InputError where it
    is none.
    """
    return _header(path)[0]


@dataclass(frozen=True)
class Place:
    """Where the values of a tensor lie in a file: bytes first to last, of a kind ("BF16", ...) and shape."""

    first: int
    last: int
    kind: str
    shape: tuple[int, ...]


def tensor_places(path: Path) -> dict[str, Place]:
    """Where each tensor of a safetensors file lies in it. InputError where it is none."""
    header, start = _header(path)
    tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
    spans = {name: entry["data_offsets"] for name, entry in tensors.items()}
    return {
        name: Place(start + spans[name][0], start + spans[name][1], entry["dtype"], tuple(entry["shape"]))
        for name, entry in tensors.items()
    }


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """All tensors of a safetensors file; bfloat16, which NumPy lacks, is widened to float32."""
    header, start = _header(path)
    data = path.read_bytes()[start:]
    return {name: _tensor(path, data, entry) for name, entry in header.items() if name != "__metadata__"}


def write_tensors(path: Path, tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """Writes float32 tensors as a safetensors file, atomically; as bfloat16 where that keeps every value."""
    header: dict[str, Any] = {"__metadata__": metadata}
    parts, offset = [], 0
    for name, values in sorted(tensors.items()):
        bits = np.ascontiguousarray(values, "<f4").view("<u4")
        narrow = not np.any(bits & 0xFFFF)
        part = (bits >> 16).astype("<u2").tobytes() if narrow else bits.tobytes()
        header[name] = {
            "dtype": "BF16" if narrow else "F32",
            "shape": list(values.shape),
            "data_offsets": [offset, offset + len(part)],
        }
        parts.append(part)
        offset += len(part)
    text = json.dumps(header, sort_keys=True).encode()
    text += b" " * (-len(text) % 8)
    files.write_pieces(path, (struct.pack("<Q", len(text)), text, *parts))


def _header(path: Path) -> tuple[dict[str, Any], int]:
    broken = f"{path} is no safetensors file, or was cut off: download it again."
    with files.open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if length > min(size - 8, _LONGEST_HEADER):
            raise InputError(broken)
        try:
            header = json.loads(file.read(length))
            spans = [_span(entry) for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
            raise InputError(broken) from error
    ends = [end for _, end in spans]
    if 8 + length + max(ends, default=0) != size:
        raise InputError(broken)
    return header, 8 + length


def _span(entry: dict[str, Any]) -> tuple[int, int]:
    """Where a tensor's values lie. ValueError where that is no span of bytes, or its shape is none."""
    first, last = entry["data_offsets"]
    numbers = [first, last, *entry["shape"]]
    if not isinstance(entry["dtype"], str):
        raise ValueError("a type is a text")
    if (
        not all(
            isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in numbers
        )
        or first > last
    ):
        raise ValueError("offsets and shapes are whole numbers")
    return first, last


def _tensor(path: Path, data: bytes, entry: dict[str, Any]) -> np.ndarray:
    if entry["dtype"] not in _TYPES:
        raise InputError(f"{path} holds values of type {entry['dtype']}, which are not read here.")
    first, last = entry["data_offsets"]
    try:
        values = np.frombuffer(data[first:last], _TYPES[entry["dtype"]]).reshape(entry["shape"])
    except ValueError as error:
        raise InputError(
            f"{path} is no safetensors file, or was cut off ({error}): download it again."
        ) from error
    return (values.astype("<u4") << 16).view("<f4") if entry["dtype"] == "BF16" else values
