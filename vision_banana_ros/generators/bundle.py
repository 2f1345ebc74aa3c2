# SPDX-License-Identifier: Apache-2.0
"""A bundle: the folder of a generator with manifest, graphs and metrics, verified by SHA-256.

Loading a bundle runs no code in it: graphs are ONNX, everything else is JSON or Markdown. There are no
pickles.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from vision_banana_ros.errors import InputError
from vision_banana_ros.files import find_shared, read_bounded, read_json, write_bytes
from vision_banana_ros.generators.checksums import sha256_of
from vision_banana_ros.tasks.answer_format import AnswerFormat
from vision_banana_ros.tasks.colors import parse_legend
from vision_banana_ros.tasks.legend_text import CONTROL
from vision_banana_ros.tasks.referring import MAX_EXPRESSIONS

FORMAT = 1
MAX_CANVASES = 64
MAX_STEPS, MAX_SIDE = 10_000, 1_000_000  # of sampling; of an editor's latents and encoded prompts
MAX_FILE_BYTES = 4_000_000_000  # of a file that is read into memory
MAX_DEPTH, MAX_FACT = 12, 20_000  # of metrics and of `made`: tables inside each other, characters
MANIFEST = "manifest.json"
METRICS = "metrics.json"
GRAPHS = ("image.onnx", "text.onnx", "answer.onnx")
INT8_GRAPHS = {"image.onnx": "image.int8.onnx", "answer.onnx": "answer.int8.onnx"}  # optional
OPTIONAL = ("encoder", "prompts")  # optional folders whose files have their own checksums
TAUS = {"background_tau", "region_tau", "merge_tau"}  # arguments of `instances.decode`
# reference frame and answers, see `generators.reference`; missing in bundles before 0.2
REFERENCE = "reference.png"
PRECISION = "precision.json"  # accuracy check of the int8 graphs


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest(AnswerFormat):
    """The content of manifest.json.

    Attributes:
        name: Name of the bundle.
        description: One sentence.
        licence: SPDX identifier.
        size: Default height and width of frame and answer in pixels.
        steps: Number of sampling steps.
        text_length: Maximum number of tokens of a prompt.
        text_buckets: Size of the hashed vocabulary.
        network: Arguments of `VisionBananaUNet`, for the torch executor.
        files: SHA-256 by name of the file.
        made: How the weights were made: commands, commit, counts.
        canvases: Further supported sizes (height, width); executors with a fixed size only use `size`.
        backbone: Description of an imported editor, which has other graphs than GRAPHS; else empty.
        reference: The prompts whose answers are in REFERENCE.
    """

    name: str
    description: str
    licence: str
    size: tuple[int, int]
    steps: int
    text_length: int
    text_buckets: int
    network: dict[str, Any]
    files: dict[str, str]
    made: dict[str, Any]
    canvases: tuple[tuple[int, int], ...]
    backbone: dict[str, Any]
    reference: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle.

    Attributes:
        path: Its folder.
        manifest: Its manifest.
    """

    path: Path
    manifest: Manifest

    @property
    def metrics(self) -> dict[str, Any]:
        """Metrics by split (metrics.json); empty if none were measured.

        Their inner form is not checked; see `reading_metrics`.
        """
        if METRICS not in self.manifest.files:
            return {}
        try:
            return _facts(_read_json(self.path / METRICS), METRICS)
        except ValueError as error:
            raise InputError(f"{self.path / METRICS} cannot be shown: {error}. Measure again.") from error

    @property
    def editor_runner(self) -> str:
        """The executor that runs an imported editor, torch or onnxruntime; empty for other bundles."""
        backbone = self.manifest.backbone
        return ("onnxruntime" if backbone["graphs"] else "torch") if backbone else ""

    def read(self, name: str) -> bytes:
        """Reads a file and verifies its checksum.

        The checksum is computed from the bytes that were read, so that the file cannot be exchanged in
        between.

        Args:
            name: Name of the file in the manifest.

        Returns:
            The content.

        Raises:
            InputError: The file is missing, not listed, or its checksum differs.
        """
        expected = self.manifest.files.get(name)
        if expected is None:
            raise InputError(f"Bundle '{self.path}' lists no {name}: export it again.")
        try:
            content = read_bounded(self.path / name, MAX_FILE_BYTES)
        except OSError as error:
            raise InputError(
                f"Bundle '{self.path}' lacks its file {name} ({error.strerror}): copy or download it again."
            ) from error
        if hashlib.sha256(content).hexdigest() != expected:
            raise _altered(self.path, name)
        return content


