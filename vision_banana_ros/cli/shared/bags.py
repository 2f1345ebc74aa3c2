# SPDX-License-Identifier: Apache-2.0
"""Frames out of ROS 2 bags (sqlite and MCAP), without ROS, by `rosbags`."""

import os
import posixpath
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from vision_banana_ros.cli.shared.frames import Frame, Frames, attempt
from vision_banana_ros.errors import InputError
from vision_banana_ros.files import open_regular, read_yaml
from vision_banana_ros.perception.camera import Calibration
from vision_banana_ros.perception.image_encodings import UsedBits, compressed_to_rgb, to_rgb

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
METADATA, FILES = "metadata.yaml", (".mcap", ".db3")
MAX_METADATA_BYTES = 2_000_000
MAX_MESSAGE_BYTES = 256_000_000
"""25 megapixels of four channels of 16 bits are 200 MB."""
MAX_UNPACKED_BYTES = 1_000_000_000
"""Of a chunk of messages."""
MOST_TIMES = 100
"""As large as it is, a compressed bag may become; pictures are compressed to a tenth at best."""


def is_bag(path: Path) -> bool:
    """A bag's folder (it holds metadata.yaml), or one of its files."""
    return (path.suffix in FILES and not path.is_dir()) or (path / METADATA).is_file()


def bag_frames(path: Path, topic: str | None) -> Frames:
    """The frames of one image topic, with the camera of the CameraInfo topic beside it.

    Without `topic` the bag must hold one image topic only. InputError where the bag or the topic cannot be
    read.
    """
    with opened(path) as reader:
        chosen = image_connection(path, reader.connections, topic)
        infos = _camera_infos(reader, chosen.topic)
    return Frames(chosen.msgcount, lambda: _read(path, chosen.topic, infos))


def _bound_unpacking() -> None:
    """Bounds what rosbags unpacks: it compares with the declared size only what it has unpacked already."""
    import lz4.frame
    from rosbags.rosbag2 import reader, storage_mcap

    zstd: Any = reader.zstd
    if isinstance(zstd, _Zstd):
        return
    reader.zstd = _Zstd(zstd)  # type: ignore[assignment]
    storage_mcap.DECOMPRESSORS.update(
        zstd=lambda data, size: _unpacked(zstd.ZstdDecompressor(), data, size),
        lz4=lambda data, size: _unpacked(lz4.frame.LZ4FrameDecompressor(), data, size),
    )


class _Zstd:
    """What rosbags uses of the module zstd, with bounds."""

    def __init__(self, module: Any):
        self._module = module

    def decompress(self, data: bytes) -> bytes:
        """A message."""
        return _unpacked(self._module.ZstdDecompressor(), data, MAX_MESSAGE_BYTES)

    @contextmanager
    def open(self, file: Any, mode: str) -> Iterator[Any]:
        """A file of messages, which is unpacked to a temporary one."""
        most = max(MAX_UNPACKED_BYTES, MOST_TIMES * os.fstat(file.fileno()).st_size)
        with self._module.open(file, mode) as unpacked:
            yield _Bounded(unpacked, most)


class _Bounded:
    def __init__(self, file: Any, most_bytes: int):
        self._file, self._left = file, most_bytes

    def read(self, size: int) -> bytes:
        data = bytes(self._file.read(size))
        self._left -= len(data)
        if self._left < 0:
            raise ValueError("it unpacks to more than messages have")
        return data


