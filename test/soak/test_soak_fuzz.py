# SPDX-License-Identifier: Apache-2.0
"""10,000 messages that no camera would send: odd fields, and serialised bytes that were cut and flipped."""

import random
from array import array

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from node_support import SIZE, Camera, camera_info, picture, stamp_of
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from soak_support import balanced, dropped, settle, show_with_info, soaked_node, spin

COUNT = 10_000
BATCH = 4

integers = st.sampled_from([0, 1, 2, 3, 47, 48, 64, 65535, 2**31 - 1, 2**31, 2**32 - 1]) | st.integers(0, 200)
encodings = st.sampled_from(
    ["rgb8", "bgr8", "rgba8", "mono8", "mono16", "bayer_rggb8", "yuv422_yuy2", "32FC1", "", "purple"]
)
payloads = st.integers(0, 20_000).map(lambda n: array("B", bytes(n))) | st.binary(max_size=300).map(
    lambda b: array("B", b)
)
numbers = st.floats(allow_nan=True, allow_infinity=True)


@st.composite
def images(draw):
    message = picture(draw(st.integers(0, 249)), 1)
    for name in draw(st.sets(st.sampled_from(["height", "width", "step"]), max_size=3)):
        setattr(message, name, draw(integers))
    if draw(st.booleans()):
        message.encoding = draw(encodings)
    if draw(st.booleans()):
        message.data = draw(payloads)
    message.is_bigendian = draw(st.sampled_from([0, 1, 255]))
    message.header.frame_id = draw(
        st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=50)
    )
    message.header.stamp.sec = draw(st.sampled_from([0, 1, -1, 2**31 - 1, -(2**31)]) | st.integers(0, 10**9))
    message.header.stamp.nanosec = draw(st.sampled_from([0, 999_999_999, 10**9, 2**32 - 1]))
    return message


@st.composite
def infos(draw):
    message = camera_info(SIZE)
    message.height, message.width = draw(st.sampled_from([SIZE, (0, 0), (2**32 - 1, 1)]))
    message.k = np.array(draw(st.lists(numbers, min_size=9, max_size=9)))
    message.p = np.array(draw(st.lists(numbers, min_size=12, max_size=12)))
    message.d = draw(st.lists(numbers, max_size=14))
    return message


@st.composite
def compressed(draw):
    message = CompressedImage(format=draw(st.sampled_from(["jpeg", "png", "", "rgb8; compressedDepth png"])))
    message.data = draw(payloads | st.just(array("B", b"\xff\xd8\xff\xe0" + bytes(100))))
    return message


def damaged(rng, whole):
    """The bytes of a message, cut anywhere, with some of them flipped. The four of the encapsulation
    header are kept or not."""
    data = bytearray(whole)
    if rng.random() < 0.5:
        data = data[: rng.randrange(len(data))]
    for _ in range(rng.choice([0, 1, 1, 2, 8, 64])):
        if data:
            # Lengths and sizes are at the front; the pixels behind them are not where it hurts.
            data[rng.randrange(min(len(data), 100 if rng.random() < 0.8 else len(data)))] = rng.randrange(256)
    return bytes(data)


def test_fuzzed_messages(note):
    topics = ("/image", "/image/compressed", "/camera_info")
    # Or most of the messages would be replaced unread.
    policies = [
        f"qos_overrides.{t}.subscription.{p}" for t in topics for p in ("depth:=100", "reliability:=reliable")
    ]
    with soaked_node(*policies) as (node, client, camera, listener):
        before = node.memory_mib()
        publishers = {Image: camera.images, CameraInfo: camera.infos}
        odd, cut = fuzz(node, client, publishers, [Image, Image, Image, CameraInfo])
        # Compressed images are subscribed to only while nobody publishes raw ones.
        client.destroy_publisher(camera.images)
        publishers = {CompressedImage: client.create_publisher(CompressedImage, "image/compressed", 100)}
        client.spin_until(
            lambda: publishers[CompressedImage].get_subscription_count() > 0,
            "the subscription to image/compressed",
        )
        more_odd, more_cut = fuzz(node, client, publishers, [CompressedImage])
        client.destroy_publisher(publishers[CompressedImage])
        camera = Camera(client)
        camera.connect()
        good: list[int] = []
        client.spin_until(
            lambda: (
                good.append(show_with_info(camera))
                or any(stamp in listener.stamps["points"] for stamp in good)
            ),
            "a whole frame to be answered after all that",
            60,
        )
        status = settle(client)
        note("messages with odd fields", odd + more_odd, COUNT // 2)
        note("messages cut and flipped", cut + more_cut, COUNT // 2)
        note("frames that came through", int(status["received"]))
        note("of these published", int(status["published"]))
        note("of these dropped, with a reason", dropped(status))
        note("memory before and after (MiB)", f"{before:.0f} / {node.memory_mib():.0f}")
        note("tracebacks in the log", node.said().count("Traceback"), "0")
        assert odd + more_odd + cut + more_cut >= COUNT
        assert balanced(status)
        assert "Traceback" not in node.said(), node.said()[-4000:]
        assert node.memory_mib() < before + 200


def fuzz(node, client, publishers, kinds):
    """Half of what there is to send, for each of two rounds: first odd fields, then damaged bytes. Returns
    how many of each."""
    strategies = {Image: images(), CameraInfo: infos(), CompressedImage: compressed()}
    sent = [0]

    def send(message, kind):
        publishers[kind].publish(message)
        sent[0] += 1
        if sent[0] % BATCH == 0:
            spin(client, 0.01)
            del client.statuses[:-2]
            assert node.alive, node.said()[-4000:]

    checks = list(HealthCheck)

    @seed(1)
    @settings(
        max_examples=COUNT // 4 // len(kinds),
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=checks,
    )
    @given(st.tuples(*(strategies[kind] for kind in kinds)))
    def odd_fields(messages):
        for kind, message in zip(kinds, messages, strict=True):
            send(message, kind)

    odd_fields()
    odd, rng = sent[0], random.Random(2)
    whole = {
        Image: serialize_message(picture(90, 7)),
        CameraInfo: serialize_message(camera_info(SIZE)),
        CompressedImage: serialize_message(CompressedImage(format="jpeg", data=bytes(500))),
    }
    while sent[0] < odd + COUNT // 4:
        kind = rng.choice(kinds)
        send(damaged(rng, whole[kind]), kind)
    return odd, sent[0] - odd


def test_the_fuzzer_reaches_what_it_is_for():
    """Half of the damaged messages must differ in what is read before the pixels, or the fuzzer tests
    nothing."""
    whole, rng = serialize_message(picture(90, 7)), random.Random(3)
    spoilt = [damaged(rng, whole) for _ in range(500)]
    assert sum(data[:60] != whole[:60] or len(data) < len(whole) for data in spoilt) > 350
    assert stamp_of(picture(90, 7)) == 7
