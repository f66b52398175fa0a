"""Difficulty, answers, adversarial twins and a sample of the kept items."""

from __future__ import annotations

from typing import Any

from mindgpt_data.report.load import ReportInputs
from mindgpt_data.report.tally import BINS, compute_random_rank
from mindgpt_data.schema.rows import Row

ANSWERS = 5
"""Most common answers shown per capability."""
TWINS = 8


def collect_item_distributions(corpus: ReportInputs) -> dict[str, Any] | None:
    """How hard the kept items are and how far guessing gets; None before ``filter`` has run.

    Returns:
        ``difficulty``: items per bin of [0, 1]; ``type``, ``answer_type``, ``source`` and ``split`` counts;
        ``guessing``: accuracy of always giving the most common answer of the capability (verifiable items without
        boxes), and the same per ``capability`` with its most common answers.
    """
    kept = corpus.kept
    if kept is None:
        return None
    capabilities: list[dict[str, Any]] = []
    for name, answers in kept.answers.items():
        total = answers.total()
        capabilities.append(
            {
                "capability": name,
                "items": total,
                "different": len(answers),
                "guess": answers.most_common(1)[0][1] / total,
                "answers": [[a, n] for a, n in answers.most_common(ANSWERS)],
            }
        )
    capabilities.sort(key=lambda c: (-c["items"], c["capability"]))
    counted = sum(c["items"] for c in capabilities)
    return {
        "bins": BINS,
        "difficulty": kept.difficulty,
        **{key: dict(kept.by[key].most_common()) for key in ("type", "answer_type", "source", "split")},
        "guessing": sum(c["guess"] * c["items"] for c in capabilities) / counted if counted else None,
        "guessing_items": counted,
        "capabilities": capabilities,
    }


def collect_twin_pairs(corpus: ReportInputs) -> dict[str, Any] | None:
    """Adversarial items beside their answerable partners; None before ``filter`` has run.

    Returns:
        ``items``: adversarial rows of the exported sets, else of what was kept; ``alone``: those whose partner is not
        there; a few ``pairs``.
    """
    if corpus.kept is None and corpus.exported is None:
        return None
    paired = [(row, partner) for row, partner in corpus.twins if partner is not None]
    shown = sorted(paired, key=lambda pair: compute_random_rank(corpus.seed, pair[0].uid))[:TWINS]
    return {
        "items": len(corpus.twins),
        "alone": len(corpus.twins) - len(paired),
        "pairs": [
            {"adversarial": make_plain_row(row), "answerable": make_plain_row(partner)} for row, partner in shown
        ],
    }


def list_sample_rows(corpus: ReportInputs) -> list[dict[str, Any]]:
    """Kept items drawn by the seed."""
    return [make_plain_row(row) for row in corpus.kept.sample] if corpus.kept else []


def make_plain_row(row: Row) -> dict[str, Any]:
    """What the page shows of a row."""
    keys = ("uid", "image", "question", "answer", "response", "answer_type", "source", "knowledge", "capability")
    return {**{key: getattr(row, key) for key in keys}, **{k: getattr(row, k) for k in ("ids", "difficulty", "type")}}
