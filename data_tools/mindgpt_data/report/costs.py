"""What was asked of models, and what it cost."""

from __future__ import annotations

from typing import Any

from mindgpt_data.report.load import Corpus


def costs(corpus: Corpus) -> dict[str, Any]:
    """Requests, tokens and cost by step and model, over all runs in this folder.

    Returns:
        ``rows``: ``{step, model, done, failed, attempts, prompt_tokens, completion_tokens, cost}``; ``cost``: their
        sum, in the unit of the endpoints' prices.
    """
    if not corpus.work.store.is_file():
        return {"rows": [], "cost": 0.0}
    from mindgpt_data.client.store import Store

    with Store(corpus.work.store) as store:
        rows = store.usage()
    return {"rows": rows, "cost": sum(row["cost"] for row in rows)}
