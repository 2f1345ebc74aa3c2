# SPDX-License-Identifier: Apache-2.0
"""What is compiled on a new machine, by one process or by several."""

import os
import subprocess
import sys

from node_support import ROOT, load_oracle
from patience import COMPILED_S

from vision_banana_ros.node.parameters import DEFAULTS, Settings
from vision_banana_ros.node.pipeline import warmup
from vision_banana_ros.node.pipeline.inference_config import Asking
from vision_banana_ros.node.topics.messages import OUTPUTS, Composer


def test_a_helper_makes_all_outputs_beginning_with_its_own(monkeypatch):
    composed = []
    compose = Composer.compose

    def noted(self, topic, seen):
        composed.append(topic)
        return compose(self, topic, seen)

    monkeypatch.setattr(Composer, "compose", noted)
    warmup.warm_up(Asking.of(Settings.read(DEFAULTS), load_oracle("", "")))
    alone = list(composed)
    composed.clear()
    warmup.compile_outputs(1, 2)
    assert sorted(composed) == sorted(alone) == sorted(OUTPUTS)
    assert composed[0] == list(OUTPUTS)[len(OUTPUTS) // 2]


def test_a_helper_ends_with_the_process_that_it_helps():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", warmup.__name__, "1", "2"]
    helper = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)
    helper.stdin.close()
    assert helper.wait(COMPILED_S) == 0
