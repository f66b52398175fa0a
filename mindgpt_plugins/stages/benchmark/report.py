"""Where ``benchmark`` stands in the report: accuracy on public benchmarks, what changed, and its gate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindgpt_plugins.stages.reporting import ReportRules, read_json_if_complete


class BenchmarkReport(ReportRules):
    """Its scores."""

    def read_figures(self, folder: Path) -> Mapping[str, Any]:
        """``benchmarks``: the content of ``scores.json``."""
        return {"benchmarks": read_json_if_complete(folder / "scores.json")}
