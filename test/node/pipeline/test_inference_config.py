# SPDX-License-Identifier: Apache-2.0
"""What a frame is asked, as it follows from the parameters."""

from argparse import Namespace

import pytest
from node_support import LEGEND, TestGenerator

from vision_banana_ros.cli.shared.question_arguments import questions_for
from vision_banana_ros.node.parameters import PARAMETERS, Settings
from vision_banana_ros.node.pipeline.inference_config import Asking


@pytest.mark.parametrize(
    "entries", [["floor", "wall", "person"], ["a=b=red", "wall"], ["box=#ff8000", "cup", "floor = lime"]]
)
def test_the_command_and_the_node_read_the_same_legend(entries):
    generator = TestGenerator()
    asked = Namespace(legend=entries, expression=[], instances=None)
    by_command = [
        q.legend for q in questions_for(generator.tasks, generator.manifest.legend, asked) if q.legend
    ]
    values = {name: parameter.default for name, parameter in PARAMETERS.items()}
    by_node = Asking.of(Settings.read({**values, "legend": entries}), generator).prompts.legend
    assert by_command == [by_node] and list(by_node) == [
        entry.rpartition("=")[0].strip() or entry for entry in entries
    ]
    assert all(by_node[name] == color for name, color in LEGEND.items() if name in entries)
