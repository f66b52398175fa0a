"""What was dropped, by whom, why, and a few examples."""

from __future__ import annotations

from collections import Counter
from typing import Any

from mindgpt_data.report.load import ReportInputs


def collect_gate_figures(corpus: ReportInputs) -> dict[str, Any]:
    """The gates in the order they ran, what each let through, and the reasons with examples.

    Returns:
        ``funnel``: ``{gate, before, dropped, after, reasons: {reason: n}}`` for the filter step; ``notes``: what
        it could not measure; ``steps``: other
        step → gate → reason → n; ``examples``: ``{step, gate, reason, count, items: [{key, detail, image, question,
        answer}]}``, most frequent first.
    """
    dropped = corpus.drops.get("filter", [])
    by_gate: dict[str, Counter[str]] = {}
    for drop in dropped:
        by_gate.setdefault(drop.gate, Counter())[drop.reason] += 1
    passages = (corpus.summaries.get("filter") or {}).get("funnel", [])
    order = [p["gate"] for p in passages if p["gate"] in by_gate or p["gate"] != "input"]
    order = order or [g.name for g in corpus.settings.filter.gates if g.name in by_gate]
    order += [gate for gate in by_gate if gate not in order]
    left = corpus.candidates.rows if corpus.candidates else sum(map(Counter.total, by_gate.values()))
    if corpus.kept and not corpus.candidates:
        left += corpus.kept.rows
    funnel = []
    for gate in order:
        reasons = by_gate.get(gate, Counter())
        lost = reasons.total()
        funnel.append(
            {
                "gate": gate,
                "before": left,
                "dropped": lost,
                "after": left - lost,
                "reasons": dict(reasons.most_common()),
            }
        )
        left -= lost
    others: dict[str, dict[str, dict[str, int]]] = {}
    for step, drops in corpus.drops.items():
        if step != "filter":
            for (gate, reason), n in Counter((d.gate, d.reason) for d in drops).most_common():
                others.setdefault(step, {}).setdefault(gate, {})[reason] = n
    notes = [note for passage in passages for note in passage.get("notes", [])]
    return {"funnel": funnel, "notes": notes, "steps": others, "examples": _examples(corpus)}


def _examples(corpus: ReportInputs) -> list[dict[str, Any]]:
    counts = Counter((step, d.gate, d.reason) for step, drops in corpus.drops.items() for d in drops)
    rows = corpus.candidates.wanted if corpus.candidates else {}
    made = []
    for (step, gate, reason), drops in corpus.examples.items():
        items = []
        for drop in drops:
            row = rows.get(drop.key)
            known = drop.key if drop.key in (corpus.images or {}) else None
            items.append(
                {
                    "key": drop.key,
                    "detail": drop.detail,
                    "image": row.image[0] if row and row.image else known,
                    "question": row.question if row else None,
                    "answer": row.answer if row else None,
                }
            )
        made.append({"step": step, "gate": gate, "reason": reason, "count": counts[step, gate, reason], "items": items})
    return made
