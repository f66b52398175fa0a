"""Between harness and model server: no request is asked twice, and pictures can be blanked.

The harness talks to ``http://127.0.0.1:<port>/<pass>/v1``. A request whose reply is on disk is answered from there;
any other waits for :meth:`Proxy.provide` to name a server, and goes there. In the pass ``blank`` pictures become grey.
The first thing that goes wrong is kept in :attr:`Proxy.fault`, for the caller to stop the harness with.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mindgpt_plugins.core.files import cut_torn_line, dump_json_line, load_jsonl
from mindgpt_plugins.core.secrets import redact_key
from mindgpt_plugins.generation.chat_requests import (
    BadRequest,
    blank_request_pictures,
    digest_request,
    is_greedy_request,
)
from mindgpt_plugins.generation.json_http import JsonHandler

SEEN, BLANK = "seen", "blank"
RETRIES = (1.0, 2.0, 4.0)
"""Seconds between attempts to reach a server that does not answer."""
_BUSY = (429, 502, 503, 504)
"""Statuses of a server that may answer later."""


class ReplyStore:
    """Every answered request, in an append-only JSONL file: ``{"key", "pass", "response"}``."""

    def __init__(self, path: Path):
        self.path = path
        cut_torn_line(path)
        lines = load_jsonl(path) if path.is_file() else []
        self._found = {line["key"]: line["response"] for line in lines}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._found)

    def get(self, key: str) -> dict[str, Any] | None:
        """The server's response to this request, if it was ever answered."""
        return self._found.get(key)

    def add(self, key: str, name: str, response: dict[str, Any]) -> None:
        """Keep a response."""
        with self._lock:
            with self.path.open("a", encoding="utf-8") as out:
                out.write(dump_json_line({"key": key, "pass": name, "response": response}) + "\n")
            self._found[key] = response


class Proxy:
    """The running proxy; a ``with`` block.

    Args:
        replies: what is answered already.
        headers: added to requests, e.g. an API key.
        timeout: seconds for one reply.
        served: told how many of the harness's requests have a reply, after each.
    """

    def __init__(
        self,
        replies: ReplyStore,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 3600.0,
        served: Callable[[int], None] = lambda count: None,
    ):
        self.replies, self.headers, self.timeout = replies, dict(headers or {}), timeout
        self.fault: str | None = None
        self.asked = 0
        """Requests that went to the server."""
        self._served, self._count = served, 0
        self.waiting = threading.Event()
        """Set by the first request that needs a server."""
        self._url, self._provided = "", threading.Event()
        self._counting = threading.Lock()
        self._repeats: Counter[str] = Counter()
        self._in_flight: dict[str, threading.Lock] = {}
        self._http = _Server(("127.0.0.1", 0), _handler(self))

    def url(self, name: str) -> str:
        """Base URL of a pass, for OpenAI clients."""
        return f"http://127.0.0.1:{self._http.server_port}/{name}/v1"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()

    def provide(self, url: str) -> None:
        """Name the server that answers what is not on disk: its base URL, without ``/v1``."""
        self._url = url
        self._provided.set()

    def complete(self, name: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer one chat completion request of a pass: HTTP status and response."""
        if self.fault:
            return 503, _error(self.fault)
        try:
            if body.get("stream"):
                raise BadRequest("streamed replies are not kept; leave generation_config.stream alone")
            body = blank_request_pictures(body) if name == BLANK else body
            key = self._key(body)
            with self._in_flight.setdefault(key, threading.Lock()):  # the second of two equal requests waits
                found = self.replies.get(key)
                if found is None:
                    found = self._ask(body)
                    self.replies.add(key, name, found)
            with self._counting:
                self._count += 1
                self._served(self._count)
            return 200, found
        except Exception as error:  # noqa: BLE001 - whatever it is, the harness must not score it as a reply
            self.fault = self.fault or str(error)
            return 503, _error(self.fault)

    def _key(self, body: dict[str, Any]) -> str:
        key = digest_request(body)
        if is_greedy_request(body):
            return key
        with self._counting:  # the n-th sample of the same question is another reply
            self._repeats[key] += 1
            return f"{key}#{self._repeats[key]}"

    def _ask(self, body: dict[str, Any]) -> dict[str, Any]:
        self.waiting.set()
        self._provided.wait()
        with self._counting:
            self.asked += 1
        data = json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **self.headers}
        request = urllib.request.Request(f"{self._url}/v1/chat/completions", data, headers)
        for pause in (*RETRIES, None):
            try:
                with urllib.request.urlopen(request, timeout=self.timeout) as response:
                    found: dict[str, Any] = json.loads(self._redact(response.read()))
                    return found
            except urllib.error.HTTPError as error:
                if pause is None or error.code not in _BUSY:
                    said = self._redact(error.read()).decode(errors="replace")[:600]
                    raise BadRequest(f"{self._url} refused a request with status {error.code}: {said}") from error
                time.sleep(pause)
            except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
                if pause is None:
                    raise BadRequest(f"{self._url} does not answer any more ({error})") from error
                time.sleep(pause)
        raise AssertionError("unreachable")

    def _redact(self, content: bytes) -> bytes:
        """What the server sent, without the key that it was sent: replies are kept, and errors go into the log."""
        return redact_key(content, self.headers.get("Authorization"))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a harness that was stopped takes no more replies."""


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "mindgpt", "code": 503}}


def _handler(proxy: Proxy) -> type[JsonHandler]:
    class Handler(JsonHandler):
        def do_POST(self) -> None:  # noqa: N802 - the base class's name
            name, _, rest = self.path.strip("/").partition("/")
            body = self.read()
            if name not in (SEEN, BLANK) or rest != "v1/chat/completions":
                self.send(404, _error(f"unknown path {self.path}"))
                return
            self.send(*proxy.complete(name, body))

    return Handler
