"""All figures of the report as plain data: what ``report.json`` holds."""

from __future__ import annotations

from typing import Any

from mindgpt_data.report.branches import branches
from mindgpt_data.report.costs import costs
from mindgpt_data.report.density import budget, density
from mindgpt_data.report.focus import focus
from mindgpt_data.report.gates import gates
from mindgpt_data.report.items import distributions, samples, twins
from mindgpt_data.report.load import Corpus
from mindgpt_data.report.overview import overview
from mindgpt_data.report.pairs import near_duplicates
from mindgpt_data.report.summary import summary


def figures(corpus: Corpus) -> dict[str, Any]:
    """Every section's figures; None for a section whose step has not run."""
    return {
        "schema": 1,
        "name": corpus.work.folder.resolve().name,
        "overview": overview(corpus),
        "summary": summary(corpus),
        "trees": {dimension: branches(corpus, dimension) for dimension in corpus.trees},
        "density": density(corpus),
        "budget": budget(corpus),
        "focus": focus(corpus),
        "gates": gates(corpus),
        "near_duplicates": near_duplicates(corpus),
        "items": distributions(corpus),
        "twins": twins(corpus),
        "costs": costs(corpus),
        "samples": samples(corpus),
    }
