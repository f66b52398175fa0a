"""Reads a work folder as far as its steps have run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mindgpt_data.io.work import Drop, Work
from mindgpt_data.report.tally import RowTally, compute_random_rank, tally_rows
from mindgpt_data.schema.config import DataSettings
from mindgpt_data.schema.record import ImageRecord
from mindgpt_data.schema.rows import Row
from mindgpt_data.tree.model import Tree

STEPS = ("images", "density", "match", "budget", "generate", "filter", "export")
SAMPLE = 120
"""Kept items on the page."""
EXAMPLES = 3
"""Drops shown per gate and reason."""
REASONS = 40
"""Different reasons with examples."""


@dataclass(frozen=True)
class ReportInputs:
    """Everything that could be read; None where a step has not run.

    Attributes:
        work: the folder.
        settings: of the run; allocator bounds and gate order come from it unless a step's summary says otherwise.
        seed: of the draws.
        trees: the label trees by dimension.
        images: id → record.
        density: id → four sub-scores and ``ids``.
        matches: id → topics, best first.
        budget: id → ``items`` and its split.
        candidates: what was generated.
        kept: what passed.
        drops: step → what it left out.
        examples: (step, gate, reason) → a few of its drops.
        summaries: step → its summary.
        exported: what the trainers load, with the adversarial twins that ``export`` adds; images are named from the
            work folder.
        twins: adversarial rows of the last set of rows there is, each with its answerable partner where that is left.
    """

    work: Work
    settings: DataSettings
    seed: int
    trees: Mapping[str, Tree]
    images: Mapping[str, ImageRecord] | None
    density: Mapping[str, Mapping[str, float]] | None
    matches: Mapping[str, list[dict[str, Any]]] | None
    budget: Mapping[str, Mapping[str, int]] | None
    candidates: RowTally | None
    kept: RowTally | None
    drops: Mapping[str, list[Drop]]
    examples: Mapping[tuple[str, str, str], list[Drop]]
    summaries: Mapping[str, dict[str, Any]]
    exported: RowTally | None
    twins: list[tuple[Row, Row | None]]


def load_report_inputs(work: Work, settings: DataSettings, trees: Mapping[str, Tree], *, seed: int = 0) -> ReportInputs:
    """Read what is there.

    Raises:
        FileError: a file is there and malformed; a missing one is no error.
    """
    drops = {step: found for step in STEPS if (found := work.read_drops(step))}
    examples = _examples(drops, seed)
    wanted = frozenset(drop.key for found in examples.values() for drop in found)
    candidates = kept = None
    if work.candidates.is_file():
        candidates = tally_rows(work.read_rows(work.candidates, "generate"), wanted=wanted)
    if work.kept.is_file():
        kept = tally_rows(work.read_rows(work.kept, "filter"), sample=SAMPLE, seed=seed)
    summaries = {step: made for step in STEPS if (made := work.read_summary(step)) is not None}
    sets = [work.datasets / f"{name}.jsonl" for name in summaries.get("export", {}).get("sets", {})]
    exported = tally_rows(_exported(work, sets)) if sets else None
    rows = _exported(work, sets) if sets else work.read_rows(work.kept, "filter") if kept else iter(())
    return ReportInputs(
        work=work,
        settings=settings,
        seed=seed,
        trees=trees,
        images={r.image: r for r in work.read_images()} if work.images.is_file() else None,
        density=work.read_density() if work.density.is_file() else None,
        matches=work.read_matches() if work.matches.is_file() else None,
        budget=work.read_budget() if work.budget.is_file() else None,
        candidates=candidates,
        kept=kept,
        drops=drops,
        examples=examples,
        summaries=summaries,
        exported=exported,
        twins=_twins((exported or kept or RowTally()).adversarial, rows),
    )


def _exported(work: Work, sets: Sequence[Path]) -> Iterator[Row]:
    folder = Path(os.path.relpath(work.datasets, work.folder))
    for path in sets:
        for row in work.read_rows(path, "export"):
            yield replace(row, image=[(folder / image).as_posix() for image in row.image])


def _twins(adversarial: Sequence[Row], rows: Iterator[Row]) -> list[tuple[Row, Row | None]]:
    wanted = {row.twin_uid for row in adversarial} - {None}
    partners = {row.uid: row for row in rows if row.uid in wanted} if wanted else {}
    return [(row, partners.get(str(row.twin_uid))) for row in adversarial]


def _examples(drops: Mapping[str, list[Drop]], seed: int) -> dict[tuple[str, str, str], list[Drop]]:
    groups: dict[tuple[str, str, str], list[Drop]] = {}
    for step, found in drops.items():
        for drop in found:
            groups.setdefault((step, drop.gate, drop.reason), []).append(drop)
    largest = sorted(groups, key=lambda key: -len(groups[key]))[:REASONS]
    return {key: sorted(groups[key], key=lambda d: compute_random_rank(seed, d.key))[:EXAMPLES] for key in largest}
