"""The proxy between harness and server: nothing is asked twice, pictures are blanked, faults are kept."""

from __future__ import annotations

import base64
import io
import json
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from stub_server import StubServer

from mindgpt_plugins.generation.chat_requests import BadRequest, blank_request_pictures, decode_picture_url
from mindgpt_plugins.stages.benchmark import proxy as module
from mindgpt_plugins.stages.benchmark.proxy import BLANK, SEEN, Proxy, ReplyStore


def body(text: str, size: tuple[int, int] | None = None, **more: Any) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": text}]
    if size:
        out = io.BytesIO()
        Image.effect_noise(size, 60).save(out, "PNG")
        url = "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()
        content.insert(0, {"type": "image_url", "image_url": {"url": url}})
    return {"model": "m", "temperature": 0, "messages": [{"role": "user", "content": content}], **more}


def post(url: str, data: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(f"{url}/chat/completions", json.dumps(data).encode())
    with urllib.request.urlopen(request, timeout=20) as response:
        return dict(json.loads(response.read()))


def test_a_picture_becomes_grey_and_keeps_its_size() -> None:
    asked = body("how many?", (37, 21))
    changed = blank_request_pictures(asked)
    grey = Image.open(io.BytesIO(decode_picture_url(changed["messages"][0]["content"][0]["image_url"]["url"])))
    assert grey.size == (37, 21) and grey.getcolors() == [(37 * 21, (127, 127, 127))]
    assert changed["messages"][0]["content"][1] == asked["messages"][0]["content"][1]
    assert blank_request_pictures(body("no picture")) == body("no picture")


@pytest.mark.parametrize("url", ["https://example.org/x.png", "data:image/png;base64,!!", "data:image/png;base64,AAAA"])
def test_a_picture_that_cannot_be_blanked_is_refused(url: str) -> None:
    asked = body("x", (4, 4))
    asked["messages"][0]["content"][0]["image_url"]["url"] = url
    with pytest.raises(BadRequest, match="picture"):
        blank_request_pictures(asked)


def test_answered_requests_are_not_asked_again_even_after_a_torn_write(tmp_path: Path) -> None:
    store = tmp_path / "replies.jsonl"
    with StubServer() as server:
        for round_ in range(2):
            served: list[int] = []
            with Proxy(ReplyStore(store), served=served.append) as proxy:
                proxy.provide(server.url)
                first = post(proxy.url(SEEN), body("what?"))
                assert post(proxy.url(SEEN), body("what?")) == first
                assert proxy.asked == (1 if round_ == 0 else 0) and served == [1, 2]
            with store.open("a") as out:
                out.write('{"key": "torn", "resp')
        assert len(server.bodies) == 1


def test_equal_requests_in_flight_are_asked_once(tmp_path: Path) -> None:
    with (
        StubServer(pause=0.2) as server,
        Proxy(ReplyStore(tmp_path / "r.jsonl")) as proxy,
        ThreadPoolExecutor(4) as pool,
    ):
        proxy.provide(server.url)
        replies = list(pool.map(lambda _: post(proxy.url(SEEN), body("what?"))["id"], range(4)))
    assert len(server.bodies) == 1 and len({*replies}) == 1


def test_the_blank_pass_asks_with_grey_pictures_and_the_other_one_does_not(tmp_path: Path) -> None:
    asked = body("what?", (8, 8))
    with StubServer() as server, Proxy(ReplyStore(tmp_path / "r.jsonl")) as proxy:
        proxy.provide(server.url)
        post(proxy.url(SEEN), asked)
        post(proxy.url(BLANK), asked)
        assert server.bodies == [asked, blank_request_pictures(asked)]


def test_samples_of_one_question_are_different_replies(tmp_path: Path) -> None:
    asked = body("what?", temperature=1.0)
    with StubServer() as server:
        for _ in range(2):  # a restart finds the first, the second, … sample of the question again
            with Proxy(ReplyStore(tmp_path / "r.jsonl")) as proxy:
                proxy.provide(server.url)
                replies = [post(proxy.url(SEEN), asked)["id"] for _ in range(3)]
                assert len({*replies}) == 3
        assert len(server.bodies) == 3


def test_no_server_is_needed_until_something_has_to_be_asked(tmp_path: Path) -> None:
    with StubServer() as server, Proxy(ReplyStore(tmp_path / "r.jsonl")) as proxy:
        waiting = threading.Thread(target=post, args=(proxy.url(SEEN), body("what?")), daemon=True)
        assert not proxy.waiting.is_set()
        waiting.start()
        assert proxy.waiting.wait(5) and proxy.asked == 0
        proxy.provide(server.url)
        waiting.join(5)
        assert not waiting.is_alive()


def test_a_server_that_is_gone_is_a_fault_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRIES", (0.01,))
    with StubServer() as server:
        url = server.url
    with Proxy(ReplyStore(tmp_path / "r.jsonl")) as proxy:
        proxy.provide(url)
        with pytest.raises(urllib.error.HTTPError, match="503"):
            post(proxy.url(SEEN), body("what?"))
        assert proxy.fault and url in proxy.fault and "does not answer any more" in proxy.fault


def test_a_refused_request_is_a_fault_with_the_servers_words(tmp_path: Path) -> None:
    with (
        StubServer(refuse="maximum context length is 128 tokens") as server,
        Proxy(ReplyStore(tmp_path / "r")) as proxy,
    ):
        proxy.provide(server.url)
        with pytest.raises(urllib.error.HTTPError, match="503"):
            post(proxy.url(SEEN), body("what?"))
        assert proxy.fault and "status 400" in proxy.fault and "maximum context length" in proxy.fault
        assert len(proxy.replies) == 0


def test_a_server_that_repeats_its_key_brings_it_into_no_file(tmp_path: Path) -> None:
    key = "sk-very-secret-0123456789"
    headers = {"Authorization": f"Bearer {key}"}
    store = tmp_path / "r.jsonl"
    with (
        StubServer(lambda body: f"your key is {key}") as server,
        Proxy(ReplyStore(store), headers=headers) as proxy,
    ):
        proxy.provide(server.url)
        reply = post(proxy.url(SEEN), body("what?"))
    assert reply["choices"][0]["message"]["content"] == "your key is ***"
    with StubServer(refuse=f"I do not know {key}") as server, Proxy(ReplyStore(store), headers=headers) as proxy:
        proxy.provide(server.url)
        with pytest.raises(urllib.error.HTTPError, match="503"):
            post(proxy.url(SEEN), body("and this?"))
        assert proxy.fault and "I do not know ***" in proxy.fault and key not in proxy.fault
    assert key not in store.read_text()
