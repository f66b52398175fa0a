"""How long steps say how far they are: one dict per update, shown by whoever listens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Progress = Callable[[dict[str, Any]], None]
"""Called with ``{"stage": verb, "step": done, "total": all, …numbers such as failed, rate, cost, eta}``."""


def ignore_update(update: dict[str, Any]) -> None:
    """Listen to nothing."""
