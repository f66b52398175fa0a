"""Counts over a file of rows in one pass: what the report needs of a hundred thousand items without holding them."""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from mindgpt_data.schema.rows import Row

BINS = 20
"""Bins of difficulty over [0, 1]."""


@dataclass
class RowTally:
    """What a rows file holds.

    Attributes:
        rows: how many.
        by: ``knowledge``, ``capability``, ``image``, ``source``, ``type``, ``answer_type``, ``split`` → value → rows;
            an item over several images counts for each of them.
        difficulty: rows per bin of [0, 1].
        answers: capability → short answer (lower case) → rows; only where answers can be guessed (no boxes, no open
            questions).
        sample: a few rows, chosen by the seed alone.
        wanted: the rows asked for by uid.
        adversarial: rows of that type.
    """

    rows: int = 0
    by: dict[str, Counter[str]] = field(default_factory=dict)
    difficulty: list[int] = field(default_factory=lambda: [0] * BINS)
    answers: dict[str, Counter[str]] = field(default_factory=dict)
    sample: list[Row] = field(default_factory=list)
    wanted: dict[str, Row] = field(default_factory=dict)
    adversarial: list[Row] = field(default_factory=list)


def tally_rows(
    rows: Iterable[Row], *, wanted: frozenset[str] = frozenset(), sample: int = 0, seed: int = 0
) -> RowTally:
    """Count ``rows`` and keep a few.

    Args:
        rows: streamed once.
        wanted: uids to keep whole.
        sample: how many rows to draw, uniformly.
        seed: of the draw; the same file and seed give the same rows.
    """
    made = RowTally(
        by={k: Counter() for k in ("knowledge", "capability", "image", "source", "type", "answer_type", "split")}
    )
    drawn: list[tuple[int, int, Row]] = []  # a heap of the `sample` smallest hashes, largest on top
    for row in rows:
        made.rows += 1
        for key in ("capability", "source", "type", "answer_type", "split"):
            made.by[key][getattr(row, key)] += 1
        if row.knowledge is not None:
            made.by["knowledge"][row.knowledge] += 1
        made.by["image"].update(dict.fromkeys(row.image, 1))
        made.difficulty[min(BINS - 1, int(row.difficulty * BINS))] += 1
        if row.type == "verifiable" and row.answer_type != "box":
            made.answers.setdefault(row.capability, Counter())[row.answer.strip().lower()] += 1
        if row.uid in wanted:
            made.wanted[row.uid] = row
        if row.type == "adversarial":
            made.adversarial.append(row)
        if sample:
            entry = (-compute_random_rank(seed, row.uid), made.rows, row)
            if len(drawn) < sample:
                heapq.heappush(drawn, entry)
            elif entry[0] > drawn[0][0]:
                heapq.heapreplace(drawn, entry)
    made.sample = [row for _, _, row in sorted(drawn, key=lambda e: (-e[0], e[1]))]
    return made


def compute_random_rank(seed: int, key: str) -> int:
    """A number that orders keys by chance, the same in every run."""
    return int.from_bytes(hashlib.sha256(f"{seed} {key}".encode("utf-8", "surrogatepass")).digest()[:8], "big")
