"""Step ``filter``: candidates → kept rows, and for every other row the gate and the reason."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from mindgpt_data.budget.spare import choose_within_budget
from mindgpt_data.client.request import Done, Failed, Task
from mindgpt_data.gates import funnel
from mindgpt_data.gates.batch import Ask, Batch, find_picture_paths
from mindgpt_data.gates.item import Item
from mindgpt_data.io.progress import Progress, ignore_update
from mindgpt_data.io.work import Drop, Work
from mindgpt_data.schema.boxes import Frame
from mindgpt_data.schema.config import DataSettings
from mindgpt_data.schema.record import ImageRecord
from mindgpt_data.schema.rows import Row
from mindgpt_plugins.core import files

T = TypeVar("T")
STEP = "filter"


def run(work: Work, settings: DataSettings, *, seed: int = 0, progress: Progress = ignore_update) -> dict[str, Any]:
    """Apply ``filter.gates`` in order, then keep to the budget; write ``kept.jsonl`` and the drops.

    Answers of models come from the store when they are there: a second run asks only about the rows that got no
    verdict in the first, and judges everything else as before.

    Raises:
        FileError: candidates or images are missing or malformed.
        RegistryError: a gate, or an option of one, that does not exist.
        ValueError: a gate needs a model and none is configured, or an option has no sense.
    """
    started = time.monotonic()
    chosen = settings.filter
    funnel.check_gates(chosen.gates)
    records = {record.image: record for record in work.read_images()}
    items, drops = admit_candidates(work, records, settings)
    batch = Batch(items, records, settings, work.folder, ask=_unnamed)
    read = len(items) + len(drops)
    passages = [funnel.Passage("input", read, drops)]
    for gate in chosen.gates:
        batch.ask = make_gate_asker(work, settings, gate.name, progress)
        told = _told(progress, gate.name, len(batch.items))
        passage = funnel.apply_gate(gate.name, batch, gate.options, step=STEP, each=told)
        passages.append(passage)
    if settings.generate.spare:
        passages.append(_keep_to_budget(work, settings, batch, seed))
    kept = files.write_jsonl(work.kept, (item.row.to_json() for item in batch.items))
    _write_pairs(work, batch)
    dropped = [drop for passage in passages for drop in passage.drops]
    work.write_drops(STEP, dropped)
    summary = {
        "candidates": read,
        "kept": kept,
        "pairs": sum(item.row.uid in batch.pairs for item in batch.items),
        "dropped": len(dropped),
        "failed": sum(drop.reason.startswith(funnel.NO_VERDICT) for drop in dropped),
        "funnel": [passage.to_json() for passage in passages],
        "seconds": round(time.monotonic() - started, 3),
        "usage": _usage(work),
        "settings": chosen.model_dump(mode="json"),
    }
    work.write_summary(STEP, summary)
    return summary


def _keep_to_budget(work: Work, settings: DataSettings, batch: Batch, seed: int) -> funnel.Passage:
    """Leave out the spare questions that no total needs, and say how many are still missing."""
    started = time.monotonic()
    budget = {image: row["items"] for image, row in work.read_budget().items()}
    by_source = settings.budget.sources
    pool = {image: record.source if by_source else "" for image, record in batch.records.items()}
    asked = [(item.row.uid, item.row.image[0]) for item in batch.items if item.row.image]
    kept = choose_within_budget(asked, budget, pool, seed)
    passage = funnel.Passage("budget", len(batch.items), [])
    for item in batch.items:
        if item.row.uid not in kept:
            detail = f"{item.row.question} → {item.row.answer}"
            passage.drops.append(Drop(STEP, "budget", "spare question, not needed", item.row.uid, detail))
    batch.items = [item for item in batch.items if item.row.uid in kept]
    if short := sum(budget.values()) - len(kept):
        spare = settings.generate.spare
        passage.notes.append(f"budget: {short} questions short; give more images, or a generate.spare above {spare}")
    passage.seconds = time.monotonic() - started
    return passage


def _write_pairs(work: Work, batch: Batch) -> None:
    """Preference pairs of kept rows; the file of an earlier run goes when there are none."""
    found = [
        {"uid": item.row.uid, "chosen": chosen, "rejected": rejected}
        for item in batch.items
        for chosen, rejected in [batch.pairs.get(item.row.uid, ("", ""))]
        if chosen
    ]
    if found:
        files.write_jsonl(work.pairs, found)
    else:
        work.pairs.unlink(missing_ok=True)


def admit_candidates(
    work: Work, records: Mapping[str, ImageRecord], settings: DataSettings
) -> tuple[list[Item], list[Drop]]:
    """Candidates that can be judged: unique uids, and pictures that exist."""
    items: list[Item] = []
    drops: list[Drop] = []
    seen: set[str] = set()
    for row in work.read_rows(work.candidates, "generate"):
        detail = f"{row.question} → {row.answer}"
        if row.uid in seen:
            drops.append(Drop(STEP, "input", "uid occurs twice", row.uid, detail))
            continue
        seen.add(row.uid)
        try:
            for image in row.image:
                find_picture_paths(image, records, work.folder)
            items.append(make_gate_item(row, records, settings.generate.max_pixels))
        except ValueError as error:
            drops.append(Drop(STEP, "input", "picture is not in images.jsonl", row.uid, str(error)))
    return items, drops


def make_gate_item(row: Row, records: Mapping[str, ImageRecord], max_pixels: int) -> Item:
    """What the gates see of a row."""
    first = records.get(row.image[0]) if row.image else None
    extent = None
    if row.boxes is not None and first is not None:
        extent = Frame(row.boxes, first.width, first.height, max_pixels).extent
    return Item(row, image_hash=first.content if first else "", extent=extent)


def make_gate_asker(work: Work, settings: DataSettings, gate: str, progress: Progress) -> Ask:
    """How ``gate`` reaches a model: answers are kept in the store under ``filter.<gate>``."""

    def ask(tasks: Iterable[Task[T]], *, role: str, total: int | None = None) -> Iterator[Done[T] | Failed]:
        from mindgpt_data.client.run import ask_all

        endpoints = settings.endpoints_for(role)
        return ask_all(
            tasks, step=f"{STEP}.{gate}", store=work.store, endpoints=endpoints, progress=progress, total=total
        )

    return ask


def _unnamed(tasks: Iterable[Task[T]], *, role: str, total: int | None = None) -> Iterator[Done[T] | Failed]:
    raise RuntimeError("a gate asked a model before it was given a name to store the answers under")


def _told(progress: Progress, gate: str, total: int) -> Callable[[int], None]:
    """Updates of gates that ask nobody; the client tells its own."""

    def told(done: int) -> None:
        if done % 1000 == 0 or done == total:
            progress({"stage": f"{STEP} {gate}", "step": done, "total": total})

    return told


def _usage(work: Work) -> list[dict[str, Any]]:
    """What the gates' answers cost so far, per gate and model."""
    from mindgpt_data.client.spend import read_usage

    return [spent for spent in read_usage(work.store) if str(spent["step"]).startswith(f"{STEP}.")]
