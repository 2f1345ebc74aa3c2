# SPDX-License-Identifier: Apache-2.0
"""The thread that owns the generator. The executor thread of ROS hands it work and never waits for it."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

from vision_banana_ros.errors import InputError
from vision_banana_ros.node.pipeline.mailbox import Mailbox

F = TypeVar("F")

MAX_JOBS = 16
"""Requests that may wait at once. More are refused: they would only time out."""


class Worker(Generic[F]):
    """Processes the frames of its mailboxes and runs jobs, in turns, so that none of them starves.

    Args:
        answers: For each camera, the function that processes a frame.
        failed: Called with exceptions that escape from it or from a job; the thread continues.
    """

    def __init__(self, answers: Sequence[Callable[[F], None]], failed: Callable[[Exception], object]):
        self._changed = threading.Condition()
        self.mailboxes: list[Mailbox[F]] = [Mailbox(self._changed) for _ in answers]
        self._failed = failed
        self._jobs: deque[Callable[[], None]] = deque()
        takes = [
            partial(_take_frame, box, answer) for box, answer in zip(self.mailboxes, answers, strict=True)
        ]
        self._turns: deque[Callable[[], Callable[[], None] | None]] = deque([self._take_job, *takes])
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="vision_banana_worker", daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[], None]) -> None:
        """Queues a job for the worker thread. Raises InputError if the queue is full."""
        with self._changed:
            if len(self._jobs) >= MAX_JOBS:
                raise InputError(
                    f"{MAX_JOBS} requests are waiting already; ask again when they are answered."
                )
            self._jobs.append(job)
            self._changed.notify()

    def forget_jobs(self) -> None:
        """Removes the queued jobs."""
        with self._changed:
            self._jobs.clear()

    def stop(self, timeout_s: float) -> bool:
        """Ends the thread after its current work; queued work is discarded.

        Returns whether it ended within `timeout_s`.
        """
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (work := self._next()) is not None:
            try:
                work()
            except Exception as error:
                self._failed(error)
            del work  # or it would keep its frame until the next one

    def _next(self) -> Callable[[], None] | None:
        """Waits for work and returns it, or None when the thread has to end."""
        with self._changed:
            while not self._stopping:
                for take in self._turns:
                    work = take()
                    if work is not None:
                        self._turns.remove(take)
                        self._turns.append(take)
                        return work
                self._changed.wait()
            return None

    def _take_job(self) -> Callable[[], None] | None:
        return self._jobs.popleft() if self._jobs else None


def _take_frame(mailbox: Mailbox[F], answer: Callable[[F], None]) -> Callable[[], None] | None:
    frame = mailbox.take()
    return None if frame is None else partial(answer, frame)
