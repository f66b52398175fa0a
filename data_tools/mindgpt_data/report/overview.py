"""What has run, what came of it and what it cost."""

from __future__ import annotations

from typing import Any

from mindgpt_data.report.load import STEPS, ReportInputs


def collect_overview(corpus: ReportInputs) -> dict[str, Any]:
    """Steps with their state and times, and the funnel from pictures to kept items.

    Returns:
        ``steps``: per step ``{step, done, seconds, dropped}``; ``funnel``: ``[label, number or None]`` in order;
        ``sets``: exported sets with
        items and images; ``sources``: images per source; ``unscored``: the first pictures without a density.
    """
    present = {
        "images": corpus.images is not None,
        "density": corpus.density is not None,
        "match": corpus.matches is not None,
        "budget": corpus.budget is not None,
        "generate": corpus.candidates is not None,
        "filter": corpus.kept is not None,
        "export": "export" in corpus.summaries,
    }
    steps = [
        {
            "step": step,
            "done": step in corpus.summaries,
            "started": present[step],
            "seconds": (corpus.summaries.get(step) or {}).get("seconds"),
            "dropped": len(corpus.drops.get(step, ())),
        }
        for step in STEPS
    ]
    planned = sum(b["items"] for b in corpus.budget.values()) if corpus.budget is not None else None
    sources: dict[str, int] = {}
    for record in (corpus.images or {}).values():
        sources[record.source] = sources.get(record.source, 0) + 1
    return {
        "steps": steps,
        "funnel": [
            ["pictures", _size(corpus.images)],
            ["scored", _size(corpus.density)],
            ["with a topic", sum(map(bool, corpus.matches.values())) if corpus.matches is not None else None],
            ["items planned", planned],
            ["items generated", corpus.candidates.rows if corpus.candidates else None],
            ["items kept", corpus.kept.rows if corpus.kept else None],
            ["exported with twins" if corpus.twins else "exported", corpus.exported.rows if corpus.exported else None],
        ],
        "sets": corpus.summaries.get("export", {}).get("sets", {}),
        "sources": sources,
        "unscored": sorted(set(corpus.images or ()) - set(corpus.density))[:20] if corpus.density is not None else [],
    }


def _size(found: Any) -> int | None:
    return None if found is None else len(found)
