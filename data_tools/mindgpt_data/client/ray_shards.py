"""Requests in shards under Ray Data: a worker asks for its shard and keeps the answers in a store of its own."""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from mindgpt_data.client.local import ask_from_here
from mindgpt_data.client.request import Done, Failed, Task
from mindgpt_data.client.store import Store
from mindgpt_data.client.tally import Tally
from mindgpt_data.engines.context import get_worker_plugins
from mindgpt_data.engines.ray_data import make_ray_dataset, pickle_value
from mindgpt_data.io.progress import ignore_update
from mindgpt_data.schema.config import EndpointSettings
from mindgpt_plugins.core.registry import load_plugins

T = TypeVar("T")
SHARDS = 8
"""Shards of requests: more workers than this do not ask at once."""


def ask_in_shards(
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
        rows = [{"number": number, "tasks": pickle_value(shard)} for number, shard in enumerate(shards) if shard]
        try:
            if rows:
                ask = _Ask(step, store, [_share(endpoint, len(rows)) for endpoint in endpoints], get_worker_plugins())
                for row in make_ray_dataset(rows).map_batches(ask, batch_size=1).iter_rows():
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


class _Ask:
    def __init__(self, step: str, store: Path, endpoints: list[EndpointSettings], plugins: Sequence[str]):
        self.step, self.store, self.endpoints, self.plugins = step, store, endpoints, plugins

    def __call__(self, batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
        load_plugins(self.plugins)
        for number, tasks in zip(batch["number"], batch["tasks"], strict=True):
            store = _shard(self.store, int(number))
            try:
                for outcome in self._ask(pickle.loads(tasks), store):
                    yield {"value": [pickle_value(outcome)]}
            except Exception as error:  # a refusal of the whole run (a wrong key, say) is raised in the driver
                yield {"value": [pickle_value(error)]}

    def _ask(self, tasks: list[Task[Any]], store: Path) -> Iterator[Done[Any] | Failed]:
        tally = Tally(self.step, None, ignore_update)
        return ask_from_here(tasks, step=self.step, store=store, endpoints=self.endpoints, tally=tally)


def _share(endpoint: EndpointSettings, shards: int) -> EndpointSettings:
    return endpoint.model_copy(
        update={
            "max_in_flight": max(1, endpoint.max_in_flight // shards),
            "requests_per_minute": endpoint.requests_per_minute and endpoint.requests_per_minute / shards,
            "tokens_per_minute": endpoint.tokens_per_minute and endpoint.tokens_per_minute / shards,
        }
    )
