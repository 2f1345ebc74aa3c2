# SPDX-License-Identifier: Apache-2.0
"""A language model behind HTTP: what is sent to it, what is taken from it, and what every kind of failure
says."""

import base64
import os
import socket
import threading

import cv2
import numpy as np
import pytest
from patience import PATIENCE_S
from reasoning_server import chat, replying, server

from vision_banana_ros.errors import InputError
from vision_banana_ros.reasoning import PassThrough, open_rewriter
from vision_banana_ros.reasoning.openai import KEY_VARIABLE, MAX_REPLY, MAX_WAITING, ChatCompletions

IMAGE = np.full((480, 1024, 3), (200, 100, 50), np.uint8)
SECRET = "sk-very-secret"


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


def test_without_a_model_the_query_passes_through():
    rewriter = open_rewriter(" ", "", 1.0)
    assert isinstance(rewriter, PassThrough)
    assert rewriter.rewrite("something to sit on", IMAGE) == "something to sit on"
    assert rewriter.present("a chair", IMAGE) is None


def test_a_query_becomes_an_expression_and_the_server_sees_the_picture():
    with server(replying(chat({"expression": " the wooden  chair\nleft of the table "}))) as (url, asked):
        assert open_rewriter(url, "some-model", 5.0).rewrite("something to sit on", IMAGE) == (
            "the wooden chair left of the table"
        )
    ((path, headers, body),) = asked
    assert path == "/v1/chat/completions" and "Authorization" not in headers
    assert body["model"] == "some-model" and body["response_format"]["type"] == "json_schema"
    assert body["response_format"]["json_schema"]["schema"]["required"] == ["expression"]
    text, picture = body["messages"][1]["content"]
    assert text == {"type": "text", "text": "something to sit on"}
    head, data = picture["image_url"]["url"].split(",")
    assert head == "data:image/jpeg;base64"
    shown = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape == (360, 768, 3)
    np.testing.assert_allclose(shown[0, 0, ::-1], (200, 100, 50), atol=4)


@pytest.mark.parametrize("answer", [True, False, None])
def test_presence(answer):
    with server(replying(chat({"present": answer}))) as (url, _):
        assert ChatCompletions(url, "m").present("an elephant", IMAGE) is answer


def test_the_key_comes_from_the_environment_and_is_told_to_nobody(monkeypatch, caplog):
    monkeypatch.setenv(KEY_VARIABLE, SECRET)
    with server(replying(f"wrong key {SECRET}".encode(), 401)) as (url, asked):
        rewriter = ChatCompletions(url, "m")
        with pytest.raises(InputError, match=KEY_VARIABLE) as caught:
            rewriter.rewrite("x", IMAGE)
    assert asked[0][1]["Authorization"] == f"Bearer {SECRET}"
    told = "".join([repr(rewriter), str(vars(rewriter)), repr(caught.value), caplog.text])
    assert SECRET not in told and caught.value.__context__ is None
    monkeypatch.setenv(KEY_VARIABLE, f"{SECRET}\nInjected: header")
    wrong = pytest.raises(InputError, match="could not be asked: ValueError")
    with server(replying(chat({"present": True}))) as (url, asked), wrong as caught:
        ChatCompletions(url, "m").present("x", IMAGE)
    assert not asked and SECRET not in str(caught.value)


def test_no_redirect_carries_the_picture_elsewhere():
    with server(replying(chat({"present": True}))) as (other, reached):
        for status in (301, 302, 303, 307, 308):
            refused = pytest.raises(InputError, match=f"redirect \\({status}\\), which is refused")
            with server(replying(b"", status, Location=f"{other}/chat/completions")) as (url, _), refused:
                ChatCompletions(url, "m").present("x", IMAGE)
        assert not reached


@pytest.mark.parametrize(
    "status, cure",
    [(500, "look at its log"), (503, "look at its log"), (404, "check the URL"), (400, "model's name")],
)
def test_an_error_of_the_server(status, cure):
    with (
        server(replying(b'{"error": "<script>"}', status)) as (url, _),
        pytest.raises(InputError, match=f"answered {status} .*{cure}") as e,
    ):
        ChatCompletions(url, "m").rewrite("x", IMAGE)
    assert "script" not in str(e.value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff\xfe\x00",
        b"[]",
        b"{}",
        b'{"choices": []}',
        b'{"choices": [{"message": null}]}',
        b"null",
        b"[" * 100_000,
    ],
)
def test_a_reply_of_something_else(body):
    with (
        server(replying(body)) as (url, _),
        pytest.raises(InputError, match="not that of an OpenAI-compatible chat endpoint"),
    ):
        ChatCompletions(url, "m").rewrite("x", IMAGE)


@pytest.mark.parametrize(
    "said",
    [
        "the wooden chair",
        '```json\n{"expression": "a chair"}\n```',
        '{"expression": "a chair"} I hope this helps.',
        '{"expression": "a chair", "run": "rm"}',
        '{"present": true}',
        '["a chair"]',
        "[" * 100_000,
        "",
    ],
)
def test_a_model_that_does_not_keep_to_the_schema(said):
    with (
        server(replying(chat(said))) as (url, _),
        pytest.raises(InputError, match="did not answer with JSON"),
    ):
        ChatCompletions(url, "m").rewrite("x", IMAGE)


