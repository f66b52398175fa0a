"""Secrets planted into an environment, and the search for them in every byte that was written."""

from __future__ import annotations

import base64
import gzip
import hashlib
import zlib
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

NAMES = (
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "WANDB_API_KEY",
    "OPENAI_API_KEY",
    "MODELSCOPE_API_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "JUDGE_PASSWORD",
    "PLAIN_SETTING",
)
PLANTED = {name: f"planted-{hashlib.sha256(name.encode()).hexdigest()[:24]}" for name in NAMES}
"""Variable → value."""


def list_leaks(*roots: Path) -> list[str]:
    """``VARIABLE: file`` for every file that holds a value: as it is, packed, in base64, in a URL, or its digest."""
    forms = {form: name for name, value in PLANTED.items() for form in _forms(value.encode()) if len(form) > 8}
    found = []
    for path in (path for root in roots for path in sorted(root.rglob("*"))):
        for view in _views(path.read_bytes()) if path.is_file() and not path.is_symlink() else ():
            found += [f"{name}: {path}" for form, name in forms.items() if form in view]
    return sorted({*found})


def _forms(value: bytes) -> Iterable[bytes]:
    yield value
    yield quote(value.decode()).encode()
    yield value.hex().encode()
    yield hashlib.sha256(value).hexdigest().encode()  # of a short secret, a digest is as good as the value
    for before in (b"", b"x", b"xx"):  # base64 has three phases
        yield base64.b64encode(before + value)[4 if before else 0 : -4]


def _views(content: bytes) -> Iterable[bytes]:
    yield content
    if content[:2] == b"\x1f\x8b":
        yield gzip.decompress(content)
    for packed in content.split(b">"):  # chunks of rollouts.html
        part = packed.partition(b"<")[0]
        if part[:4] == b"H4sI":
            yield zlib.decompress(base64.b64decode(part), 31)
