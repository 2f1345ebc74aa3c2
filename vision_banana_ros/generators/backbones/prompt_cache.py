# SPDX-License-Identifier: Apache-2.0
"""Encoded instructions on disk, so that a robot never loads the text encoder.

Each is one safetensors file in the bundle's folder prompts/, named by the SHA-256 of its content; its header
says which instruction it is and by which encoder it was made. Files can be added while a generator runs.
"""

import os
import re
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.backbones.diffusers_folder import read_header, read_tensors, write_tensors
from vision_banana_ros.generators.backbones.family import FAMILIES
from vision_banana_ros.generators.bundle import Bundle
from vision_banana_ros.generators.checksums import sha256_of

FOLDER = "prompts"
ENCODER = "encoder"
COMMAND = (sys.executable, "-m", "vision_banana_ros.cli.main", "prompts", "encode")
_PACKAGES = Path(__file__).resolve().parents[3]
_LONGEST_S = 1800
_NICE = 10  # of the process that encodes: frames go first

Prompt = dict[str, np.ndarray]


class PromptCache:
    """The encoded instructions of one bundle.

    path: the bundle's folder. encoder: the digest of the text encoder that its instructions must come from.
    shapes: what the denoiser takes, name -> shape.
    """

    def __init__(self, path: Path, encoder: str, shapes: dict[str, list[int]]) -> None:
        self.folder = path / FOLDER
        self._encoder = encoder
        self._shapes = {name: tuple(shape) for name, shape in shapes.items()}
        self._known: dict[str, Path] = {}

    def find(self, instruction: str) -> Prompt | None:
        """The encoded instruction, or None where nobody encoded it. InputError where its file was altered."""
        if instruction not in self._known:
            self._known = dict(self._stored())
        path = self._known.get(instruction)
        if path is None:
            return None
        try:
            return self._read(path)
        except FileNotFoundError:  # it was encoded once more since
            del self._known[instruction]
            return self.find(instruction)

    def _read(self, path: Path) -> Prompt:
        if sha256_of(path) != path.stem:
            raise InputError(
                f"The encoded prompt {path} was cut off or altered: delete it and encode the"
                " instruction again."
            )
        arrays = read_tensors(path)
        if {name: values.shape for name, values in arrays.items()} != self._shapes:
            raise InputError(
                f"The encoded prompt {path} does not fit this bundle: delete it and encode the"
                " instruction again."
            )
        return {name: values.astype(np.float32) for name, values in arrays.items()}

    def add(self, instruction: str, arrays: Prompt) -> Path:
        """Store an encoded instruction; one that is there already is replaced."""
        self.folder.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self.folder, suffix=".partial", delete=False) as file:
            partial = Path(file.name)
        try:
            write_tensors(partial, arrays, {"instruction": instruction, "encoder": self._encoder})
            path = self.folder / f"{sha256_of(partial)}.safetensors"
            partial.chmod(0o644)
            partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise InputError(
                f"The encoded prompt cannot be stored in {self.folder} ({error.strerror}): make room there."
            ) from error
        same = [stored for text, stored in self._stored() if text == instruction]
        for older in same[: same.index(path)] if path in same else ():
            older.unlink(missing_ok=True)
        self._known[instruction] = path
        return path

    def instructions(self) -> list[str]:
        """What has been encoded by this bundle's encoder."""
        return sorted(dict(self._stored()))

    def _stored(self) -> list[tuple[str, Path]]:
        """Each instruction of this encoder with its file, what was encoded last at the end."""
        try:
            # which might lead elsewhere
            files = (path for path in self.folder.glob("*.safetensors") if not path.is_symlink())
            paths = sorted(files, key=lambda path: (path.stat().st_mtime_ns, path.name))
            abouts = [read_header(path).get("__metadata__", {}) for path in paths]
        except FileNotFoundError:  # replaced at this moment, by one that the list may not have
            return self._stored()
        pairs = zip(abouts, paths, strict=True)
        return [
            (str(about.get("instruction")), path)
            for about, path in pairs
            if about.get("encoder") == self._encoder
        ]


