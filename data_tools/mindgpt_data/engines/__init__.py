"""Where per-item work runs: this machine (default) or Ray Data. The steps' functions are the same.

A step hands its per-item function to :func:`map_items` and its requests to :func:`mindgpt_data.client.run.ask_all`;
both look up the engine in use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")
ENGINES = ("local", "ray")
_current: ContextVar[str] = ContextVar("engine", default="local")
_plugins: ContextVar[tuple[str, ...]] = ContextVar("plugins", default=())


@dataclass(frozen=True)
class Outcome(Generic[B]):
    """What became of one item: its value, or the error in words."""

    value: B | None
    error: str = ""


@contextmanager
def use(engine: str, plugins: Sequence[str] = ()) -> Iterator[None]:
    """Run everything inside on ``engine``; worker processes of this machine last as long.

    Args:
        engine: one of :data:`ENGINES`.
        plugins: modules or files that every worker process imports first, so that names registered there resolve.

    Raises:
        ValueError: unknown, or its package is not installed.
    """
    if engine not in ENGINES:
        raise ValueError(f"there is no engine {engine!r}; the engines are: {', '.join(ENGINES)}")
    if engine == "ray":
        from mindgpt_data.engines import ray_data

        ray_data.require()
    from mindgpt_data.engines.processes import keep_workers

    token, plugins_token = _current.set(engine), _plugins.set(tuple(plugins))
    try:
        with keep_workers():
            yield
    finally:
        _current.reset(token)
        _plugins.reset(plugins_token)


def current() -> str:
    """The engine in use."""
    return _current.get()


def plugins() -> tuple[str, ...]:
    """What worker processes import first."""
    return _plugins.get()


def map_items(function: Callable[[A], B], items: Iterable[A], inline: int = 0) -> Iterator[Outcome[B]]:
    """Apply ``function`` to every item, in parallel, outcomes in input order, bounded memory.

    Args:
        function: picklable; an exception it raises becomes that item's error and costs no other item.
        items: picklable; pulled as they are needed.
        inline: up to this many items, where their number is known, are done in this process.
    """
    if isinstance(items, Sized) and len(items) <= inline:
        return (guarded(function, item) for item in items)
    if current() == "ray":
        from mindgpt_data.engines import ray_data

        return ray_data.map_items(function, items)
    from mindgpt_data.engines import processes

    return processes.map_items(function, items)


def guarded(function: Callable[[A], B], item: A) -> Outcome[B]:
    """``function(item)`` with its exception in words; used inside workers."""
    try:
        return Outcome(function(item))
    except Exception as error:  # one bad item must not cost the others; the caller records it as a drop
        return Outcome(None, f"{type(error).__name__}: {error}")
