"""Engine ``ray``: the same per-item functions and requests under Ray Data, one row per item or shard of requests.

A row's exception is caught inside the worker and travels back as that row's error, so it never costs its block.
"""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from mindgpt_data.client.request import Done, Failed, Task
from mindgpt_data.client.store import Store
from mindgpt_data.engines import Outcome, guarded, plugins
from mindgpt_data.schema.config import EndpointSettings
from mindgpt_plugins.core.registry import load_plugins

A = TypeVar("A")
B = TypeVar("B")
T = TypeVar("T")
BLOCK = 16
"""Items per Ray Data batch."""
SHARDS = 8
"""Shards of requests: more workers than this do not ask at once."""


def require() -> None:
    """Refuse early when Ray Data is not there.

    Raises:
        ValueError: saying how to install it.
    """
    try:
        import ray.data  # noqa: F401
    except ImportError as error:
        raise ValueError(f"--engine ray needs Ray Data ({error}): pip install 'ray[data]'") from None


def map_items(function: Callable[[A], B], items: Iterable[A]) -> Iterator[Outcome[B]]:
    """See :func:`mindgpt_data.engines.map_items`; the items' pickles are the dataset."""
    rows = [{"number": number, "item": _dumps(item)} for number, item in enumerate(items)]
    if not rows:
        return
    waiting: dict[int, Outcome[B]] = {}
    wanted = 0
    for row in _dataset(rows).map_batches(_Apply(_dumps(function), plugins()), batch_size=BLOCK).iter_rows():
        waiting[int(row["number"])] = pickle.loads(row["value"])
        while wanted in waiting:
            yield waiting.pop(wanted)
            wanted += 1


def ask_all(
    tasks: Iterable[Task[T]], *, step: str, store: Path, endpoints: Sequence[EndpointSettings]
) -> Iterator[Done[T] | Failed]:
    """Ask in shards; rate limits and requests in flight are divided among them.

    Every shard commits to a store of its own beside ``store``. What a killed run left in them is taken over first, and
    everything moves into ``store`` at the end. The workers must see that folder; SQLite's WAL wants it on a local disk,
    so this was tried on one machine only.
    """
    shards: list[list[Task[T]]] = [[] for _ in range(SHARDS)]
    with Store(store) as stored:
        _gather(store, stored)
        for task in tasks:
            answer = stored.find(step, task.key, task.fingerprint)
            try:
                value = None if answer is None else task.parse(answer)
            except ValueError:  # its parser has become stricter since: ask again
                answer = None
            if answer is None:
                shards[zlib.crc32(task.key.encode("utf-8", "backslashreplace")) % SHARDS].append(task)
            else:
                yield Done(task.key, cast(T, value), answer, stored=True)
        rows = [{"number": number, "tasks": _dumps(shard)} for number, shard in enumerate(shards) if shard]
        try:
            if rows:
                ask = _Ask(step, store, [_share(endpoint, len(rows)) for endpoint in endpoints], plugins())
                for row in _dataset(rows).map_batches(ask, batch_size=1).iter_rows():
                    outcome = pickle.loads(row["value"])
                    if isinstance(outcome, Exception):
                        raise outcome
                    yield outcome
        finally:
            _gather(store, stored)


def _shard(store: Path, number: int) -> Path:
    return store.with_name(f"{store.stem}-shard{number}{store.suffix}")


def _gather(store: Path, stored: Store) -> None:
    for number in range(SHARDS):
        if _shard(store, number).is_file():
            stored.absorb(_shard(store, number))


class _Apply:
    def __init__(self, function: bytes, plugins: Sequence[str]):
        # Pickled by hand: it may live in a plugin, which the worker must import before it can be read.
        self.function, self.plugins = function, plugins

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        load_plugins(self.plugins)
        function = pickle.loads(self.function)
        values = [_dumps(guarded(function, pickle.loads(item))) for item in batch["item"]]
        return {"number": batch["number"], "value": values}


class _Ask:
    def __init__(self, step: str, store: Path, endpoints: list[EndpointSettings], plugins: Sequence[str]):
        self.step, self.store, self.endpoints, self.plugins = step, store, endpoints, plugins

    def __call__(self, batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
        from mindgpt_data.client.run import ask_all as ask_here

        load_plugins(self.plugins)
        for number, tasks in zip(batch["number"], batch["tasks"], strict=True):
            store = _shard(self.store, int(number))
            try:
                for outcome in ask_here(pickle.loads(tasks), step=self.step, store=store, endpoints=self.endpoints):
                    yield {"value": [_dumps(outcome)]}
            except Exception as error:  # a refusal of the whole run (a wrong key, say) is raised in the driver
                yield {"value": [_dumps(error)]}


def _dataset(rows: list[dict[str, Any]]) -> Any:
    import ray

    ray.data.DataContext.get_current().enable_progress_bars = False
    return ray.data.from_items(rows, override_num_blocks=min(len(rows), max(SHARDS, len(rows) // BLOCK)))


def _share(endpoint: EndpointSettings, shards: int) -> EndpointSettings:
    return endpoint.model_copy(
        update={
            "max_in_flight": max(1, endpoint.max_in_flight // shards),
            "requests_per_minute": endpoint.requests_per_minute and endpoint.requests_per_minute / shards,
            "tokens_per_minute": endpoint.tokens_per_minute and endpoint.tokens_per_minute / shards,
        }
    )


def _dumps(value: Any) -> bytes:
    import ray.cloudpickle

    data: bytes = ray.cloudpickle.dumps(value)
    return data
