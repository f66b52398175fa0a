"""Which engine is in use, what workers import first, and what becomes of one item."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")
ENGINES = ("local", "ray")
engine_in_use: ContextVar[str] = ContextVar("engine", default="local")
worker_plugins: ContextVar[tuple[str, ...]] = ContextVar("plugins", default=())


@dataclass(frozen=True)
class Outcome(Generic[B]):
    """What became of one item: its value, or the error in words."""

    value: B | None
    error: str = ""


def get_engine_name() -> str:
    """The engine in use."""
    return engine_in_use.get()


def get_worker_plugins() -> tuple[str, ...]:
    """What worker processes import first."""
    return worker_plugins.get()


def capture_outcome(function: Callable[[A], B], item: A) -> Outcome[B]:
    """``function(item)`` with its exception in words; used inside workers."""
    try:
        return Outcome(function(item))
    except Exception as error:  # one bad item must not cost the others; the caller records it as a drop
        return Outcome(None, f"{type(error).__name__}: {error}")
