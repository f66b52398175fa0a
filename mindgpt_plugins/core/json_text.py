"""Parses JSON that somebody else wrote: nesting has a limit, and whatever cannot be parsed is a ValueError."""

from __future__ import annotations

import json
from typing import Any

from mindgpt_plugins.core.errors import InputError

DEEPEST_JSON = 100
"""Lists and objects inside each other: a row of any format has fewer than ten, and code that walks what was read would
meet Python's recursion limit some hundred levels further."""


def parse_json_text(text: str | bytes, **options: Any) -> Any:
    """A JSON value.

    Args:
        text: the JSON; bytes are UTF-8.
        options: of :func:`json.loads`.

    Raises:
        InputError: nested more than :data:`DEEPEST_JSON` deep.
        ValueError: no JSON, no UTF-8, or a whole number of more digits than Python reads.
    """
    try:
        value = json.loads(text, **options)
    except RecursionError:
        raise InputError(f"more than {DEEPEST_JSON} lists and objects inside each other") from None
    brackets = text.count("[") + text.count("{") if isinstance(text, str) else text.count(b"[") + text.count(b"{")
    if brackets > DEEPEST_JSON:
        check_json_depth(value)
    return value


def check_json_depth(value: Any) -> None:
    """Refuse a parsed value that is nested too deep.

    Raises:
        InputError: see :data:`DEEPEST_JSON`.
    """
    level = [value]
    for _ in range(DEEPEST_JSON):
        level = [inner for one in level for inner in _list_inner(one)]
        if not level:
            return
    raise InputError(f"more than {DEEPEST_JSON} lists and objects inside each other")


def _list_inner(value: Any) -> list[Any]:
    """Lists and objects right inside a value."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [one for one in inner if isinstance(one, (dict, list))]
