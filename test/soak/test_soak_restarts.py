# SPDX-License-Identifier: Apache-2.0
"""Killed and started again under a camera that goes on: each start becomes active, hears SIGTERM, takes no
more memory than the first ones, and leaves nothing in /dev/shm."""

import os
import random
import signal
import time
from pathlib import Path
from statistics import median

import rclpy
from node_support import Camera, any_domain, camera_info, new_client
from rclpy.context import Context
from soak_support import START_S, NodeProcess

from vision_banana_ros.node.topics.fastdds import carry_large_images

STARTS, STARTS_AN_HOUR = 20, 300
KILLED = 0.7
"""Part of the starts that end by SIGKILL, at any moment; the others are asked to end when they answer."""
GROWTH_MIB = 30.0
"""By which the last quarter of the starts that answered may be larger than the first, by the median."""
LEAVE_S = 20.0
"""Generous, as the machine is shared: a process that is deaf stays for ever."""
SHARED = Path("/dev/shm")


def test_restarts(note, request):
    starts = max(STARTS, round(STARTS_AN_HOUR * request.config.getoption("--hours")))
    carry_large_images()
    rng, domain, context = random.Random(19), any_domain(), Context()
    rclpy.init(context=context, domain_id=domain, args=[])
    deaf = stuck = asked = done = 0
    memory_mib: list[float] = []
    with new_client(context) as client:
        camera = Camera(client)
        client.listen("depth/image_rect")
        left_before, descriptors = _segments(), len(os.listdir("/proc/self/fd"))

        def shown() -> None:
            camera.infos.publish(camera_info())
            camera.show(rng.randrange(10, 240))

        try:
            for _ in range(starts):
                done += 1
                node = NodeProcess(domain, "autostart:=true", "max_age:=0.0")
                try:
                    dies = time.monotonic() + rng.uniform(0.0, 8.0) if rng.random() < KILLED else float("inf")
                    end, answers = time.monotonic() + START_S, len(client.received["depth/image_rect"])
                    while time.monotonic() < min(dies, end) and not (
                        dies == float("inf") and _answered(client, answers)
                    ):
                        shown()
                        client.own_executor.spin_once(timeout_sec=0.03)
                    if dies == float("inf"):
                        asked += 1
                        if not _answered(client, answers):
                            stuck += 1
                        elif node.alive:
                            memory_mib.append(node.memory_mib())
                        node.child.send_signal(signal.SIGTERM)
                        deaf += not _ended(node, LEAVE_S)
                finally:
                    node.close()
                del client.received["depth/image_rect"][:-1]
        finally:  # also where it is interrupted
            left = _segments() - left_before
            note("starts; killed at any moment; asked to end", f"{done}; {done - asked}; {asked}")
            note("never answered", stuck, "0")
            note("did not hear SIGTERM", deaf, "0")
            note("segments left in /dev/shm", left, "those of the last ten seconds")
            grown_mib = _growth(memory_mib)
            if memory_mib:
                least_mib, most_mib = min(memory_mib), max(memory_mib)
                note("memory at the first answer, least; most (MiB)", f"{least_mib:.1f}; {most_mib:.1f}")
            if grown_mib is not None:
                note("memory, last starts more than first ones (MiB)", f"{grown_mib:.1f}", f"{GROWTH_MIB}")
            note("descriptors more than before", len(os.listdir("/proc/self/fd")) - descriptors)
    rclpy.try_shutdown(context=context)
    assert not stuck and not deaf and asked
    assert left <= done / 2, "dead segments are removed at the next start"
    assert grown_mib is None or grown_mib < GROWTH_MIB, "what earlier starts left is not loaded by later ones"


def _growth(memory_mib: list[float]) -> float | None:
    """By how much the last quarter exceeds the first, by the median; None for fewer than four."""
    quarter = len(memory_mib) // 4
    return median(memory_mib[-quarter:]) - median(memory_mib[:quarter]) if quarter else None


def _answered(client, before: int) -> bool:
    return len(client.received["depth/image_rect"]) > before


def _ended(node: NodeProcess, patience_s: float) -> bool:
    end = time.monotonic() + patience_s
    while node.alive and time.monotonic() < end:
        time.sleep(0.05)
    return not node.alive


def _segments() -> int:
    return sum(not path.name.endswith(("_el", "_sl")) for path in SHARED.glob("fastdds_*"))
