# SPDX-License-Identifier: Apache-2.0
"""Encodes unknown prompts of imported editors on demand.

A separate process encodes one prompt at a time, while frames are processed.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from vision_banana_ros.errors import InputError
from vision_banana_ros.generators.backbones.family import FAMILIES
from vision_banana_ros.generators.backbones.generator import BackboneGenerator
from vision_banana_ros.generators.backbones.prompt_cache import (
    ENCODER,
    FOLDER,
    Encoding,
    cache_of,
    command_for,
)
from vision_banana_ros.generators.bundle import Bundle
from vision_banana_ros.node.pipeline.inference_config import Asking
from vision_banana_ros.node.pipeline.worker import Worker

LONGEST_S = 600.0
"""A request waits at most so long for its instructions to be encoded."""
MOST = 256
"""Instructions that a bundle may hold for services to add more: each takes some megabytes of the disk."""


class Encoder:
    """The encoder of one node. Its thread starts with the first prompt.

    Args:
        failed: Called with exceptions that escape from a job.
    """

    def __init__(self, failed: Callable[[Exception], object]):
        self._failed = failed
        self._worker: Worker[None] | None = None
        self.encoding: Encoding | None = None
        self._closed = False

    def submit(self, job: Callable[[], None]) -> None:
        """Queues a job for the encoder thread. Raises InputError if the queue is full."""
        if self._worker is None:
            self._worker = Worker([], self._failed)
        self._worker.submit(job)

    def encode(self, instructions: Sequence[str], asking: Asking) -> bool:
        """Encodes the prompts that the bundle lacks, on the encoder thread.

        Only for generators with `reads_ahead`.

        Returns:
            Whether there were any.

        Raises:
            InputError: If it fails; if it is not allowed, or there is no text encoder, the message names the
                command.
        """
        # verified when it was loaded
        bundle = Bundle(Path(asking.settings.bundle).expanduser(), asking.generator.manifest)
        cache = cache_of(bundle)
        unknown = [
            instruction for instruction in dict.fromkeys(instructions) if cache.find(instruction) is None
        ]
        if not unknown:
            return False
        command = command_for(bundle.path, *unknown)
        if not asking.settings.encode_prompts:
            raise InputError(
                f"{asking.generator.name} does not know these words yet. Set encode_prompts to"
                f" true, or run: {command}"
            )
        if not (bundle.path / ENCODER).is_dir():
            raise InputError(
                f"Bundle '{bundle.path}' has no text encoder here. Run, where it was imported, and copy its"
                f" folder {FOLDER}/ over:"
                f" {command}"
            )
        if len(cache.instructions()) + len(unknown) > MOST:
            raise InputError(
                f"{cache.folder} would hold more than {MOST} instructions: delete files there,"
                f" or run: {command}"
            )
        # On the CPU: the accelerator, and its memory, are the stream's.
        self.encoding = Encoding(bundle.path, *unknown, device="cpu")
        if self._closed:
            self.encoding.end()
        try:
            self.encoding.wait(LONGEST_S)
        finally:
            self.encoding = None
        return True

    def cancel(self) -> None:
        """Ends the current encoding and removes the queued jobs."""
        if self._worker is not None:
            self._worker.forget_jobs()
        if (encoding := self.encoding) is not None:
            encoding.end()

    def close(self) -> None:
        """Ends the encoder for good."""
        self._closed = True
        self.cancel()
        if self._worker is not None:
            self._worker.stop(0.0)


def reads_ahead(asking: Asking) -> bool:
    """Whether the generator only accepts prompts that were encoded in advance."""
    if not isinstance(asking.generator, BackboneGenerator):
        return False
    family = FAMILIES[asking.generator.manifest.backbone["family"]]
    return family.words and not family.encoder_sees_image
