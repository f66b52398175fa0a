"""``metrics.jsonl``: one JSON object per line with ``step``, ``total`` and numbers; progress bar and report read it.

Every stage writes it through :func:`append_metrics`, and traces of the same shape (``mixture.jsonl``, a curriculum's
trace: a ``step``, and what else they like) through :func:`append_record`. Two rules hold for all of them:

* A number that is not finite is written as ``null``, since JSON has no NaN, and is never left out: a loss that became
  NaN must be seen. :func:`read_metrics` gives NaN for it, so each value of a line is a number again.
* A kill can cut the last line. Readers leave it out (``torn="drop"``, :func:`mindgpt_plugins.core.files.read_jsonl`);
  a run that goes on cuts it, together with the steps that it will repeat (:func:`truncate_metrics`).
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.files import dump_json_line, load_jsonl, name_in_errors, write_jsonl


def append_metrics(path: Path, step: int, total: int, figures: Mapping[str, Any]) -> None:
    """Add a step's line.

    Args:
        path: the file; its folder is there.
        step: that was finished, from 1.
        total: steps of the whole stage.
        figures: name → value. What is no number (a text, a switch, a list) is left out, as are ``step`` and ``total``:
            hosts' logs hold them all.
    """
    numbers = {
        name: value if isinstance(value, int) else float(value)
        for name, value in figures.items()
        if not isinstance(value, (bool, str)) and hasattr(value, "__float__") and name not in ("step", "total")
    }
    append_record(path, {"step": step, "total": total, **numbers})


def append_record(path: Path, record: Mapping[str, Any]) -> None:
    """Add a line in one write; a number that is not finite becomes ``null``."""
    clean = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record.items()}
    with name_in_errors(path), path.open("a", encoding="utf-8") as file:
        file.write(dump_json_line(clean) + "\n")


def truncate_metrics(path: Path, step: int) -> None:
    """Keep the lines up to ``step``: later ones, and one that a kill cut short, are about to be written again."""
    if path.is_file():
        write_jsonl(path, (record for record in load_jsonl(path, torn="drop") if record["step"] <= step))


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """All lines; none when there is no file. A last line that a kill cut short is left out, ``null`` is NaN.

    Raises:
        FileError: a line that is no JSON object.
    """
    return [_with_nan(record) for record in load_jsonl(path, torn="drop")] if path.is_file() else []


def _with_nan(record: dict[str, Any]) -> dict[str, Any]:
    return {key: math.nan if value is None else value for key, value in record.items()}


class MetricsTail:
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
            with self.path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
            complete = data.rfind(b"\n") + 1
            self._offset += complete
            lines = [line for line in data[:complete].split(b"\n") if line.strip()]
            if lines:
                with contextlib.suppress(ValueError):  # damaged: no reason to end what is only watched here
                    self.last = _with_nan(json.loads(lines[-1]))
        return self.last
