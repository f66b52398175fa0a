"""A request about one record: its pictures in order, once, and one text."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from mindgpt_data.schema.record import ImageRecord
from mindgpt_plugins.core.files import dump_json_line


def build_messages(record: ImageRecord, system: str, prompt: str, max_pixels: int) -> list[dict[str, Any]]:
    """Chat messages with every picture of the record inline, at most ``max_pixels`` each.

    Raises:
        ImageError: a picture cannot be opened.
    """
    from mindgpt_data.client.images import make_data_url

    pictures = [
        {"type": "image_url", "image_url": {"url": make_data_url(Path(path), max_pixels)}} for path in record.paths
    ]
    return [
        {"role": "system", "content": system},
        {"role": "user", "content": [*pictures, {"type": "text", "text": prompt}]},
    ]


def fingerprint_request(record: ImageRecord, *parts: Any) -> str:
    """Hash of the pictures and everything else that decides a request."""
    others = [Path(path).name for path in record.paths[1:]]
    return hashlib.sha256(dump_json_line([record.content, others, *parts]).encode()).hexdigest()[:24]


def make_closed_schema(**properties: dict[str, Any]) -> dict[str, Any]:
    """JSON schema of an object with exactly these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
