"""Carries uid, source, dataset and difficulty of each example from the user's file to the training batch.

LLaMA-Factory drops unknown columns twice: when it converts a row to its own format and when it tokenises. Both steps
are wrapped here, for whatever ``formatting`` the user's ``dataset_info.json`` names. No host import: we wrap what we
are given.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mindgpt_plugins.llamafactory_ext.settings import Section

UID, SOURCE, DATASET, DIFFICULTY = CARRIED = ("mindgpt_uid", "mindgpt_source", "mindgpt_dataset", "mindgpt_difficulty")
ROW = "mindgpt_row"
"""Position in the training set, added by the trainer when a sampler wants to hear of each sample's loss."""


class DataError(ValueError):
    """A dataset lacks what the settings need; the message names dataset, column and row."""


@dataclass(frozen=True)
class Wanted:
    """Which columns a run reads and which of them every row must have."""

    source: str
    difficulty: str
    uid: str
    need_source: bool
    need_difficulty: bool
    need_uid: bool

    @classmethod
    def of(cls, section: Section) -> Wanted:
        """What a section needs."""
        columns = section.columns
        return cls(
            columns.source,
            columns.difficulty,
            columns.uid,
            section.needs_source(),
            section.needs_difficulty(),
            section.trace is not None,
        )


@dataclass(frozen=True)
class Carrier:
    """A dataset converter that adds our columns to what the host's converter returns.

    Plain data and a module-level class, because ``datasets`` hashes it to name its cache.
    """

    convert: Callable[[dict[str, Any]], dict[str, Any]]
    wanted: Wanted
    dataset: str

    def __call__(self, example: dict[str, Any]) -> dict[str, Any]:
        """Convert one row.

        Raises:
            DataError: a column that the settings need is missing or empty in this row.
        """
        uid = self._get(example, self.wanted.uid, self.wanted.need_uid, "trace")
        source = self._get(
            example, self.wanted.source, self.wanted.need_source, "loss weights, kl, a mixture or sources"
        )
        difficulty = self._get(example, self.wanted.difficulty, self.wanted.need_difficulty, "this curriculum")
        row = self.convert(example)
        row[f"_{UID}"] = "" if uid is None else str(uid)
        row[f"_{SOURCE}"] = self.dataset if source is None else str(source)
        row[f"_{DATASET}"] = self.dataset
        row[f"_{DIFFICULTY}"] = math.nan if difficulty is None else self._number(difficulty, example)
        return row

    def _get(self, example: Mapping[str, Any], column: str, needed: bool, by: str) -> Any:
        value = example.get(column)
        if value is None and needed:
            state = "is empty in a row" if column in example else "does not exist"
            raise DataError(
                f"dataset {self.dataset!r}: column {column!r} {state}, but {by} in the mindgpt section needs it; "
                f"add it to every row or name another one under mindgpt.columns. Columns: {', '.join(sorted(example))}"
            )
        return value

    def _number(self, value: Any, example: Mapping[str, Any]) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if self.wanted.need_difficulty and not math.isfinite(number):
            where = example.get(self.wanted.uid, "?")
            raise DataError(f"dataset {self.dataset!r}, row {where}: difficulty must be a finite number, got {value!r}")
        return number


