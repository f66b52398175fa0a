"""Engine ``ray``: the same per-item functions under Ray Data, one row per item.

A row's exception is caught inside the worker and travels back as that row's error, so it never costs its block.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from mindgpt_data.engines.context import Outcome, capture_outcome, get_worker_plugins
from mindgpt_plugins.core.registry import load_plugins

A = TypeVar("A")
B = TypeVar("B")
BLOCK = 16
"""Items per Ray Data batch."""
BLOCKS = 8
"""Blocks of a small dataset."""


def require_ray_data() -> None:
    """Refuse early when Ray Data is not there.

    Raises:
        ValueError: saying how to install it.
    """
    try:
        import ray.data  # noqa: F401
    except ImportError as error:
        raise ValueError(f"--engine ray needs Ray Data ({error}): pip install 'ray[data]'") from None


def map_items_in_ray(function: Callable[[A], B], items: Iterable[A]) -> Iterator[Outcome[B]]:
    """See :func:`mindgpt_data.engines.map_items`; the items' pickles are the dataset."""
    rows = [{"number": number, "item": pickle_value(item)} for number, item in enumerate(items)]
    if not rows:
        return
    waiting: dict[int, Outcome[B]] = {}
    wanted = 0
    for row in (
        make_ray_dataset(rows)
        .map_batches(_Apply(pickle_value(function), get_worker_plugins()), batch_size=BLOCK)
        .iter_rows()
    ):
        waiting[int(row["number"])] = pickle.loads(row["value"])
        while wanted in waiting:
            yield waiting.pop(wanted)
            wanted += 1


class _Apply:
    def __init__(self, function: bytes, plugins: Sequence[str]):
        # Pickled by hand: it may live in a plugin, which the worker must import before it can be read.
        self.function, self.plugins = function, plugins

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        load_plugins(self.plugins)
        function = pickle.loads(self.function)
        values = [pickle_value(capture_outcome(function, pickle.loads(item))) for item in batch["item"]]
        return {"number": batch["number"], "value": values}


def make_ray_dataset(rows: list[dict[str, Any]]) -> Any:
    """A Ray dataset of these rows, at most one block per worker of a shard."""
    import ray

    ray.data.DataContext.get_current().enable_progress_bars = False
    return ray.data.from_items(rows, override_num_blocks=min(len(rows), max(BLOCKS, len(rows) // BLOCK)))


def pickle_value(value: Any) -> bytes:
    """Pickled so that functions of a plugin travel, too."""
    import ray.cloudpickle

    data: bytes = ray.cloudpickle.dumps(value)
    return data