@pytest.mark.parametrize(
    "value", ["", " \n ", 7, None, ["a chair"], "a" * 501, "a \x1b[31m chair", "a\u202echair"]
)
def test_an_expression_that_is_none(value):
    with (
        server(replying(chat({"expression": value}))) as (url, _),
        pytest.raises(InputError, match="gave no expression"),
    ):
        ChatCompletions(url, "m").rewrite("x", IMAGE)


@pytest.mark.parametrize("value", ["true", 1, 0.5, [], {}])
def test_a_presence_that_is_none(value):
    with (
        server(replying(chat({"present": value}))) as (url, _),
        pytest.raises(InputError, match="did not say whether"),
    ):
        ChatCompletions(url, "m").present("x", IMAGE)


def refused(call, match):
    """Returns at all: the server that it asks answers nothing before the test is over."""
    with pytest.raises(InputError, match=match):
        call()


def test_a_huge_reply_is_not_read_to_its_end():
    sent = []

    def flood(handler):
        handler.send_response(200)
        handler.end_headers()
        for _ in range(2000):
            handler.wfile.write(b" " * (1 << 16))
            sent.append(1 << 16)

    with server(flood) as (url, _), pytest.raises(InputError, match="more than 1,048,576 bytes"):
        ChatCompletions(url, "m").rewrite("x", IMAGE)
    assert sum(sent) < 2000 * (1 << 16) / 4 and MAX_REPLY == 1_048_576


def test_a_slow_server_is_left_in_time():
    over = threading.Event()
    with server(lambda handler: over.wait(PATIENCE_S)) as (url, _):
        refused(lambda: ChatCompletions(url, "m", 0.2).rewrite("x", IMAGE), "did not answer within 0.2 s")
        over.set()


def test_a_server_that_trickles_is_left_in_time_and_cannot_pile_up_requests():
    over = threading.Event()

    def trickle(handler):
        handler.send_response(200)
        handler.end_headers()
        while not over.wait(0.05):
            handler.wfile.write(b" ")
            handler.wfile.flush()

    with server(trickle) as (url, _):
        rewriter = ChatCompletions(url, "m", 0.3)
        for _ in range(MAX_WAITING):
            refused(lambda: rewriter.present("x", IMAGE), "did not answer within 0.3 s")
        refused(lambda: rewriter.present("x", IMAGE), f"{MAX_WAITING} requests wait")
        over.set()
        threads = [t for t in threading.enumerate() if t.name == "vision_banana_reasoning"]
        for thread in threads:
            thread.join(PATIENCE_S)
        with pytest.raises(InputError, match="not that of an OpenAI"):  # there is room again
            rewriter.present("x", IMAGE)


def test_nobody_is_there():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        refused(
            lambda: ChatCompletions(url, "m").rewrite("x", IMAGE), "cannot be reached .*refused.*start it"
        )
    refused(
        lambda: ChatCompletions("https://nowhere.invalid/v1", "m", 5.0).rewrite("x", IMAGE),
        "cannot be reached|did not answer",
    )


def test_a_server_that_hangs_up_or_speaks_something_else():
    def hang_up(handler):
        handler.connection.shutdown(socket.SHUT_RDWR)

    with server(hang_up) as (url, _), pytest.raises(InputError, match="breaks off or speaks no HTTP"):
        ChatCompletions(url, "m").rewrite("x", IMAGE)
    wrong = pytest.raises(InputError, match="breaks off or speaks no HTTP")
    with server(lambda handler: handler.wfile.write(b"SSH-2.0-banner\r\n")) as (url, _), wrong as caught:
        ChatCompletions(url, "m").rewrite("x", IMAGE)
    assert "banner" not in str(caught.value)


def test_a_proxy_of_the_environment_does_not_see_what_stays_on_this_machine(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    with server(replying(chat({"present": True}))) as (url, _):
        assert ChatCompletions(url, "m").present("x", IMAGE) is True


@pytest.mark.parametrize(
    "url, complaint",
    [
        ("http://192.168.1.5:8080/v1", "everybody on the way"),
        ("http://localhost.example.org/v1", "everybody on the way"),
        ("ftp://localhost/v1", "no URL"),
        ("file:///etc/passwd", "no URL"),
        ("localhost:8080/v1", "no URL"),
        ("http://localhost:99999/v1", "no URL"),
        ("http://[::1/v1", "no URL"),
        ("https://example.org/v1?key=1", "no URL"),
        ("https://example.org/v1\nHost: x", "no URL"),
        (f"https://user:{SECRET}@example.org/v1", "must not hold a name or password"),
    ],
)
def test_urls_that_are_refused(url, complaint):
    with pytest.raises(InputError, match=complaint) as caught:
        open_rewriter(url, "m", 1.0)
    assert SECRET not in str(caught.value)


def test_urls_that_are_taken():
    for url in (
        "https://example.org/v1",
        "http://localhost:8080/v1/",
        "http://[::1]:1234/v1",
        "http://127.0.0.5/v1",
    ):
        open_rewriter(url, "m", 1.0)
    open_rewriter("http://192.168.1.5:8080/v1", "m", 1.0, allow_http=True)


def test_other_settings_that_are_refused():
    with pytest.raises(InputError, match="no name"):
        open_rewriter("https://example.org/v1", " ", 1.0)
    for timeout in (0.0, -1.0, 1e9, float("nan")):
        with pytest.raises(InputError, match="timeout"):
            open_rewriter("https://example.org/v1", "m", timeout)
    with pytest.raises(InputError, match="must be"):
        ChatCompletions("http://localhost:1/v1", "m").rewrite("x", IMAGE[..., 0])
    assert os.environ.get(KEY_VARIABLE) is None