class CarryingProcessor:
    """A dataset processor whose output rows keep our columns.

    Args:
        processor: the host's.
        packed: it packs several rows into one.
        buckets: difficulty buckets that packs are made in; 1: difficulty does not matter.
    """

    def __init__(self, processor: Any, packed: bool, buckets: int = 1):
        self.processor, self.packed, self.buckets = processor, packed, buckets

    def preprocess_dataset(self, examples: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Tokenise a batch of rows; a pack holds one source, dataset and difficulty bucket, so sums stay per source."""
        if f"_{SOURCE}" not in examples:
            return dict(self.processor.preprocess_dataset(examples))
        out: dict[str, list[Any]] = defaultdict(list)
        for rows in self._groups(examples):
            # The host may drop an invalid row: going group by group, our columns are dropped with it.
            done = self.processor.preprocess_dataset({k: [v[i] for i in rows] for k, v in examples.items()})
            count = len(next(iter(done.values()))) if done else 0
            for key, values in done.items():
                out[key] += values
            for column in CARRIED:
                out[column] += [examples[f"_{column}"][rows[0]]] * count
            if self.packed and count:
                mean = sum(examples[f"_{DIFFICULTY}"][i] for i in rows) / len(rows)
                out[DIFFICULTY][-count:] = [mean] * count  # the host does not say which rows a pack holds
        return dict(out)

    def print_data_example(self, example: dict[str, Any]) -> None:
        """Show one example, as the host does."""
        self.processor.print_data_example(example)

    def _groups(self, examples: dict[str, list[Any]]) -> list[list[int]]:
        size = len(examples["_prompt"])
        if not self.packed:
            return [[i] for i in range(size)]
        groups: dict[tuple[str, str], list[int]] = defaultdict(list)
        for i in range(size):
            groups[examples[f"_{SOURCE}"][i], examples[f"_{DATASET}"][i]].append(i)
        pieces = []
        for _, rows in sorted(groups.items()):
            if self.buckets > 1:
                rows.sort(key=lambda i: examples[f"_{DIFFICULTY}"][i])
            edges = [len(rows) * k // self.buckets for k in range(self.buckets + 1)]
            pieces += [rows[a:b] for a, b in zip(edges, edges[1:], strict=False) if b > a]
        return pieces


class CarryingCollator:
    """Collates with the host's collator and adds our columns as tensors (accelerate concatenates every field).

    Fields: ``mindgpt_source`` (batch,) ids, ``mindgpt_difficulty`` (batch,) float, ``mindgpt_uid`` (batch,) ids when
    tracing, ``mindgpt_row`` (batch,) positions where the training set has them.
    """

    def __init__(
        self, collate: Callable[[list[dict[str, Any]]], Any], sources: Mapping[str, int], uids: Mapping[str, int]
    ):
        self.collate, self.sources, self.uids = collate, dict(sources), dict(uids)

    def __call__(self, features: list[dict[str, Any]]) -> Any:
        """Collate a list of examples."""
        import torch

        features = [dict(feature) for feature in features]
        carried = {column: [feature.pop(column, None) for feature in features] for column in (*CARRIED, ROW)}
        batch = self.collate(features)
        if carried[SOURCE][0] is not None:
            # An evaluation set may hold a source that training does not: it gets no weight and no log of its own.
            batch[SOURCE] = torch.tensor([self.sources.get(s, -1) for s in carried[SOURCE]])
            batch[DIFFICULTY] = torch.tensor(carried[DIFFICULTY], dtype=torch.float32)
            if self.uids:
                batch[UID] = torch.tensor([self.uids.get(u, -1) for u in carried[UID]])
        if carried[ROW][0] is not None:
            batch[ROW] = torch.tensor(carried[ROW])
        return batch


def split_batch_columns(batch: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split a batch into what the model gets and our columns; the batch itself is left alone."""
    ours = (*CARRIED, ROW)
    rest = {key: value for key, value in batch.items() if key not in ours}
    return rest, {key: batch[key] for key in ours if key in batch}


def count_row_tokens(dataset: Any) -> list[int]:
    """Tokens of each row of a tokenised ``datasets.Dataset``; of a preference pair, those of the longer reply."""
    import pyarrow.compute as pc

    columns = [c for c in ("input_ids", "chosen_input_ids", "rejected_input_ids") if c in dataset.column_names]
    found: list[int] = []
    for table in dataset.select_columns(columns).with_format("arrow").iter(batch_size=10_000):
        by_column = [pc.list_value_length(table[column]).to_pylist() for column in columns]
        found += [max(row) for row in zip(*by_column, strict=True)]
    return found
