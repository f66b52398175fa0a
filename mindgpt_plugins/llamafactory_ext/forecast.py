"""What a training stage will consume at which step, computed from its rendered config and its rows before it trains.

No host import. The sampler is the one the trainer will build, over the same rows in the same order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.dataset_files import DatasetError, read_set_info, read_set_rows
from mindgpt_plugins.core.registry import hint_nearest
from mindgpt_plugins.curriculum.base import CurriculumError, Sampler
from mindgpt_plugins.curriculum.dynamic import Dynamic
from mindgpt_plugins.llamafactory_ext.columns import DATASET, DIFFICULTY, SOURCE, UID, Carrier, DataError, Wanted
from mindgpt_plugins.llamafactory_ext.ordering import Loader, build_section_sampler, start_sampler_clock
from mindgpt_plugins.llamafactory_ext.settings import Section


@dataclass
class Forecast:
    """A run's order, step by step; lists have one entry per step.

    Attributes:
        steps: of the whole run.
        steps_per_epoch: of each epoch.
        samples_per_step: over all micro-batches and ranks.
        rows: of the training set.
        sampler: registered name.
        mixture: registered name, or ``None``.
        window: steps that are exact only together; 1: each step is.
        source: samples of each source.
        dataset: samples of each entry of ``dataset:``.
        difficulty: mean difficulty of the samples that have one.
        by_source: mean difficulty of each source's samples.
        uids: of the samples, when asked for.
        notes: what the forecast does not know, one sentence each.
    """

    steps: int
    steps_per_epoch: int
    samples_per_step: int
    rows: int
    sampler: str
    mixture: str | None
    window: int
    source: dict[str, list[int]]
    dataset: dict[str, list[int]]
    difficulty: list[float | None] = field(default_factory=list)
    by_source: dict[str, list[float | None]] = field(default_factory=dict)
    uids: list[list[str]] | None = None
    notes: list[str] = field(default_factory=list)


def forecast_steps(host: Mapping[str, Any], section: Section, ranks: int = 1, uids: bool = False) -> Forecast:
    """Compute what every step will consume.

    Args:
        host: LLaMA-Factory's own keys, with ``dataset_dir`` on this machine.
        section: ours, with a curriculum or a mixture.
        ranks: data-parallel processes.
        uids: list each step's samples.

    Raises:
        CurriculumError: the order is the host's, or the host changes the rows in a way that is not followed here.
        DataError: a dataset is missing or lacks a column that the section needs.
    """
    if not section.orders():
        raise CurriculumError("no curriculum and no mixture: the order is the host's own shuffle")
    rows = list(read_host_rows(host, section))
    names = section.sources or tuple(sorted({row[SOURCE] for row in rows}))
    for name in {row[SOURCE] for row in rows}:
        if name not in names:
            raise DataError(f"mindgpt.sources: rows come from {name!r}, which is not listed{hint_nearest(name, names)}")
    for name in names:
        if not any(row[SOURCE] == name for row in rows):
            raise DataError(f"mindgpt.sources: no row comes from {name!r}")
    sampler = build_section_sampler(
        section,
        [row[SOURCE] for row in rows],
        [row[DATASET] for row in rows],
        names,
        difficulty=[row[DIFFICULTY] for row in rows] if section.needs_difficulty() else None,
        length=[0] * len(rows) if section.needs_length() else None,
        seed=int(host.get("data_seed") or host.get("seed", 42)),
    )
    loader = Loader(
        int(host.get("per_device_train_batch_size", 8)),
        int(host.get("gradient_accumulation_steps", 1)),
        ranks,
        int(host.get("dataloader_num_workers", 0)),
        int(host.get("dataloader_prefetch_factor") or 2),
    )
    clock = loader.clock(len(rows), host.get("max_steps"), float(host.get("num_train_epochs", 3.0)))
    start_sampler_clock(sampler, loader, clock)
    found = Forecast(
        steps=clock.total_steps,
        steps_per_epoch=clock.steps_per_epoch,
        samples_per_step=clock.samples_per_step,
        rows=len(rows),
        sampler=section.curriculum.name if section.curriculum else "shuffled",
        mixture=section.mixture.name if section.mixture else None,
        window=sampler.window or 1,
        source={name: [] for name in names},
        dataset={name: [] for name in sorted({row[DATASET] for row in rows})},
        by_source={name: [] for name in names},
        uids=[] if uids else None,
        notes=list(_notes(section, sampler)),
    )
    for epoch in range(-(-clock.total_steps // clock.steps_per_epoch)):
        if epoch and section.needs_losses():
            break
        for step in loader.steps(sampler.order(epoch)):
            if len(found.difficulty) < clock.total_steps:
                _add(found, [rows[position] for position in step])
    return found


def read_host_rows(host: Mapping[str, Any], section: Section) -> Iterator[dict[str, Any]]:
    """Every row's source, dataset, difficulty and uid, in the host's order.

    Raises:
        CurriculumError: the host selects or orders rows in a way that is not followed here.
        DataError: a dataset is missing or lacks a column that the section needs.
    """
    for key in ("streaming", "val_size", "packing", "neat_packing", "tokenized_path"):
        if host.get(key):
            raise CurriculumError(f"the plan cannot follow {key}, which changes the rows as they are loaded")
    if host.get("mix_strategy", "concat") != "concat":
        raise CurriculumError(f"the plan follows mix_strategy concat, not {host['mix_strategy']}")
    folder = Path(str(host.get("dataset_dir", "data")))
    wanted = Wanted.of(section)
    for name in (part.strip() for part in str(host["dataset"]).split(",")):
        try:
            if read_set_info(folder, name).entry.get("num_samples") is not None:
                raise CurriculumError(
                    f"dataset {name!r}: the plan cannot follow num_samples, a random draw of the host"
                )
            carrier = Carrier(lambda row: {}, wanted, name)
            for raw in islice(read_set_rows(folder, name), host.get("max_samples")):
                row = carrier(raw.data)
                yield {SOURCE: row[f"_{SOURCE}"], DATASET: name, DIFFICULTY: row[f"_{DIFFICULTY}"], UID: row[f"_{UID}"]}
        except DatasetError as error:
            raise DataError(str(error)) from None


def _add(found: Forecast, step: list[dict[str, Any]]) -> None:
    for column, counts in ((SOURCE, found.source), (DATASET, found.dataset)):
        for name, series in counts.items():
            series.append(sum(row[column] == name for row in step))
    found.difficulty.append(_mean([row[DIFFICULTY] for row in step]))
    for name, means in found.by_source.items():
        means.append(_mean([row[DIFFICULTY] for row in step if row[SOURCE] == name]))
    if found.uids is not None:
        found.uids.append([row[UID] for row in step])


def _mean(values: list[float]) -> float | None:
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else None


def _notes(section: Section, sampler: Sampler) -> Iterator[str]:
    if isinstance(sampler.mixture, Dynamic):
        ranges = ", ".join(
            f"{name} {100 * low:.0f}–{100 * high:.0f} %"
            for name, (low, high) in zip(sampler.mixture.names, sampler.mixture.bounds(), strict=True)
        )
        yield f"The mixture follows what will be measured; shown are its base shares. Each stays within: {ranges}."
    if section.needs_losses():
        yield "The order follows the model's losses from the second epoch on; shown is the first, which measures."
    if sampler.window is not None:
        yield (
            f"Samples are grouped by token length inside windows of {sampler.window} steps: a window's samples are "
            "exact, which step of it they come in is not known before tokenisation."
        )