def _unpacked(decompressor: Any, data: bytes, size: int) -> bytes:
    """What `data` unpacks to. ValueError for more than `size` bytes, or more than a bag needs."""
    if size > MAX_UNPACKED_BYTES:
        raise ValueError(f"a part of it unpacks to {size} bytes")
    found = decompressor.decompress(data, max_length=size + 1)
    if not decompressor.eof:
        raise ValueError(f"a part of it unpacks to more than {size} bytes, or is cut off")
    return bytes(found)


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The reader of a bag. InputError where it cannot be read, at once or while it is used."""
    try:
        from rosbags.highlevel import AnyReader
        from rosbags.typesys import Stores, get_typestore
    except ImportError:
        raise InputError(
            "Reading bags needs the package rosbags; install it with `pip install rosbags`."
        ) from None
    _bound_unpacking()
    try:
        for file in [path, *path.iterdir()] if path.is_dir() else [path]:
            if not file.is_dir():
                with open_regular(file):  # a pipe would be waited for
                    pass
        if (path / METADATA).is_file():
            with suppress(ImportError):
                read_yaml(path / METADATA, MAX_METADATA_BYTES)  # rosbags follows references without end
        with AnyReader([path], default_typestore=get_typestore(Stores.LATEST)) as reader:
            yield reader
    except InputError:
        raise
    except Exception as error:  # rosbags, SQLite and decompressors raise whatever flipped bytes lead to
        raise InputError(
            f"The bag '{path}' cannot be read: {str(error)[:300]} Copy it again, or run `ros2 bag reindex`."
        ) from None


def image_connection(path: Path, connections: list[Any], topic: str | None) -> Any:
    """The connection of a bag's image topic.

    Without `topic` it must be the only one; InputError where it is not there.
    """
    images = [c for c in connections if c.msgtype in (IMAGE, COMPRESSED) and c.msgcount]
    names = sorted({c.topic for c in images})
    if not names:
        raise InputError(f"The bag '{path}' holds no images; record a topic of {IMAGE} or {COMPRESSED}.")
    if topic is None and len(names) > 1:
        raise InputError(
            f"The bag '{path}' holds several image topics; choose one with --topic: {', '.join(names)}."
        )
    for connection in images:
        if connection.topic == (topic or names[0]):
            return connection
    raise InputError(f"The bag '{path}' has no images on {topic}; it has them on {', '.join(names)}.")


class _Infos:
    """The CameraInfo of a bag by their stamps.

    beside: they are of the image's own namespace; else only those of its frame_id, or without one, are its.
    """

    def __init__(self, messages: Iterable[Any], beside: bool):
        by_stamp = {nanoseconds(m): (m.header.frame_id, Calibration.of(m)) for m in messages}
        self._beside = beside
        self._stamps = sorted(by_stamp)
        self._infos = [by_stamp[stamp] for stamp in self._stamps]

    def of(self, stamp_ns: int, frame_id: str) -> Calibration | None:
        """That of a frame's own stamp, else the last one before it, else the first."""
        if not self._stamps:
            return None
        name, calibration = self._infos[max(bisect_right(self._stamps, stamp_ns) - 1, 0)]
        return calibration if self._beside or name == frame_id or "" in (name, frame_id) else None


def _camera_infos(reader: Any, image_topic: str) -> _Infos:
    """The CameraInfo of the image's own camera: beside its topic, or the only topic of the bag."""
    base = posixpath.dirname(image_topic.removesuffix("/compressed"))
    infos = [c for c in reader.connections if c.msgtype == CAMERA_INFO and c.msgcount]
    beside = [c for c in infos if c.topic == posixpath.join(base, "camera_info")]
    chosen = beside or (infos if len({c.topic for c in infos}) == 1 else [])
    messages = reader.messages(chosen) if chosen else ()
    return _Infos((reader.deserialize(raw, CAMERA_INFO) for _, _, raw in messages), bool(beside))


def _read(path: Path, topic: str, infos: _Infos) -> Iterator[Frame | InputError]:
    try:
        with opened(path) as reader:
            connections, used = [c for c in reader.connections if c.topic == topic], UsedBits()
            for connection, _, raw in reader.messages(connections):
                yield attempt(_message_frame, reader, raw, connection.msgtype, infos, used)
    except InputError as error:
        yield error  # what came before it was answered


def _message_frame(reader: Any, raw: bytes, kind: str, infos: _Infos, used: UsedBits) -> Frame:
    if len(raw) > MAX_MESSAGE_BYTES:
        raise InputError(f"A message of {len(raw):,} bytes is larger than any picture that is taken.")
    try:
        message = reader.deserialize(raw, kind)
    except Exception as error:  # as in `opened`
        raise InputError(
            f"A message of {len(raw)} bytes is no {kind} ({str(error)[:200]}); the bag is damaged."
        ) from None
    return _frame(message, infos, used)


def _frame(message: Any, infos: _Infos, used: UsedBits) -> Frame:
    if hasattr(message, "encoding"):
        m = message
        image = to_rgb(m.data, m.encoding, m.height, m.width, m.step, bool(m.is_bigendian), used)
    else:
        image = compressed_to_rgb(message.data, message.format, used=used)
    stamp_ns = nanoseconds(message)
    return Frame(str(stamp_ns), image, infos.of(stamp_ns, message.header.frame_id), stamp_ns)


def nanoseconds(message: Any) -> int:
    """The stamp of a message."""
    return int(message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec)
