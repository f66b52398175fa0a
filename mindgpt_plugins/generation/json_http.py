"""What the two small servers of this package share: requests and responses that are JSON, and no log of their own."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from typing import Any


class JsonHandler(BaseHTTPRequestHandler):
    """A handler that reads and sends JSON."""

    protocol_version = "HTTP/1.1"

    def read(self) -> dict[str, Any]:
        """The request's body."""
        body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return body

    def send(self, status: int, data: dict[str, Any]) -> None:
        """Send a response."""
        content = json.dumps(data, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the harness logs its own progress."""
