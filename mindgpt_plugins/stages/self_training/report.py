"""Where the self-training kinds stand in the report: what they made and dropped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindgpt_plugins.stages.reporting import ReportRules, read_json_if_complete


class SelfTrainingReport(ReportRules):
    """Its summary."""

    def read_figures(self, folder: Path) -> Mapping[str, Any]:
        """``self_training``: the content of ``summary.json``."""
        return {"self_training": read_json_if_complete(folder / "summary.json")}
