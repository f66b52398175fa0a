"""``python -m mindgpt_plugins.generation.hf_server SETTINGS.json``: our Hugging Face engine behind a small OpenAI API.

So that the same harness drives a model where there is no vLLM. Loopback only; chat completions without streaming.
Requests that wait at the same time are answered as one batch.
"""

from __future__ import annotations

import io
import queue
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.schema import read_model
from mindgpt_plugins.generation.chat_requests import decode_picture_url, digest_request
from mindgpt_plugins.generation.config import EngineServerSettings
from mindgpt_plugins.generation.hf_engine import Engine, EngineError, Prompt, Reply
from mindgpt_plugins.generation.json_http import JsonHandler

GATHER = 0.02
"""Seconds to wait for a batch to fill."""


@dataclass(frozen=True)
class Chat(Prompt):
    """A prompt that is a whole conversation: text and pictures in the order of the request."""

    messages: Sequence[dict[str, Any]] = ()
    pictures: Sequence[Any] = ()
    """PIL images, as the messages name them."""


class ChatEngine(Engine):
    """The engine, for conversations instead of rows."""

    def _count_pictures(self, prompt: Prompt) -> int:
        return len(prompt.pictures) if isinstance(prompt, Chat) else super()._count_pictures(prompt)

    def _lay_out(self, prompt: Prompt) -> tuple[str, list[Any]]:
        if not isinstance(prompt, Chat):
            return super()._lay_out(prompt)
        return self.family.render_chat(prompt.messages), list(prompt.pictures)


@dataclass
class EngineRequest:
    """One request on its way through the engine."""

    chat: Chat
    temperature: float
    max_tokens: int
    done: threading.Event = field(default_factory=threading.Event)
    reply: Reply | None = None
    error: Exception | None = None

    @property
    def group(self) -> tuple[float, int]:
        """Jobs of the same group may share a batch."""
        return self.temperature, self.max_tokens


class Batches:
    """Answers queued jobs on one thread, up to ``size`` at once."""

    def __init__(self, engine: Any, size: int):
        self.engine, self.size = engine, size
        self.jobs: queue.Queue[EngineRequest] = queue.Queue()
        threading.Thread(target=self._work, daemon=True).start()

    def answer(self, job: EngineRequest) -> Reply:
        """Wait for a job's reply.

        Raises:
            Exception: whatever the engine raised.
        """
        self.jobs.put(job)
        job.done.wait()
        if job.reply is None:
            raise job.error or EngineError("no reply")
        return job.reply

    def _work(self) -> None:
        while True:
            batch = [self.jobs.get()]
            try:
                while len(batch) < self.size:
                    batch.append(self.jobs.get(timeout=GATHER))
            except queue.Empty:
                pass
            for group in dict.fromkeys(job.group for job in batch):
                self._generate([job for job in batch if job.group == group])

    def _generate(self, jobs: list[EngineRequest]) -> None:
        temperature, self.engine.max_new_tokens = jobs[0].group
        try:
            sampled = {"n": 1, "temperature": temperature} if temperature > 0 else {}
            replies = self.engine.generate([job.chat for job in jobs], **sampled)
            for job, (reply,) in zip(jobs, replies, strict=True):
                job.reply = reply
        except Exception as error:  # noqa: BLE001 - told to the client, which decides
            for job in jobs:
                job.error = error
        for job in jobs:
            job.done.set()


def parse_chat_request(body: dict[str, Any]) -> Chat:
    """A chat completion request as a prompt.

    Raises:
        BadRequest: a picture that is no ``data:`` URL.
    """
    from PIL import Image

    messages: list[dict[str, Any]] = []
    pictures: list[Any] = []
    for message in body["messages"]:
        content, parts = message["content"], []
        given: list[dict[str, Any]] = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for part in given:
            if part["type"] == "image_url":
                pictures.append(Image.open(io.BytesIO(decode_picture_url(part["image_url"]["url"]))))
                pictures[-1].load()  # a broken one is then told to its own client, not to all of the batch
                parts.append({"type": "image"})
            else:
                parts.append({"type": "text", "text": part["text"]})
        messages.append({"role": message["role"], "content": parts})
    return Chat(digest_request(body), "", messages=messages, pictures=pictures)


def serve_hf_engine(settings: EngineServerSettings) -> None:
    """Load the model, then answer until killed."""
    engine = ChatEngine(
        settings.model,
        max_new_tokens=settings.max_new_tokens,
        min_pixels=settings.min_pixels,
        max_pixels=settings.max_pixels,
        thinking=settings.thinking,
        seed=settings.seed,
        device=settings.device,
    )
    batches = Batches(engine, settings.batch_size)
    handler = _handler(batches, settings.model_name, settings.max_new_tokens)
    server = ThreadingHTTPServer(("127.0.0.1", settings.port), handler)
    server.daemon_threads = True
    server.serve_forever()


def _handler(batches: Batches, name: str, most: int) -> type[JsonHandler]:
    class Handler(JsonHandler):
        def do_GET(self) -> None:  # noqa: N802 - the base class's name
            self.send(200, {"data": [{"id": name}]} if self.path == "/v1/models" else {"status": "ok"})

        def do_POST(self) -> None:  # noqa: N802 - the base class's name
            body = self.read()
            try:
                temperature = float(body.get("temperature") or 0)
                wanted = body.get("max_completion_tokens") or body.get("max_tokens") or most
                reply = batches.answer(EngineRequest(parse_chat_request(body), temperature, int(wanted)))
            except Exception as error:  # noqa: BLE001 - the client must know what went wrong
                self.send(400, {"error": {"message": f"{type(error).__name__}: {error}"}})
                return
            choice = {
                "index": 0,
                "message": {"role": "assistant", "content": reply.text},
                "finish_reason": "stop" if reply.finished else "length",
            }
            usage = {"prompt_tokens": 0, "completion_tokens": reply.tokens, "total_tokens": reply.tokens}
            self.send(
                200,
                {
                    "id": "chatcmpl",
                    "object": "chat.completion",
                    "created": 0,
                    "model": name,
                    "choices": [choice],
                    "usage": usage,
                },
            )

    return Handler


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m mindgpt_plugins.generation.hf_server SETTINGS.json")
    serve_hf_engine(read_model(Path(sys.argv[1]), EngineServerSettings))
