"""Ask a model server many things at once, pay for each answer once, and lose none: here, or in shards under Ray."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from mindgpt_data import engines
from mindgpt_data.client.local import ask_from_here
from mindgpt_data.client.request import Done, Failed, Task
from mindgpt_data.client.tally import Tally
from mindgpt_data.io.progress import Progress, ignore_update
from mindgpt_data.schema.config import EndpointSettings

T = TypeVar("T")


def ask_all(
    tasks: Iterable[Task[T]],
    *,
    step: str,
    store: Path,
    endpoints: Sequence[EndpointSettings],
    progress: Progress = ignore_update,
    total: int | None = None,
) -> Iterator[Done[T] | Failed]:
    """Do every task once and yield outcomes as they complete.

    Args:
        tasks: drawn lazily, in another thread, a bounded number ahead; keys are unique. An iterator that waits for its
            tasks can have a method ``stop()``, which is called when the run ends early.
        step: names this set of tasks in the store.
        store: SQLite file of answers. A stored answer with the task's fingerprint is yielded without a request; tasks
            that failed in an earlier run are tried again.
        endpoints: share the load; one that fails is put aside for a while and the others take over.
        progress: told a few times a second: ``stage, step, total, failed, stored, rate, cost, eta, in_flight``.
        total: number of tasks, for the progress line.

    Yields:
        ``Done`` once its answer is committed to the store, or ``Failed`` with the last error: refused by the server,
        out of attempts, or its request could not be built (``ValueError`` or ``OSError`` from ``build``).

    Raises:
        EndpointError: no request can succeed (wrong key, no such model, nobody there), raised on first sight.
        StoreError: the store cannot be used.
        ValueError: no endpoints, or two tasks under way have the same key.
        Exception: whatever ``tasks``, or ``build`` or ``parse`` other than as above, raised.
    """
    if not endpoints:
        raise ValueError(f"{step}: no endpoint is configured")
    tally = Tally(step, total, progress)
    if engines.get_engine_name() != "ray":
        yield from ask_from_here(tasks, step=step, store=store, endpoints=endpoints, tally=tally)
        return
    from mindgpt_data.client.ray_shards import ask_in_shards

    for outcome in ask_in_shards(tasks, step=step, store=store, endpoints=endpoints):
        tally.count(outcome)
        tally.show(0)
        yield outcome
    tally.show(0, last=True)