@contextmanager
def reading_metrics(path: Path) -> Iterator[None]:
    """Raises InputError for what metrics of an unexpected form lead to, where they are used.

    Args:
        path: Folder of the bundle.
    """
    try:
        yield
    except InputError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"The figures in {path / METRICS} are not of the form that this version writes"
            f" ({type(error).__name__}: {error}): measure the bundle again with `evaluate --write`."
        ) from error


def open_bundle(path: str | Path) -> Bundle:
    """Opens a bundle and verifies all files in its manifest.

    Args:
        path: Folder of the bundle.

    Raises:
        InputError: The folder, the manifest or a file is missing, truncated or modified.
    """
    path = Path(path).expanduser()
    if not path.is_dir():
        raise InputError(f"There is no bundle at '{path}': give the folder that holds its {MANIFEST}.")
    if not (path / MANIFEST).is_file():
        raise InputError(f"'{path}' is not a bundle: it holds no {MANIFEST}.")
    manifest = _manifest(path)
    for name, expected in manifest.files.items():
        file = path / name
        if not file.is_file():
            raise InputError(f"Bundle '{path}' lacks its file {name}: copy or download the bundle again.")
        if sha256_of(file) != expected:
            raise _altered(path, name)
    return Bundle(path, manifest)


def _altered(path: Path, name: str) -> InputError:
    return InputError(
        f"{name} in bundle '{path}' is not the file that its manifest names (SHA-256 differs): "
        "it was cut off or altered. Copy or download the bundle again."
    )


def write_manifest(path: Path, fields: dict[str, Any]) -> Manifest:
    """Writes manifest.json with the checksums of all files in the folder.

    Args:
        path: Folder of the bundle.
        fields: All other fields of the manifest.

    Returns:
        The manifest as read back.
    """
    files = {name: sha256_of(path / name) for name in _listed(path)}
    text = json.dumps({"format": FORMAT, **fields, "files": files}, indent=2) + "\n"
    write_bytes(path / MANIFEST, text.encode())
    return _manifest(path)


def add_metrics(path: Path, split: str, measured: dict[str, Any]) -> None:
    """Adds the metrics of a split to metrics.json, and updates the manifest.

    Args:
        path: Folder of the bundle.
        split: Name of the split.
        measured: The metrics.
    """
    bundle = open_bundle(path)
    text = json.dumps({**bundle.metrics, split: measured}, indent=2) + "\n"
    write_bytes(path / METRICS, text.encode())
    renew_manifest(path)


def renew_manifest(path: Path, **changed: Any) -> None:
    """Updates the checksums in the manifest, and the fields `changed`.

    Args:
        path: Folder of the bundle.
        **changed: New values of fields.
    """
    fields = _read_json(path / MANIFEST) | changed
    write_manifest(path, {name: value for name, value in fields.items() if name not in ("format", "files")})


def default_bundle() -> Path:
    """The folder of the bundle that is installed with the package, or is in the checkout.

    Raises:
        InputError: There is none.
    """
    if (manifest := find_shared(f"models/*/{MANIFEST}")) is not None:
        return manifest.parent
    raise InputError("No bundle is installed: name one with the parameter or option 'bundle'.")


