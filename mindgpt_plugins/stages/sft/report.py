"""Where ``sft`` stands in the report: loss by source, KL, difficulty and mixture."""

from __future__ import annotations

from mindgpt_plugins.stages.reporting import Charts, ReportRules

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
