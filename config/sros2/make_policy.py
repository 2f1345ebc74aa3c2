# SPDX-License-Identifier: Apache-2.0
"""The SROS 2 policy of the node, from its own list of interfaces: what it may publish, subscribe to and
answer, nothing else.

`python config/sros2/make_policy.py` writes policy.xml next to itself, for one camera without a name in the
root namespace. With remapped topics, another namespace or several cameras, make your own:

  python make_policy.py --namespace /robot --cameras front rear --remap image:=/camera/image_raw > policy.xml
"""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from vision_banana_ros.node.topics.inputs import TYPES as IMAGES
from vision_banana_ros.node.topics.messages import OUTPUTS
from vision_banana_ros.node.topics.outputs import LABELS
from vision_banana_ros.node.topics.range_sensor import TYPES as RANGES

NODE = "vision_banana"
SERVICES = ("~/segment", "~/set_prompts", "~/generate")
LIFECYCLE = (
    "change_state",
    "get_state",
    "get_available_states",
    "get_available_transitions",
    "get_transition_graph",
)
PARAMETERS = (
    *("describe_parameters", "get_parameter_types", "get_parameters", "list_parameters", "set_parameters"),
    "set_parameters_atomically",
)
HEADER = """<?xml version="1.0" encoding="UTF-8"?>
<!-- SPDX-License-Identifier: Apache-2.0 -->
<!-- Made by config/sros2/make_policy.py from the node's own list of interfaces. Do not edit. -->
"""


def of_each_camera(names: Iterable[str], cameras: Sequence[str], remaps: Mapping[str, str]) -> list[str]:
    """Topic names as they are with these cameras, after remapping."""
    full = [f"{camera}/{name}" if camera else name for camera in cameras or [""] for name in names]
    return [remaps.get(name, name) for name in full]


def rules(
    cameras: Sequence[str] = (), remaps: Mapping[str, str] | None = None
) -> dict[tuple[str, str], list[str]]:
    """Names by (element, attribute) of the policy."""
    known = remaps or {}
    return {
        ("topics", "publish"): sorted(
            [
                *of_each_camera([*OUTPUTS, LABELS], cameras, known),
                *("/diagnostics", "/parameter_events", "/rosout", "~/transition_event"),
            ]
        ),
        ("topics", "subscribe"): sorted(
            [
                *of_each_camera([*IMAGES, "camera_info", *RANGES], cameras, known),
                "/clock",
                "/parameter_events",
                "/tf",
                "/tf_static",
            ]
        ),
        ("services", "reply"): sorted(
            [*SERVICES, *(f"~/{name}" for name in (*LIFECYCLE, *PARAMETERS, "get_type_description"))]
        ),
    }


def policy(namespace: str = "/", cameras: Sequence[str] = (), remaps: Mapping[str, str] | None = None) -> str:
    """The policy as XML, in the form of sros2's policy schema 0.2.0."""
    enclave = f"{namespace.rstrip('/')}/{NODE}"
    lines = [
        '<policy version="0.2.0">',
        "  <enclaves>",
        f'    <enclave path="{enclave}">',
        "      <profiles>",
        f'        <profile ns="{namespace}" node="{NODE}">',
    ]
    for (element, attribute), names in rules(cameras, remaps).items():
        lines.append(f'          <{element} {attribute}="ALLOW">')
        lines += [f"            <{element[:-1]}>{name}</{element[:-1]}>" for name in names]
        lines.append(f"          </{element}>")
    lines += ["        </profile>", "      </profiles>", "    </enclave>", "  </enclaves>", "</policy>", ""]
    return HEADER + "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--namespace", default="/")
    parser.add_argument("--cameras", nargs="*", default=[])
    parser.add_argument("--remap", nargs="*", default=[], metavar="FROM:=TO")
    args = parser.parse_args()
    text = policy(args.namespace, args.cameras, dict(pair.split(":=", 1) for pair in args.remap))
    if len(sys.argv) > 1:
        print(text, end="")
    else:
        Path(__file__).with_name("policy.xml").write_text(text)


if __name__ == "__main__":
    main()
