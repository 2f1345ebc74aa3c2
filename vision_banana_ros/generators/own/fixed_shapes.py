# SPDX-License-Identifier: Apache-2.0
"""Fixed shapes for accelerators: a bundle's graph with its open dimensions nailed down. Needs the package onnx."""

from pathlib import Path

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.own.device_decode import MAX_COLORS

SHARES = (16, 8, 4, 2, 1)  # pixels across a position of the frame and of its features, as multiples of the coarsest


def frame_dimensions(size: tuple[int, int]) -> dict[str, int]:
    """Names of the dimensions that graphs leave open for the frame's size (height, width), with their lengths."""
    named: dict[str, int] = {}
    for name, length in zip(("rows", "columns"), size, strict=True):
        named |= {f"{share}*{name}" if share > 1 else name: length // 16 * share for share in SHARES}
    return named


def freeze(
    model: bytes | str | Path, questions: int | None, size: tuple[int, int], words: int | None = None, colors: int = MAX_COLORS
) -> bytes:
    """The graph (a file, or its bytes) for exactly so many questions, as bytes of a model without open dimensions.

    size: (height, width) of the frame. questions: None leaves this one dimension open, for an optimisation profile. words: tokens
    an instruction; without it as many as the encoder reads (the graph says so itself). colors: rows of a semantic palette
    (`device_decode.decode_inputs` pads it).
    Graphs without open dimensions come back with the same shapes. Raises InputError where onnx is missing, the file is no
    graph, or it has another open dimension.
    """
    if questions is not None and questions < 1:
        raise InputError(f"A graph cannot be made for {questions} questions: give 1 or more.")
    try:
        import onnx
    except ImportError as error:
        raise InputError("Fixing a graph's shapes needs onnx: `pip install onnx`.") from error
    try:
        graph = onnx.load_model_from_string(model) if isinstance(model, bytes) else onnx.load(model)
    except OSError:
        raise
    except Exception as error:  # protobuf's exceptions share no base class with onnx's
        raise InputError(f"This is no ONNX graph ({error}): export the bundle again.") from error
    sizes = {"questions": questions, "words": words or _longest(graph), "colors": colors, **frame_dimensions(size)}
    for value in (*graph.graph.input, *graph.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.HasField("dim_value"):
                continue
            if dim.dim_param not in sizes:
                raise InputError(f"The graph's '{value.name}' has the open dimension '{dim.dim_param}': export it again.")
            length = sizes[dim.dim_param]
            if length is not None:
                dim.dim_value = length
    del graph.graph.value_info[:]  # what was inferred for the open shapes
    return onnx.shape_inference.infer_shapes(graph).SerializeToString()


def _longest(graph) -> int:  # type: ignore[no-untyped-def]  # onnx.ModelProto, which need not be installed
    """How many tokens the text encoder reads at most; the export writes it into the graphs that leave them open."""
    known = {entry.key: entry.value for entry in graph.metadata_props}
    return int(known.get("words", 1))
