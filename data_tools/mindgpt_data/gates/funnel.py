"""Applies the gates in order and counts what each let through."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mindgpt_data.gates.batch import Batch, sees_batch
from mindgpt_data.gates.item import Item
from mindgpt_data.io.work import Drop
from mindgpt_data.schema.config import GateChoice
from mindgpt_plugins.core import registry

EXAMPLES = 3
NO_VERDICT = "no verdict"


@dataclass
class Passage:
    """One gate's share of the funnel.

    Attributes:
        gate: its name.
        entered: rows it saw.
        drops: what it left out, in input order.
        notes: see :class:`~mindgpt_data.gates.batch.Batch`.
        facts: see there.
        seconds: wall clock.
    """

    gate: str
    entered: int
    drops: list[Drop]
    notes: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """``gate, in, out, dropped: [{reason, count, examples}], notes, facts, seconds``; frequent reasons first."""
        counts = Counter(drop.reason for drop in self.drops)
        shown: dict[str, list[str]] = {}
        for drop in self.drops:
            examples = shown.setdefault(drop.reason, [])
            if len(examples) < EXAMPLES:
                examples.append(drop.detail)
        return {
            "gate": self.gate,
            "in": self.entered,
            "out": self.entered - len(self.drops),
            "dropped": [{"reason": r, "count": n, "examples": shown[r]} for r, n in counts.most_common()],
            "notes": self.notes,
            "facts": self.facts,
            "seconds": round(self.seconds, 3),
        }


def check_gates(gates: Iterable[GateChoice]) -> None:
    """Refuse gates and options that do not exist, before anything is spent.

    Raises:
        RegistryError: naming the gate or the option.
    """
    for gate in gates:
        registry.check_options("gate", gate.name, gate.options)


def apply_gate(
    name: str,
    batch: Batch,
    options: Mapping[str, Any],
    *,
    step: str = "filter",
    each: Callable[[int], None] = lambda done: None,
) -> Passage:
    """Judge ``batch.items`` by one gate; those that stay, with the difficulty it measured, replace them.

    Args:
        name: a registered gate.
        batch: rows and context; its notes and facts are moved into the result.
        options: the gate's keyword options.
        step: named in the drops.
        each: told how many rows are judged.
    """
    started, entered = time.monotonic(), len(batch.items)
    gate = registry.get_registered("gate", name)
    order = {item.row.uid: i for i, item in enumerate(batch.items)}
    drops: dict[str, Drop] = {}
    difficulty: dict[str, float] = {}
    if sees_batch(gate):
        for done, verdict in enumerate(gate(batch, **options), 1):
            if verdict.uid not in order:
                raise ValueError(f"gate {name!r} judged {verdict.uid!r}, which it was not given")
            if verdict.reason is not None:
                drops.setdefault(verdict.uid, Drop(step, name, verdict.reason, verdict.uid, verdict.detail))
            if verdict.difficulty is not None:
                difficulty[verdict.uid] = verdict.difficulty
            each(done)
    else:
        for done, item in enumerate(batch.items, 1):
            if (found := judge_row(gate, item, options)) is not None:
                drops[item.row.uid] = Drop(step, name, *_parts(item, found))
            each(done)
    batch.items = [_measured(item, difficulty) for item in batch.items if item.row.uid not in drops]
    passage = Passage(name, entered, sorted(drops.values(), key=lambda drop: order[drop.key]))
    passage.notes, batch.notes = batch.notes, []
    passage.facts, batch.facts = batch.facts, {}
    passage.seconds = time.monotonic() - started
    return passage


def judge_row(gate: Callable[..., str | None], item: Item, options: Mapping[str, Any]) -> str | None:
    """One item gate on one row; a gate that raises costs only that row, and its error is the reason."""
    try:
        return gate(item, **options)
    except Exception as error:
        return f"{NO_VERDICT}: {type(error).__name__}: {error}"


def _parts(item: Item, reason: str) -> tuple[str, str, str]:
    return reason, item.row.uid, f"{item.row.question} → {item.row.answer}"


def _measured(item: Item, difficulty: Mapping[str, float]) -> Item:
    value = difficulty.get(item.row.uid)
    return item if value is None else replace(item, row=replace(item.row, difficulty=value))
