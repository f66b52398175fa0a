"""A stub model server: speaks the OpenAI protocol, knows nothing, costs nothing, fails on request.

For tests, benchmarks and dry runs of a recipe before paying for a real endpoint. It answers ``/v1/chat/completions``
(following the request's JSON schema, or a scripted reply), ``/v1/embeddings`` and ``/v1/models``, after a set latency
and with a seeded mix of faults. In a test::

    with StubServer(latency=0.05, faults={"500": 0.1}, reply=lambda body: '{"answer": "4"}') as server:
        endpoint = EndpointSettings(base_url=server.url, model="stub")

From the command line, beside a recipe whose endpoint is ``http://127.0.0.1:8100/v1``::

    python -m mindgpt_data.testing.stub --port 8100 --latency 0.5 --faults 500=0.1,cut=0.05
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from mindgpt_data.testing.replies import Reply, find_prompt, follow_schema, make_completion, make_embeddings

FAULTS = ("429", "retry_after", "500", "hang", "cut", "invalid_json", "wrong_schema")
"""429 without and with Retry-After; 500; no answer ever; connection cut inside the body; text that is no JSON; JSON
that does not follow the schema."""
REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}


class StubServer:
    """A server on 127.0.0.1 in its own thread; a context manager.

    Attributes:
        url: ``http://127.0.0.1:<port>/v1``.
        answered: prompt → good answers sent to the last byte.
        requests: chat completions received, faults included.
        peak: most requests under way at once.
        busy: seconds that finished requests were under way, summed; over wall time, it is the mean concurrency used.
        bodies: the last 1,000 request bodies, when ``keep``.
    """

    def __init__(
        self,
        *,
        latency: float | Callable[[], float] = 0.0,
        faults: Mapping[str, float] | None = None,
        seed: int = 0,
        reply: Reply = follow_schema,
        count_by: Callable[[dict[str, Any]], str] = find_prompt,
        retry_after: str = "1",
        capacity: int | None = None,
        refuse: tuple[int, str] | None = None,
        refuse_when: Callable[[dict[str, Any]], str | None] | None = None,
        prompt_logprobs: list[dict[str, Any] | None] | None = None,
        api_key: str | None = None,
        keep: bool = False,
        port: int = 0,
    ) -> None:
        """Prepare; entering the context starts it.

        Args:
            latency: seconds before an answer, or a function that draws them.
            faults: kind in :data:`FAULTS` → share of requests. Which attempt at which prompt fails depends on ``seed``
                alone, not on the order in which requests arrive.
            seed: of the faults.
            reply: request body → answer text, or a dict laid over the choice (``message``, ``logprobs``…).
            count_by: request body → what :attr:`answered` counts by.
            retry_after: value of that header: seconds, or an HTTP date.
            capacity: answer 429 at once to requests beyond so many under way.
            refuse: answer everything with this status and message.
            refuse_when: request body → the message of a 400, or None to answer.
            prompt_logprobs: sent with every answer, as vLLM does for scored requests.
            api_key: answer 401 to other keys, with the key that came in the message (servers do that).
            keep: remember request bodies.
            port: 0 takes a free one.
        """
        unknown = set(faults or ()) - set(FAULTS)
        if unknown:
            raise ValueError(f"no such fault: {', '.join(sorted(unknown))}; there are {', '.join(FAULTS)}")
        self.latency = latency if callable(latency) else lambda: latency
        self.faults, self.seed, self.reply, self.count_by = dict(faults or {}), seed, reply, count_by
        self.retry_after, self.refuse, self.refuse_when = retry_after, refuse, refuse_when
        self.capacity = capacity
        self.prompt_logprobs, self.api_key, self.keep, self.port = prompt_logprobs, api_key, keep, port
        self.answered: Counter[str] = Counter()
        self.attempts: Counter[str] = Counter()
        self.sent_faults: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self.requests = self.in_flight = self.peak = 0
        self.busy = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()

    @property
    def url(self) -> str:
        """Base URL with ``/v1``."""
        return f"http://127.0.0.1:{self.port}/v1"

    def stats(self) -> dict[str, Any]:
        """What happened so far; also at ``GET /stats``."""
        return {
            "requests": self.requests,
            "peak": self.peak,
            "busy": self.busy,
            "in_flight": self.in_flight,
            "faults": dict(self.sent_faults),
            "answered": dict(self.answered),
        }

    def fault(self, key: str) -> str | None:
        """The fault of the next attempt at ``key``, if any."""
        attempt, self.attempts[key] = self.attempts[key], self.attempts[key] + 1
        if not self.faults:
            return None
        digest = hashlib.blake2b(f"{self.seed}/{attempt}/{key}".encode(), digest_size=8).digest()
        draw = int.from_bytes(digest, "big") / 2**64
        for kind, share in self.faults.items():
            if draw < share:
                self.sent_faults[kind] += 1
                return kind
            draw -= share
        return None

    def serve(self) -> None:
        """Serve in this thread until :meth:`stop`."""
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        server = await self._loop.create_server(lambda: _Connection(self), "127.0.0.1", self.port, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopped.wait()
        server.close()

    def stop(self) -> None:
        """Stop serving; open connections are dropped."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopped.set)

    def __enter__(self) -> StubServer:
        self._thread = threading.Thread(target=self.serve, name="stub-server", daemon=True)
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError(f"the stub server did not start on port {self.port}")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
        self._thread.join(10)


