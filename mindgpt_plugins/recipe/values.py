"""What no value of a recipe may be, wherever it stands: in our own keys, in options, or passed through to a host."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from mindgpt_plugins.core.names import shorten_text

_BITS = 64


def find_value_problems(data: Any, place: str = "") -> Iterator[str]:
    """One line per value that nothing can be done with: not finite, over 64 bits, NUL, not writable as UTF-8."""
    if isinstance(data, dict):
        for key, value in data.items():
            below = f"{place}.{key}".lstrip(".")
            yield from _judge(key, f"{shorten_text(below)!r} as a key")
            yield from find_value_problems(value, below)
    elif isinstance(data, (list, tuple)):
        for number, value in enumerate(data):
            yield from find_value_problems(value, f"{place}.{number}")
    else:
        yield from _judge(data, shorten_text(place))


def _judge(value: Any, place: str) -> Iterator[str]:
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{place}: must be a finite number, got {value}"
    if isinstance(value, int) and value.bit_length() >= _BITS:
        yield f"{place}: a whole number has {_BITS} bits at most, got one of {value.bit_length()}"
    if isinstance(value, str):
        if "\0" in value:
            yield f"{place}: contains a NUL character, which no file name, variable or command can hold"
        try:
            value.encode()
        except UnicodeEncodeError as error:
            yield f"{place}: contains {value[error.start]!r}, which cannot be written as UTF-8"
