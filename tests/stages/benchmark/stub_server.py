"""An OpenAI-compatible server of fixed replies, which remembers what it was asked."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


def last_text(body: dict[str, Any]) -> str:
    """All text of a request."""
    return "\n".join(part["text"] for m in body["messages"] for part in m["content"] if part["type"] == "text")


class StubServer:
    """Answers with ``reply(body)``, after ``pause`` seconds; with ``refuse``, with status 400 and that message."""

    def __init__(
        self,
        reply: Callable[[dict[str, Any]], str] = lambda body: "answer",
        *,
        pause: float = 0.0,
        refuse: str = "",
        port: int = 0,
    ):
        self._bodies: list[dict[str, Any]] = []
        self._answering, self._changed = 0, threading.Condition()
        stub, numbers = self, itertools.count()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._send(200, {"data": [{"id": "stub"}]})

            def do_POST(self) -> None:
                with stub._counted():
                    self._reply()

            def _reply(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                time.sleep(pause)
                if refuse:
                    self._send(400, {"error": {"message": refuse}})
                    return
                choice = {
                    "index": 0,
                    "message": {"role": "assistant", "content": reply(body)},
                    "finish_reason": "stop",
                }
                usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
                head = {"object": "chat.completion", "created": 0, "model": "stub", "usage": usage}
                self._send(200, {"id": f"n{next(numbers)}", **head, "choices": [choice]})
                stub._bodies.append(body)

            def _send(self, status: int, data: dict[str, Any]) -> None:
                content = json.dumps(data).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """Requests whose reply was sent completely: a client may have its reply before the server has noted that."""
        with self._changed:
            self._changed.wait_for(lambda: not self._answering, timeout=5)
        return self._bodies

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._changed:
            self._answering += 1
        try:
            yield
        finally:
            with self._changed:
                self._answering -= 1
                self._changed.notify_all()

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
