"""Where ``dpo`` stands in the report: loss, implicit rewards, and pairs ranked right."""

from __future__ import annotations

from mindgpt_plugins.stages.reporting import Charts, ReportRules
from mindgpt_plugins.stages.sft.report import HEADING


class DPOReport(ReportRules):
    """Its curves."""

    charts = Charts(
        {
            "loss": r"loss(?:/(?P<label>.+))?",
            "implicit rewards": r"rewards/(?P<label>chosen|rejected|margins)",
            "pairs ranked right": r"rewards/(?P<label>accuracies)",
        },
        HEADING,
    )
