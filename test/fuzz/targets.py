# SPDX-License-Identifier: Apache-2.0
"""What is fuzzed: for each kind of input a function that reads bytes, and seeds, among them every case that
once went wrong.

A target may raise InputError and nothing else.
"""

import io
import json
import math
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vision_banana_ros.cli.shared.bags import bag_frames
from vision_banana_ros.cli.shared.calibration import read_calibration
from vision_banana_ros.errors import InputError
from vision_banana_ros.generators import bundle, default_bundle
from vision_banana_ros.generators.backbones.diffusers_folder import read_tensors, write_tensors
from vision_banana_ros.node.prompts import read_expressions
from vision_banana_ros.node.services.prompt_store import KeptPrompts
from vision_banana_ros.node.topics.image_input import read_image
from vision_banana_ros.perception.camera import Calibration, camera_for
from vision_banana_ros.perception.image_encodings import compressed_to_rgb
from vision_banana_ros.scenes.furnished.fetch import unpack
from vision_banana_ros.scenes.furnished.library import build
from vision_banana_ros.tasks.legend_text import read_legend

IMAGE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
WORK = Path(tempfile.mkdtemp(prefix="fuzz_"))
FRAMES = 5
"""Of a bag, at most: what comes after has nothing new."""


@dataclass(frozen=True)
class Target:
    read: Callable[[bytes], object]
    seeds: Callable[[], list[bytes]]


def _file(name: str, data: bytes) -> Path:
    path = WORK / name
    path.write_bytes(data)
    return path


def _manifest(data: bytes) -> None:
    _file(bundle.MANIFEST, data)
    bundle.open_bundle(WORK)


def _manifests() -> list[bytes]:
    whole = json.loads((default_bundle() / bundle.MANIFEST).read_text())
    changes = [
        {"size": [0, 0]},
        {"size": [10**6, 1]},
        {"steps": -1},
        {"depth_range_m": [5, 1]},
        {"files": {"../x": "0"}},
    ]
    changes += [
        {"files": {"\0": "0"}},
        {"legend": ["wall"]},
        {"tasks": 3},
        {"instance_taus": {"background_tau": -1}},
    ]
    small = {**whole, "files": {}, "made": {}}
    texts = [json.dumps({**small, **change}) for change in ({}, *changes)]
    texts += [
        "[" * 100_000,
        '{"format": 1e999}',
        json.dumps(small).replace('"size": [144, 192]', '"size": [NaN, Infinity]'),
        '["\\ud800"]',
    ]
    return [text.encode() for text in texts]


def _prompts(data: bytes) -> None:
    kept = KeptPrompts("fuzzed")
    object.__setattr__(kept, "path", _file("prompts.json", data))
    values = kept.read()
    read_legend([text for text in values.get("legend", []) if text.strip()], {})
    read_expressions(values.get("expressions", []))


def _prompt_seeds() -> list[bytes]:
    texts = [
        '{"legend": ["floor=#804080", "wall"], "expressions": ["the red ball"], "instances_class": "box"}',
        "{}",
        "[" * 100_000,
    ]
    texts += [
        '{"expressions": ["\\ud800"]}',
        '{"legend": ["a=#12"]}',
        '{"legend": ["a", "a"]}',
        '{"expressions": [""]}',
        '{"legend": NaN}',
    ]
    return [text.encode() for text in texts]


def _picture(data: bytes) -> None:
    compressed_to_rgb(data)


