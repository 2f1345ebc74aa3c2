# SPDX-License-Identifier: Apache-2.0
"""The device that a run trains on: CPU, one GPU, or several GPUs with accelerate (`accelerate launch`)."""

import os
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from vision_banana_ros.errors import InputError


@dataclass(frozen=True, slots=True)
class TrainingDevice:
    """The device of one of several training processes.

    Attributes:
        device: The device in torch.
        rank: Index of the process.
        count: Number of processes.
        accelerator: The `accelerate.Accelerator`, if there are several processes.
    """

    device: torch.device
    rank: int = 0
    count: int = 1
    accelerator: Any = None

    @property
    def is_main(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    def mixed_precision(self) -> AbstractContextManager:
        """A context with bfloat16 autocast and the attention kernels that are fast on the device."""
        # On a CPU the backward pass of flash attention takes longer than the rest of the network.
        fast = (
            [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION] if self.device.type == "cuda" else []
        )
        stack = ExitStack()
        stack.enter_context(torch.autocast(self.device.type, torch.bfloat16))
        stack.enter_context(sdpa_kernel([*fast, SDPBackend.MATH]))
        return stack

    def prepare(self, module: nn.Module, compiled: bool) -> nn.Module:
        """Prepares a module for training, with gradients averaged over the processes.

        Args:
            module: The module.
            compiled: Whether to compile it with `torch.compile`.
        """
        if compiled:
            torch._dynamo.config.cache_size_limit = 64  # one per kind of batch and resolution
            module.compile(dynamic=False)
        return self.accelerator.prepare_model(module) if self.accelerator else module

    def wait(self) -> None:
        """Waits for the other processes, for example before reading a file of rank 0."""
        if self.accelerator:
            self.accelerator.wait_for_everyone()

    def broadcast(self, value: float) -> float:
        """The value of rank 0 in all processes; clocks differ, but all must stop at the same step."""
        if not self.accelerator:
            return value
        from accelerate.utils import broadcast

        shared: Tensor = broadcast(torch.tensor(value, dtype=torch.float64, device=self.device))
        return float(shared)


def find_device() -> TrainingDevice:
    """Selects the first GPU, or the CPU; or the device of this process, if WORLD_SIZE is above 1.

    Raises:
        InputError: There are several processes, but accelerate is not installed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        try:
            from accelerate import Accelerator, DistributedDataParallelKwargs
        except ImportError as error:
            raise InputError(
                "Training in several processes needs accelerate: `pip install accelerate`."
            ) from error
        # A batch uses only the output heads of its tasks, and stages freeze other weights.
        unused = DistributedDataParallelKwargs(find_unused_parameters=True)
        accelerator = Accelerator(cpu=not torch.cuda.is_available(), kwargs_handlers=[unused])
        return TrainingDevice(
            accelerator.device, accelerator.process_index, accelerator.num_processes, accelerator
        )
    if not torch.cuda.is_available():
        return TrainingDevice(torch.device("cpu"))
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    return TrainingDevice(torch.device("cuda"))