class _Connection(asyncio.Protocol):
    """One keep-alive HTTP/1.1 connection, one request at a time."""

    def __init__(self, server: StubServer) -> None:
        self.server, self.buffer = server, b""
        self.transport: Any = None
        self.timer: asyncio.TimerHandle | None = None
        self.began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if self.timer is not None:  # the client gave up waiting
            self.timer.cancel()
            self.timer = None
            self.server.in_flight -= 1

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        lines = self.buffer[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        length = int(headers.get("content-length", 0))
        if len(self.buffer) < end + 4 + length:
            return
        body, self.buffer = self.buffer[end + 4 : end + 4 + length], self.buffer[end + 4 + length :]
        self._handle(lines[0].split(" ")[1], headers, body)

    def _handle(self, path: str, headers: dict[str, str], raw: bytes) -> None:
        server = self.server
        if path == "/stats":
            self._send(200, server.stats())
        elif server.api_key is not None and headers.get("authorization") != f"Bearer {server.api_key}":
            self._refuse(401, f"Incorrect API key provided: {headers.get('authorization')}")
        elif path.endswith("/models"):
            self._send(200, {"object": "list", "data": [{"id": "stub", "object": "model"}]})
        elif path.endswith("/embeddings"):
            self._send(200, make_embeddings(json.loads(raw)))
        elif not path.endswith("/chat/completions"):
            self._refuse(404, f"no such path: {path}")
        else:
            self._chat(json.loads(raw))

    def _chat(self, body: dict[str, Any]) -> None:
        server = self.server
        server.requests += 1
        if server.capacity is not None and server.in_flight >= server.capacity:
            self._refuse(429, "too many requests at once")
            return
        server.in_flight += 1
        server.peak = max(server.peak, server.in_flight)
        if server.keep:
            server.bodies = [*server.bodies[-999:], body]
        key = server.count_by(body)
        fault = server.fault(key)
        wait = 1e6 if fault == "hang" else server.latency()
        self.began = time.monotonic()
        self.timer = asyncio.get_running_loop().call_later(wait, self._answer, body, key, fault)

    def _answer(self, body: dict[str, Any], key: str, fault: str | None) -> None:
        server = self.server
        self.timer = None
        server.in_flight -= 1
        server.busy += time.monotonic() - self.began
        if server.refuse is not None:
            self._refuse(*server.refuse)
        elif server.refuse_when is not None and (message := server.refuse_when(body)) is not None:
            self._refuse(400, message)
        elif fault in ("429", "retry_after"):
            extra = f"Retry-After: {server.retry_after}\r\n" if fault == "retry_after" else ""
            self._refuse(429, "slow down", extra)
        elif fault == "500":
            self._refuse(500, "injected failure")
        elif fault == "cut":
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\nContent-Type: application/json\r\n\r\n{")
            self.transport.close()
        else:
            broken = {"invalid_json": '{"question": "is this', "wrong_schema": '{"unexpected": []}'}
            content = make_completion(body, broken[fault] if fault else server.reply(body))
            self._send(200, content | {"prompt_logprobs": server.prompt_logprobs})
            server.answered[key] += fault is None

    def _refuse(self, status: int, message: str, extra: str = "") -> None:
        self._send(status, {"error": {"message": message, "type": "stub", "code": status}}, extra)

    def _send(self, status: int, content: dict[str, Any], extra: str = "") -> None:
        out = json.dumps(content).encode()
        head = f"HTTP/1.1 {status} {REASONS.get(status, 'Error')}\r\nContent-Type: application/json\r\n{extra}"
        self.transport.write(f"{head}Content-Length: {len(out)}\r\n\r\n".encode() + out)


def main(arguments: list[str] | None = None) -> None:
    """Run the stub as a process; prints its URL as the first line."""
    import argparse
    from importlib import import_module

    parser = argparse.ArgumentParser(prog="python -m mindgpt_data.testing.stub", description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, default=8100, help="0 takes a free one")
    parser.add_argument("--latency", type=float, default=0.1, help="seconds per answer")
    parser.add_argument("--faults", default="", help=f"e.g. 500=0.1,cut=0.05; kinds: {', '.join(FAULTS)}")
    parser.add_argument("--seed", type=int, default=0, help="of the faults")
    parser.add_argument("--reply", help="module:function that takes the request body and returns the answer text")
    given = parser.parse_args(arguments)
    reply: Reply = follow_schema
    if given.reply:
        module, _, name = given.reply.partition(":")
        reply = getattr(import_module(module), name)
    faults = {
        kind: float(share) for kind, _, share in (part.partition("=") for part in given.faults.split(",") if part)
    }
    server = StubServer(port=given.port, latency=given.latency, faults=faults, seed=given.seed, reply=reply)
    threading.Thread(target=lambda: (server._ready.wait(), print(server.url, flush=True)), daemon=True).start()
    server.serve()


if __name__ == "__main__":
    main()
