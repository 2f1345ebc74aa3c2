# SPDX-License-Identifier: Apache-2.0
"""What a run computes on: one CPU, one GPU, or several GPUs by accelerate (`accelerate launch`)."""

import os
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from vision_banana_ros.errors import InputError


@dataclass(frozen=True, slots=True)
class Machine:
    """`rank` of `count` processes; only rank 0 writes files."""

    device: torch.device
    rank: int = 0
    count: int = 1
    accelerator: Any = None

    @property
    def writes(self) -> bool:
        return self.rank == 0

    def computing(self) -> AbstractContextManager:
        """Mixed precision, and the kernels of attention that are fast here."""
        # On a CPU the backward pass of flash attention takes longer than all the rest of the network.
        fast = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION] if self.device.type == "cuda" else []
        stack = ExitStack()
        stack.enter_context(torch.autocast(self.device.type, torch.bfloat16))
        stack.enter_context(sdpa_kernel([*fast, SDPBackend.MATH]))
        return stack

    def ready(self, module: nn.Module, compiled: bool) -> nn.Module:
        """The module as it is called in training: its gradients are shared between processes."""
        if compiled:
            torch._dynamo.config.cache_size_limit = 64  # a shape a kind of batch and size
            module.compile(dynamic=False)
        return self.accelerator.prepare_model(module) if self.accelerator else module

    def wait(self) -> None:
        """For the other processes, as before reading what rank 0 wrote."""
        if self.accelerator:
            self.accelerator.wait_for_everyone()

    def agree(self, value: float) -> float:
        """Rank 0's value in all processes: their clocks differ, and all must stop at the same step."""
        if not self.accelerator:
            return value
        from accelerate.utils import broadcast

        shared: Tensor = broadcast(torch.tensor(value, dtype=torch.float64, device=self.device))
        return float(shared)


def find_machine() -> Machine:
    """The first GPU, or the CPU; with WORLD_SIZE set (accelerate launch, torchrun) this process's share of many."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        try:
            from accelerate import Accelerator
        except ImportError as error:
            raise InputError("Training in several processes needs accelerate: `pip install accelerate`.") from error
        accelerator = Accelerator(cpu=not torch.cuda.is_available())
        return Machine(accelerator.device, accelerator.process_index, accelerator.num_processes, accelerator)
    if not torch.cuda.is_available():
        return Machine(torch.device("cpu"))
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    return Machine(torch.device("cuda"))