def _pictures() -> list[bytes]:
    image = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    found = [
        cv2.imencode(ending, image)[1].tobytes()
        for ending in (".jpg", ".png", ".webp", ".bmp", ".ppm", ".tiff")
    ]
    jpeg, png = found[:2]
    # Markers without a length hid a size of 65,500 x 65,500; a PNG may declare what it likes.
    hidden = bytes.fromhex("ffd8 ffd0 ff01 ffd7") + jpeg[2:]
    at = jpeg.index(b"\xff\xc0")
    huge = jpeg[: at + 5] + struct.pack(">HH", 65_500, 65_500) + jpeg[at + 9 :]
    return [
        *found,
        hidden,
        huge,
        png[:16] + struct.pack(">II", 8000, 8000) + png[24:],
        jpeg[: len(jpeg) // 2],
        png[:40],
        b"P5\n" + b"9" * 10_000 + b" 1\n255\n",
        b"",
    ]


def _padded_by_none(data: bytes) -> bytes:
    """A serialised message whose header says that no padding follows.

    Where it says more than there is, `deserialize_message` crashes; what comes over DDS does not (tried), and
    nothing else is read.
    """
    return data[:3] + bytes(data[3:4] and [data[3] & 0xFC]) + data[4:]


def _message(data: bytes) -> None:
    from rclpy.serialization import deserialize_message
    from sensor_msgs.msg import CompressedImage, Image

    if not data:
        return
    try:
        message = deserialize_message(_padded_by_none(data[1:]), Image if data[0] % 2 else CompressedImage)
    except Exception:  # the middleware refuses it: it would not reach the node
        return
    read_image(message)


def _messages() -> list[bytes]:
    from rclpy.serialization import serialize_message
    from sensor_msgs.msg import CompressedImage, Image

    found = []
    for encoding, step in (("rgb8", 96), ("mono16", 64), ("bayer_rggb8", 32), ("yuv422", 64), ("purple", 1)):
        message = Image(height=24, width=32, encoding=encoding, step=step)
        message.data = bytes(24 * step)
        found.append(b"\1" + bytes(serialize_message(message)))
    return [
        *found,
        b"\1\0\0\0A",
        b"\0" + bytes(serialize_message(CompressedImage(format="jpeg", data=_pictures()[0]))),
    ]


def _camera(data: bytes) -> None:
    read_calibration(_file("camera.yaml", data))


def _cameras() -> list[bytes]:
    matrix = "{rows: 3, cols: 3, data: [500, 0, 320, 0, 500, 240, 0, 0, 1]}"
    texts = [
        f"image_width: 640\nimage_height: 480\ncamera_matrix: {matrix}\n",
        "width: 640\nheight: 480\nk: [.inf, 0, .nan, 0, 1e300, 2]\n",
    ]
    texts += [
        "[" * 600,
        "a: &a [*a]\n",
        "width: []\nheight: {}\nk: 3\n",
        "\0",
        "--- \n...\n",
        "3",
        "camera_matrix: 1",
        "k: [1]\nwidth: 1e999",
    ]
    return [text.encode() for text in texts]


def _camera_info(data: bytes) -> None:
    from rclpy.serialization import deserialize_message
    from sensor_msgs.msg import CameraInfo

    try:
        message = deserialize_message(_padded_by_none(data), CameraInfo)
    except Exception:  # the middleware refuses it: it would not reach the node
        return
    refused = None
    for rectified in ("auto", "true", "false"):
        try:
            camera = camera_for(Calibration.of(message), IMAGE.shape[:2], rectified)
        except InputError as error:
            refused = error
            continue
        k = camera.intrinsics
        assert (
            all(math.isfinite(value) for value in (k.fx, k.fy, k.cx, k.cy))
            and (k.height, k.width) == IMAGE.shape[:2]
        )
        assert camera.rectify(IMAGE).shape == IMAGE.shape
    if refused is not None:
        raise refused


def _camera_infos() -> list[bytes]:
    from rclpy.serialization import serialize_message
    from sensor_msgs.msg import CameraInfo

    k = [30.0, 0.0, 15.5, 0.0, 30.0, 11.5, 0.0, 0.0, 1.0]
    good = dict(
        height=24,
        width=32,
        k=k,
        p=[*k[:3], 0.0, *k[3:6], 0.0, *k[6:], 0.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
    )
    changes: list[dict[str, Any]] = [{}]
    changes += [{"k": [value, *k[1:]]} for value in (math.inf, math.nan, 1e300, 1e-9, -30.0, 0.0)]
    changes += [{"k": [*k[:2], value, *k[3:]]} for value in (math.nan, 1e300, -1e6)]
    changes += [{"distortion_model": model, "d": d}
                for model in ("plumb_bob", "rational_polynomial", "equidistant", "x" * 999)
                for d in ([0.0] * 4, [-0.3, 0.1, 0.0, 0.0, 0.0], [1e30] * 5, [math.nan] * 8,
                          [1.0] * 14)]  # fmt: skip
    changes += [
        {"binning_x": 2**32 - 1},
        {"width": 2**32 - 1, "height": 2**32 - 1},
        {"width": 64, "height": 48, "binning_x": 2},
    ]
    changes += [
        {"r": [0.0] * 9},
        {"r": [math.nan] * 9},
        {"r": [5.0] * 9},
        {"p": [math.inf] * 12},
        {"p": [0.0] * 12},
    ]
    found = [CameraInfo(**{**good, **change}) for change in changes]
    found[0].roi.width = found[0].roi.x_offset = 2**32 - 1
    return [bytes(serialize_message(info)) for info in found]


def _bag(data: bytes) -> None:
    for _, frame in zip(range(FRAMES), bag_frames(_file("bag.mcap", data), None).read(), strict=False):
        if not isinstance(frame, InputError):
            assert frame.image.dtype == np.uint8


def _bags() -> list[bytes]:
    from bag_support import raw_image, write_bag
    from rosbags.rosbag2 import StoragePlugin

    folder = Path(tempfile.mkdtemp(dir=WORK))
    write_bag(folder / "bag", StoragePlugin.MCAP, {"/image": [raw_image(k, "rgb8") for k in range(2)]})
    whole = next((folder / "bag").glob("*.mcap")).read_bytes()
    return [
        whole,
        whole[: len(whole) // 2],
        whole[:-20],
        whole[: len(whole) // 3] + bytes(50) + whole[len(whole) // 3 + 50 :],
    ]


def _package(data: bytes) -> None:
    unpack(_file("one.deb", data), WORK / "unpacked")


def _packages() -> list[bytes]:
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w:xz") as archive:
        info = tarfile.TarInfo("./usr/share/one.sh3f")
        info.size = 10
        archive.addfile(info, io.BytesIO(bytes(10)))
    content = tar.getvalue()

    def deb(size: str) -> bytes:
        return (
            b"!<arch>\n"
            + f"{'data.tar.xz':<16}{'0':<12}{'0':<6}{'0':<6}{'100644':<8}{size:<10}`\n".encode()
            + content
        )

    return [
        deb(str(len(content))),
        deb("-5"),
        deb("ten"),
        deb("9999999999"),
        deb(str(len(content)))[:-9],
        b"!<arch>\n",
        b"",
    ]


def _catalogue(data: bytes) -> None:
    build([_file("one.sh3f", data)], WORK / "furnished")


def _catalogues() -> list[bytes]:
    found = []
    for encrypted in (False, True):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(
                "PluginFurnitureCatalog.properties",
                "id#1=a\nname#1=Table\nmodel#1=/a.obj\nwidth#1=1\ndepth#1=1\nheight#1=1\ncategory#1=x\n",
            )
            archive.writestr("a.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
        content = bytearray(buffer.getvalue())
        if encrypted:
            content[6] |= 1
            content[content.index(b"PK\1\2") + 8] |= 1
        found.append(bytes(content))
    return [*found, found[0][:-8], b"PK\5\6" + bytes(18), b""]


def _tensors(data: bytes) -> None:
    read_tensors(_file("one.safetensors", data))


def _tensor_files() -> list[bytes]:
    write_tensors(WORK / "seed.safetensors", {"a": np.ones((2, 3), np.float32)}, {"b": "c"})
    whole = (WORK / "seed.safetensors").read_bytes()
    found = [whole]
    for entry in (
        '{"dtype":"F32","shape":[2],"data_offsets":["0","8"]}',
        '{"dtype":"F32","shape":[-1],"data_offsets":[0,8]}',
        '{"shape":[2],"data_offsets":[0,8]}',
        "[" * 9000,
        "3",
    ):
        header = f'{{"a":{entry}}}'.encode()
        found.append(struct.pack("<Q", len(header)) + header + bytes(8))
    return [*found, struct.pack("<Q", 1 << 62), b""]


TARGETS = {
    "manifest": Target(_manifest, _manifests),
    "prompts": Target(_prompts, _prompt_seeds),
    "picture": Target(_picture, _pictures),
    "message": Target(_message, _messages),
    "camera": Target(_camera, _cameras),
    "camera_info": Target(_camera_info, _camera_infos),
    "bag": Target(_bag, _bags),
    "package": Target(_package, _packages),
    "catalogue": Target(_catalogue, _catalogues),
    "tensors": Target(_tensors, _tensor_files),
}