def _listed(path: Path) -> list[str]:
    """The files that the manifest lists, relative to the folder of the bundle."""
    files = (file.relative_to(path) for file in path.rglob("*") if file.is_file())
    return sorted(
        file.as_posix() for file in files if file.as_posix() != MANIFEST and file.parts[0] not in OPTIONAL
    )


def _manifest(path: Path) -> Manifest:
    raw = _read_json(path / MANIFEST)
    if raw.get("format") != FORMAT:
        raise InputError(
            f"Bundle '{path}' has format {raw.get('format')!r}; this version reads format {FORMAT}. "
            "Install the matching version of vision_banana_ros or export the bundle again."
        )
    try:
        manifest = Manifest(
            name=_text(raw["name"], "name", 200),
            description=_text(raw["description"], "description", 2000),
            licence=_text(raw["licence"], "licence", 200),
            tasks=_texts(raw["tasks"], "tasks"),
            codec=_text(raw["codec"], "codec", 200),
            size=_size(raw["size"], "size"),
            steps=_whole(raw["steps"], "steps", 1, MAX_STEPS),
            depth_range_m=_depth_range(raw["depth_range_m"]),
            legend=parse_legend(raw["legend"]),
            text_length=_whole(raw["text_length"], "text_length", 0, 100_000),
            text_buckets=_whole(raw["text_buckets"], "text_buckets", 0, 100_000_000),
            network=dict(raw.get("network", {})),
            files=_files(raw["files"]),
            made=_facts(raw["made"], "made"),
            canvases=_canvases(raw.get("canvases", [])),
            depth_focal_px=_focal(raw.get("depth_focal_px", 0.0)),
            instance_taus=_taus(raw.get("instance_taus", {})),
            referring_core=_core(raw.get("referring_core", 0.0)),
            expressions_together=_whole(
                raw.get("expressions_together", 1), "expressions_together", 1, MAX_EXPRESSIONS
            ),
            reference=_texts(raw.get("reference", []), "reference"),
            backbone=_backbone(raw.get("backbone", {})),
        )
    except (KeyError, TypeError, IndexError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(
            f"{path / MANIFEST} cannot be read ({repr(error)[:300]}): export the bundle again."
        ) from error
    for name in manifest.files:
        inside = path.resolve()
        # links are followed
        if PurePosixPath(name).is_absolute() or inside not in (inside / name).resolve().parents:
            raise InputError(f"Bundle '{path}' names a file outside its folder ({name!r}): do not use it.")
    missing = [name for name in GRAPHS if name not in manifest.files and not manifest.backbone]
    if missing:
        raise InputError(f"Bundle '{path}' lists no {', '.join(missing)}: export it again.")
    return manifest


def _whole(raw: Any, what: str, least: int, most: int) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int) or not least <= raw <= most:
        raise ValueError(f"{what} is a whole number from {least} to {most}, not {raw!r}")
    return raw


def _size(raw: Any, what: str) -> tuple[int, int]:
    height, width = raw
    return _whole(height, what, 8, 8192), _whole(width, what, 8, 8192)


def _canvases(raw: Any) -> tuple[tuple[int, int], ...]:
    if not isinstance(raw, list) or len(raw) > MAX_CANVASES:
        raise ValueError(f"canvases is a list of up to {MAX_CANVASES} heights and widths")
    return tuple(_size(canvas, "canvases") for canvas in raw)


def _text(raw: Any, what: str, most: int) -> str:
    """A text that a terminal may be shown."""
    if not isinstance(raw, str) or len(raw) > most or not raw.replace("\n", "").isprintable():
        raise ValueError(f"{what} is a text of up to {most} characters, without control characters")
    return raw


def _facts(raw: Any, what: str) -> dict[str, Any]:
    """A table of numbers, texts, lists and tables, which a terminal may be shown."""
    if not isinstance(raw, dict):
        raise ValueError(f"{what} is a table, not {raw!r}")
    _check_facts(raw, what, MAX_DEPTH)
    return raw


