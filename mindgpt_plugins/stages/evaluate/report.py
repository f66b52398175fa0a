"""Where ``evaluate`` stands in the report: accuracy, retention, pass@k, branches and gates."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindgpt_plugins.stages.reporting import ReportRules, read_json_if_complete


class EvaluateReport(ReportRules):
    """Its scores."""

    def read_figures(self, folder: Path) -> Mapping[str, Any]:
        """``evaluations``: the content of ``scores.json``."""
        return {"evaluations": read_json_if_complete(folder / "scores.json")}
