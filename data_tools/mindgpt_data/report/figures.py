"""All figures of the report as plain data: what ``report.json`` holds."""

from __future__ import annotations

from typing import Any

from mindgpt_data.report.branches import collect_tree_figures
from mindgpt_data.report.costs import collect_cost_figures
from mindgpt_data.report.density import collect_budget_figures, collect_density_figures
from mindgpt_data.report.focus import collect_focus_figures
from mindgpt_data.report.gates import collect_gate_figures
from mindgpt_data.report.items import collect_item_distributions, collect_twin_pairs, list_sample_rows
from mindgpt_data.report.load import ReportInputs
from mindgpt_data.report.overview import collect_overview
from mindgpt_data.report.pairs import find_near_duplicates
from mindgpt_data.report.summary import summarise_run


def collect_figures(corpus: ReportInputs) -> dict[str, Any]:
    """Every section's figures; None for a section whose step has not run."""
    return {
        "schema": 1,
        "name": corpus.work.folder.resolve().name,
        "overview": collect_overview(corpus),
        "summary": summarise_run(corpus),
        "trees": {dimension: collect_tree_figures(corpus, dimension) for dimension in corpus.trees},
        "density": collect_density_figures(corpus),
        "budget": collect_budget_figures(corpus),
        "focus": collect_focus_figures(corpus),
        "gates": collect_gate_figures(corpus),
        "near_duplicates": find_near_duplicates(corpus),
        "items": collect_item_distributions(corpus),
        "twins": collect_twin_pairs(corpus),
        "costs": collect_cost_figures(corpus),
        "samples": list_sample_rows(corpus),
    }
