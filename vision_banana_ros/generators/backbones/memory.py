# SPDX-License-Identifier: Apache-2.0
"""Whether an editor's weights fit into memory, asked before gigabytes are loaded."""

from pathlib import Path

from vision_banana_ros.errors import InputError

_NAMES = {"cuda": "GPU memory", "cpu": "memory"}


def require_memory(what: str, needed: int, device: str, cure: str) -> None:
    """Refuses weights that will not fit.

    Args:
        what: The bundle and its precision, in words.
        needed: Bytes of the weights alone.
        device: "cuda" or "cpu".
        cure: What else to do than to end other programs.

    Raises:
        InputError: With both numbers.
    """
    free = free_memory(device)
    if needed > free:
        raise InputError(
            f"{what} needs {needed / 1e9:.1f} GB of {_NAMES[device]} for its weights alone, "
            f"and {free / 1e9:.1f} GB are free: "
            f"end other programs, {cure}."
        )


def free_memory(device: str) -> int:
    """Bytes that can be had on a GPU ("cuda"), or in the machine."""
    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[0])
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
