"""``metrics.jsonl``: one JSON object per line with ``step``, ``total`` and numbers; progress bar and report read it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read(path: Path) -> list[dict[str, Any]]:
    """All complete lines. A last line that a kill cut short is left out."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line) for line in lines if line]


class Tail:
    """Follows a file that another process appends to (and may shorten when it resumes)."""

    def __init__(self, path: Path):
        self.path = path
        self._offset = 0
        self.last: dict[str, Any] = {}

    def update(self) -> dict[str, Any]:
        """Return the newest complete line, or the last one seen."""
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            return self.last
        if size < self._offset:
            self._offset = 0
        if size > self._offset:
            with open(self.path, "rb") as file:
                file.seek(self._offset)
                data = file.read()
            complete = data.rfind(b"\n") + 1
            self._offset += complete
            lines = [line for line in data[:complete].split(b"\n") if line.strip()]
            if lines:
                self.last = json.loads(lines[-1])
        return self.last