def cache_of(bundle: Bundle) -> PromptCache:
    """InputError for a bundle that is no editor: its own generator reads any words."""
    backbone = bundle.manifest.backbone
    if not backbone:
        raise InputError(
            f"Bundle '{bundle.path}' reads any instruction as it is: nothing has to be encoded for it."
        )
    return PromptCache(bundle.path, backbone["encoder"]["digest"], backbone["prompt"])


def require_some(bundle: Bundle) -> None:
    """InputError where nothing was encoded yet: said before networks of gigabytes are loaded."""
    backbone = bundle.manifest.backbone
    if FAMILIES[backbone["family"]].words and backbone["prompt"]:
        untold = {backbone.get("untold")} if backbone.get("guidance", 1.0) > 1 else set()
        if not set(cache_of(bundle).instructions()) - untold:
            raise InputError(
                f"No instruction was encoded for '{bundle.manifest.name}' yet. "
                f"Run: {command_for(bundle.path)}"
            )


def encode_here(bundle: Bundle, instructions: list[str], device: str = "auto") -> list[Path]:
    """Loads the bundle's text encoder into this process, encodes the prompts and stores each at once.

    InputError where the encoder or a package is missing, a file was altered, or an instruction does not fit.
    """
    cache = cache_of(bundle)
    backbone = bundle.manifest.backbone
    _verify_encoder(bundle.path, backbone["encoder"]["files"])
    family = FAMILIES[backbone["family"]]
    require_packages()
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    made = family.networks.encode(bundle.path / ENCODER, instructions, device)
    return [cache.add(instruction, arrays) for instruction, arrays in zip(instructions, made, strict=True)]


class Encoding:
    """The encoding of prompts in a separate low-priority process, whose memory is freed when it ends."""

    def __init__(self, path: Path, *instructions: str, device: str = "auto") -> None:
        paths = [str(_PACKAGES), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  (a pipe that nobody reads would stop the process)
        self.process = subprocess.Popen(
            [*COMMAND, "--device", device, str(path), "--", *instructions],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._said,
        )
        with suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, self.process.pid, max(_NICE, os.getpriority(os.PRIO_PROCESS, 0)))

    @property
    def running(self) -> bool:
        """Whether the process still encodes."""
        return self.process.poll() is None

    def wait(self, longest_s: float = _LONGEST_S) -> None:
        """Wait for its end.

        InputError with what the process said where it failed, or was ended for it took too long.
        """
        try:
            status = self.process.wait(longest_s)
        except subprocess.TimeoutExpired as error:
            self.end()
            raise InputError(
                f"Encoding an instruction took longer than {longest_s:g} s and was ended."
            ) from error
        if status:
            self._said.seek(0)
            lines = [line for line in self._said.read().decode(errors="replace").splitlines() if line.strip()]
            why = lines[-1] if lines else "its process was ended, which happens where memory runs out"
            raise InputError(f"The instruction was not encoded: {why.removeprefix('vision-banana: ')}")

    def end(self) -> None:
        """End it; what it had stored stays."""
        self.process.kill()
        self.process.wait()


def command_for(path: Path, *instructions: str) -> str:
    """The command that a user has to run for instructions, as it is typed into a shell."""
    quoted = (re.sub(r'(["$`\\])', r"\\\1", instruction) for instruction in instructions)
    return " ".join([f"vision-banana prompts encode {path}", *(f'"{text}"' for text in quoted)])


def require_packages(also: tuple[str, ...] = ()) -> None:
    """InputError that names the packages where they are missing."""
    import importlib.util

    wanted = ("torch", "diffusers", "transformers", *also)
    missing = [name for name in wanted if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"This needs {', '.join(missing)}: run `pip install -r requirements/train.txt` (with a torch"
            " build for your GPU)."
        )


def _verify_encoder(path: Path, files: dict[str, Any]) -> None:
    for name, expected in files.items():
        file = path / ENCODER / name
        if not file.is_file():
            raise InputError(
                f"Bundle '{path}' has no text encoder here ({ENCODER}/{name}): encode on the machine that"
                " imported it, and copy its "
                f"folder {FOLDER}/ over."
            )
        if sha256_of(file) != expected:
            raise InputError(
                f"{file} is not the file that was imported (SHA-256 differs): import the model again."
            )
