"""Where ``sft`` stands in the report: loss by source, KL, difficulty and mixture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindgpt_plugins.stages.reporting import Charts, ReportRules, read_json_if_complete

HEADING = "Supervised and preference stages"


class SFTReport(ReportRules):
    """Its curves."""

    charts = Charts(
        {
            "loss by source": r"loss(?:/(?P<label>.+))?",
            "KL to the reference": r"kl/(?P<label>.+)",
            "difficulty of the batch": r"(?P<label>difficulty)",
            "share in the mixture": r"share/(?P<label>.+)",
        },
        HEADING,
    )

    def read_figures(self, folder: Path) -> Mapping[str, Any]:
        """``trained_on``: rows of each set that were left to train on, as the trainer counted them."""
        return {"trained_on": read_json_if_complete(folder / "trained_on.json")}
