"""Where ``data`` stands in the report: the counts of its steps, and a link to its own page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindgpt_plugins.stages.reporting import ReportRules, read_json_if_complete


class DataReport(ReportRules):
    """Its steps."""

    def read_figures(self, folder: Path) -> Mapping[str, Any]:
        """``corpora``: the path of its own page, and the counts of each of its steps."""
        steps = []
        for path in sorted((folder / "work" / "steps").glob("*.json"), key=lambda p: p.stat().st_mtime):
            summary = read_json_if_complete(path) or {}
            steps.append({k: v for k, v in summary.items() if isinstance(v, (int, float, str)) and k != "fingerprint"})
        return {"corpora": {"page": str(folder / "work" / "report.html"), "steps": steps}}
