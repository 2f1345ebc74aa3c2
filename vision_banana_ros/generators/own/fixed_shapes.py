# SPDX-License-Identifier: Apache-2.0
"""Makes the dynamic dimensions of a bundle's graph static, for accelerators. Needs the package onnx."""

from pathlib import Path

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.own.device_decode import MAX_COLORS

MULTIPLES = (16, 8, 4, 2, 1)  # resolutions of the frame and of its features, as multiples of the coarsest one


def frame_dimensions(size: tuple[int, int]) -> dict[str, int]:
    """Values of the dynamic dimensions that depend on the frame's size.

    Args:
        size: Height and width in pixels, multiples of 16.

    Returns:
        Length by name of the dimension, such as "16*rows".
    """
    named: dict[str, int] = {}
    for name, length in zip(("rows", "columns"), size, strict=True):
        named |= {f"{share}*{name}" if share > 1 else name: length // 16 * share for share in MULTIPLES}
    return named


def freeze(
    model: bytes | str | Path,
    questions: int | None,
    size: tuple[int, int],
    words: int | None = None,
    colors: int = MAX_COLORS,
) -> bytes:
    """Makes the dynamic dimensions of a graph static.

    Args:
        model: ONNX model: a path, or the content of the file.
        questions: Number of prompts; None to keep this dimension dynamic, for an optimisation profile.
        size: Height and width of the frame in pixels, multiples of 16.
        words: Number of tokens per prompt; by default the maximum, which is in the metadata of the graph.
        colors: Rows of a semantic palette, to which `device_decode.decode_inputs` pads it.

    Returns:
        The serialised model. Static dimensions are unchanged.

    Raises:
        InputError: onnx is not installed, the model is invalid, or it has an unknown dynamic dimension.
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
    except Exception as error:  # protobuf and onnx exceptions have no common base class
        raise InputError(f"This is not an ONNX graph ({error}): export the bundle again.") from error
    sizes = {
        "questions": questions,
        "words": words or _text_length(graph),
        "colors": colors,
        **frame_dimensions(size),
    }
    for value in (*graph.graph.input, *graph.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.HasField("dim_value"):
                continue
            if dim.dim_param not in sizes:
                raise InputError(
                    f"The graph's '{value.name}' has the unknown dynamic dimension '{dim.dim_param}': "
                    "export it again."
                )
            length = sizes[dim.dim_param]
            if length is not None:
                dim.dim_value = length
    del graph.graph.value_info[:]  # inferred for the dynamic shapes
    return onnx.shape_inference.infer_shapes(graph).SerializeToString()


def _text_length(graph) -> int:  # type: ignore[no-untyped-def]  # onnx.ModelProto; onnx may be missing
    """Maximum number of tokens, from the metadata of the graph."""
    known = {entry.key: entry.value for entry in graph.metadata_props}
    return int(known.get("words", 1))
