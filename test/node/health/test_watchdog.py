# SPDX-License-Identifier: Apache-2.0
"""A thread that holds Python's lock for ever ends the process, with a traceback; one that is well does
not."""

import subprocess
import sys

from patience import PATIENCE_S

PROGRAM = """
import itertools, signal, sys, time
from vision_banana_ros.node.health.watchdog import Watchdog
dog = Watchdog()
dog.start(1.0)
for _ in range(6):
    time.sleep(0.4)
    dog.alive()
print("well", flush=True)
{then}
"""
SPINS = "any(itertools.repeat(0))  # without end, never without the lock, and without a look at signals"


def run(then):
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(then=then)], capture_output=True, text=True, timeout=PATIENCE_S
    )


def test_a_thread_that_keeps_pythons_lock_for_ever_ends_the_process_with_a_traceback():
    done = run("signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n" + SPINS)
    assert done.stdout == "well\n" and done.returncode == 1
    assert "Timeout" in done.stderr and "most recent call first" in done.stderr


def test_a_watchdog_that_was_stopped_ends_nothing():
    done = run("dog.stop(); time.sleep(2)")
    assert done.returncode == 0 and "Timeout" not in done.stderr
