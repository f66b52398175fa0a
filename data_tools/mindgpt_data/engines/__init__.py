"""Where per-item work runs: this machine (default) or Ray Data. The steps' functions are the same.

A step hands its per-item function to :func:`map_items` and its requests to :func:`mindgpt_data.client.run.ask_all`;
both look up the engine in use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager
from typing import TypeVar

from mindgpt_data.engines.context import (
    ENGINES,
    Outcome,
    capture_outcome,
    engine_in_use,
    get_engine_name,
    get_worker_plugins,
    worker_plugins,
)

__all__ = ["ENGINES", "Outcome", "get_engine_name", "capture_outcome", "map_items", "get_worker_plugins", "use_engine"]

A = TypeVar("A")
B = TypeVar("B")


@contextmanager
def use_engine(engine: str, plugins: Sequence[str] = ()) -> Iterator[None]:
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

        ray_data.require_ray_data()
    from mindgpt_data.engines.processes import keep_workers

    token, plugins_token = engine_in_use.set(engine), worker_plugins.set(tuple(plugins))
    try:
        with keep_workers():
            yield
    finally:
        engine_in_use.reset(token)
        worker_plugins.reset(plugins_token)


def map_items(function: Callable[[A], B], items: Iterable[A], inline: int = 0) -> Iterator[Outcome[B]]:
    """Apply ``function`` to every item, in parallel, outcomes in input order, bounded memory.

    Args:
        function: picklable; an exception it raises becomes that item's error and costs no other item.
        items: picklable; pulled as they are needed.
        inline: up to this many items, where their number is known, are done in this process.
    """
    if isinstance(items, Sized) and len(items) <= inline:
        return (capture_outcome(function, item) for item in items)
    if get_engine_name() == "ray":
        from mindgpt_data.engines import ray_data

        return ray_data.map_items_in_ray(function, items)
    from mindgpt_data.engines import processes

    return processes.map_items_in_processes(function, items)