def _check_facts(value: Any, what: str, deeper: int) -> None:
    if isinstance(value, dict | list) and not deeper:
        raise ValueError(f"{what} has more than {MAX_DEPTH} tables or lists inside each other")
    if isinstance(value, str) and (len(value) > MAX_FACT or CONTROL.search(value.replace("\n", ""))):
        raise ValueError(f"{what} has a text of over {MAX_FACT} characters, or with control characters")
    if isinstance(value, dict):
        for name in value:
            _text(name, f"each name in {what}", 200)
    for inside in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_facts(inside, what, deeper - 1)


def _backbone(raw: Any) -> dict[str, Any]:
    """What `vision-banana import` wrote of an editor, each part with its type."""
    if not isinstance(raw, dict):
        raise ValueError(f"backbone is a table, not {raw!r}")
    for name, fits in _BACKBONE.items() if raw else ():
        if not fits(raw.get(name)):
            raise ValueError(f"'{name}' of backbone is not what vision-banana import writes")
    return raw


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _are_sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 < value <= MAX_SIDE for value in values)


def _is_table(values: Any, fits: Callable[[Any], bool]) -> bool:
    return isinstance(values, dict) and all(fits(value) for value in values.values())


#: What each part of an editor's description must be.
_BACKBONE: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("family", "pipeline", "precision", "start"), lambda value: isinstance(value, str)),
    "graphs": lambda value: isinstance(value, bool),
    "schedule": lambda steps: (
        isinstance(steps, list)
        and 0 < len(steps) <= MAX_STEPS
        and all(isinstance(step, list) and all(map(_is_number, step)) for step in steps)
    ),
    "latents": _are_sizes,
    "prompt": lambda shapes: _is_table(shapes, _are_sizes),
    "encoder": lambda encoder: (
        isinstance(encoder, dict)
        and isinstance(encoder.get("digest"), str)
        and _is_table(encoder.get("files"), lambda checksum: isinstance(checksum, str))
    ),
    "guidance": lambda scale: scale is None or (_is_number(scale) and 0 <= scale <= 1000),
    "words": lambda words: words is None or _is_table(words, lambda text: isinstance(text, str)),
}


def _texts(raw: Any, what: str) -> tuple[str, ...]:
    if not isinstance(raw, list) or not all(isinstance(text, str) for text in raw):
        raise ValueError(f"{what} is a list of texts, not {raw!r}")
    return tuple(raw)


def _files(raw: Any) -> dict[str, str]:
    if not isinstance(raw, dict) or not all(
        isinstance(sum_, str) and name and "\0" not in name for name, sum_ in raw.items()
    ):
        raise ValueError("files is a table of names and SHA-256")
    return raw


def _depth_range(raw: Any) -> tuple[float, float]:
    near, far = (float(raw[i]) for i in range(2))
    if not 0 <= near < far < 1e6:
        raise ValueError(f"depth_range_m is two distances in metres, the nearer first, not {raw!r}")
    return near, far


def _core(raw: Any) -> float:
    if not 0 <= float(raw) < 1:
        raise ValueError(f"referring_core is a confidence from 0 up and below 1, not {raw}")
    return float(raw)


def _focal(raw: Any) -> float:
    if not 0 <= float(raw) < math.inf:
        raise ValueError(f"depth_focal_px is a focal length in pixels, or 0, not {raw}")
    return float(raw)


def _taus(raw: dict[str, Any]) -> dict[str, float]:
    taus = {name: float(value) for name, value in raw.items()}
    if not set(taus) <= TAUS or not all(0 < value < 442 for value in taus.values()):
        raise ValueError(
            f"instance_taus are {', '.join(sorted(TAUS))}, distances of colours in 0-255, not {raw}"
        )
    return taus


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except (OSError, InputError) as error:
        raise InputError(f"{str(error).rstrip('.')}: copy or download the bundle again.") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no JSON object: copy or download the bundle again.")
    return content
