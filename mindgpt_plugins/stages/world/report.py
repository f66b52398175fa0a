"""Where ``world`` stands in the report: its sets, density and funnel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindgpt_plugins.stages.reporting import ReportRules, read_json_if_complete


class WorldReport(ReportRules):
    """Its data report."""

    def read_figures(self, folder: Path) -> Mapping[str, Any]:
        """``data``: the content of ``data_report.json``."""
        return {"data": read_json_if_complete(folder / "data_report.json")}
