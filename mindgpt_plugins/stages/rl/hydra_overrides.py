"""Nested values as Hydra command-line overrides."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_PLAIN = re.compile(r"[A-Za-z0-9_./@:-]+")
#: Words that Hydra would read as something else than text.
_WORDS = frozenset({"null", "true", "false", "nan", "inf", "none", "yes", "no", "on", "off"})


def flatten_keys(nested: Mapping[str, Any]) -> dict[str, Any]:
    """``{a: {b: 1}}`` → ``{"a.b": 1}``. A ``+`` before any key adds the value instead of replacing one (Hydra)."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping) and value:
            for rest, leaf in flatten_keys(value).items():
                plus = "+" if key.startswith("+") or rest.startswith("+") else ""
                flat[f"{plus}{key.lstrip('+')}.{rest.lstrip('+')}"] = leaf
        else:
            flat[key] = value
    return flat


def render_override(key: str, value: Any) -> str:
    """``key=value`` in Hydra's grammar."""
    return f"{key}={render_value(value)}"


def render_value(value: Any) -> str:
    """A value that Hydra parses back to the same: text is quoted where needed."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(render_value, value)) + "]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{render_value(item)}" for key, item in value.items()) + "}"
    text = str(value)
    number = re.fullmatch(r"[-+]?[\d_.]+(e[-+]?\d+)?", text, re.IGNORECASE)
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS and not number and not text.endswith(":"):
        return text
    # Hydra takes a backslash as it is, except before a quote and at the end.
    return "'" + re.sub(r"(\\*)('|$)", lambda m: 2 * m[1] + ("\\'" if m[2] else ""), text) + "'"
