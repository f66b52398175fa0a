"""Our Hugging Face engine behind the OpenAI API: order of text and pictures, batches, faults."""

from __future__ import annotations

import base64
import io
import json
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mindgpt_plugins.generation.hf_engine import Engine, Prompt, Reply
from mindgpt_plugins.generation.hf_server import Batches, ChatEngine, EngineRequest, _handler, parse_chat_request


def request(text: str, picture: bytes, *, first: str = "image_url") -> dict[str, Any]:
    url = "data:image/png;base64," + base64.b64encode(picture).decode()
    parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": text}]
    parts = parts if first == "image_url" else parts[::-1]
    return {"model": "tiny", "temperature": 0.0, "max_tokens": 6, "messages": [{"role": "user", "content": parts}]}


def png(path: Path, colour: str) -> Path:
    Image.new("RGB", (64, 32), colour).save(path)
    return path


def test_text_and_pictures_keep_their_order() -> None:
    out = io.BytesIO()
    Image.new("RGB", (4, 4)).save(out, "PNG")
    chat = parse_chat_request(request("what?", out.getvalue(), first="text"))
    assert chat.messages == [{"role": "user", "content": [{"type": "text", "text": "what?"}, {"type": "image"}]}]
    assert [picture.size for picture in chat.pictures] == [(4, 4)]


def test_requests_in_flight_share_batches_of_one_kind() -> None:
    sizes: list[tuple[int, float, int]] = []

    class Counting:
        max_new_tokens = 0

        def generate(self, prompts: Any, n: int = 0, temperature: float = 0.0) -> list[list[Reply]]:
            sizes.append((len(prompts), temperature, self.max_new_tokens))
            return [[Reply(p.key, 1, True)] for p in prompts]

    batches = Batches(Counting(), size=8)
    jobs = [
        EngineRequest(parse_chat_request({"messages": [{"role": "user", "content": str(i)}]}), float(i % 2), 5 + i % 2)
        for i in range(8)
    ]
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(batches.answer, jobs))
    assert [reply.text for reply in replies] == [job.chat.key for job in jobs]
    assert sum(size for size, *_ in sizes) == 8 and {(t, m) for _, t, m in sizes} == {(0.0, 5), (1.0, 6)}


def test_the_same_greedy_replies_as_the_engine_and_faults_reach_the_client(tiny_model: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"max_new_tokens": 6, "min_pixels": 32 * 32, "max_pixels": 64 * 64, "device": "cpu"}
    pictures = [png(tmp_path / f"{colour}.png", colour) for colour in ("red", "green", "blue")]
    questions = ["what colour is it?", "what?", "it"]
    prompts = [Prompt(str(i), q, (p,)) for i, (q, p) in enumerate(zip(questions, pictures, strict=True))]
    expected = [reply for (reply,) in Engine(str(tiny_model), **settings).generate(prompts)]
    engine = ChatEngine(str(tiny_model), **settings)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(Batches(engine, 4), "tiny", 6))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/v1"

    def ask(body: dict[str, Any]) -> dict[str, Any]:
        with urllib.request.urlopen(f"{url}/chat/completions", json.dumps(body).encode(), timeout=60) as response:
            return dict(json.loads(response.read()))

    with ThreadPoolExecutor(3) as pool:
        bodies = [request(q, p.read_bytes()) for q, p in zip(questions, pictures, strict=True)]
        found = list(pool.map(ask, bodies))
    assert [f["choices"][0]["message"]["content"] for f in found] == [reply.text for reply in expected]
    assert [f["usage"]["completion_tokens"] for f in found] == [reply.tokens for reply in expected]
    with urllib.request.urlopen(f"{url}/models", timeout=5) as response:
        assert json.loads(response.read())["data"] == [{"id": "tiny"}]
    with pytest.raises(urllib.error.HTTPError, match="400"):
        ask(
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x/y.png"}}]}]}
        )
    server.shutdown()
