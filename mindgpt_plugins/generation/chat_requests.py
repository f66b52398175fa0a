"""What our proxy does with a chat request: blank its pictures, and name it so that it is never asked twice."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
from functools import lru_cache
from typing import Any

from mindgpt_plugins.generation.hf_engine import BLANK


class BadRequest(ValueError):
    """A request that we cannot treat as asked; the message says which part."""


def digest_request(body: dict[str, Any]) -> str:
    """Hash of everything in a request, pictures included."""
    return hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def is_greedy_request(body: dict[str, Any]) -> bool:
    """Would the same request get the same reply again?"""
    return body.get("temperature") == 0


def blank_request_pictures(body: dict[str, Any]) -> dict[str, Any]:
    """The request with every picture replaced by a uniform grey one of the same size.

    Raises:
        BadRequest: a picture is no ``data:`` URL or cannot be read.
    """
    return {**body, "messages": [_message(message) for message in body["messages"]]}


def decode_picture_url(url: str) -> bytes:
    """Content of a ``data:…;base64,…`` URL.

    Raises:
        BadRequest: it is another kind of URL.
    """
    head, _, data = url.partition(",")
    if not head.startswith("data:") or not head.endswith(";base64"):
        raise BadRequest(f"a picture is given as {url[:60]!r}; only base64 data URLs are understood")
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise BadRequest(f"a picture is not valid base64: {error}") from error


def _message(message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    if not isinstance(content, list):
        return message
    return {**message, "content": [_part(part) for part in content]}


def _part(part: dict[str, Any]) -> dict[str, Any]:
    if part.get("type") != "image_url":
        return part
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(decode_picture_url(part["image_url"]["url"]))) as image:
            size = image.size
    except (UnidentifiedImageError, OSError) as error:
        raise BadRequest(f"a picture cannot be read: {error}") from error
    return {**part, "image_url": {**part["image_url"], "url": _grey(size)}}


@lru_cache(maxsize=256)
def _grey(size: tuple[int, int]) -> str:
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", size, BLANK).save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()
