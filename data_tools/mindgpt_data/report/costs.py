"""What was asked of models, and what it cost."""

from __future__ import annotations

from typing import Any

from mindgpt_data.report.load import ReportInputs


def collect_cost_figures(corpus: ReportInputs) -> dict[str, Any]:
    """Requests, tokens and cost by step and model, over all runs in this folder.

    Returns:
        ``rows``: ``{step, model, done, failed, attempts, prompt_tokens, completion_tokens, cost}``; ``cost``: their
        sum, in the unit of the endpoints' prices.
    """
    from mindgpt_data.client.spend import read_usage

    rows = read_usage(corpus.work.store)
    return {"rows": rows, "cost": sum(row["cost"] for row in rows)}
