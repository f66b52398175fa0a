"""Where ``dpo`` stands in the report: loss, implicit rewards, and pairs ranked right."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindgpt_plugins.stages.reporting import Charts, ReportRules, read_json_if_complete
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

    def read_figures(self, folder: Path) -> Mapping[str, Any]:
        """``trained_on``: as in :class:`SFTReport`."""
        return {"trained_on": read_json_if_complete(folder / "trained_on.json")}
