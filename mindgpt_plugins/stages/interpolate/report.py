"""Where ``interpolate`` stands in the report: the candidates that alpha was chosen from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindgpt_plugins.stages.reporting import ReportRules, read_json_if_complete


class InterpolateReport(ReportRules):
    """Its candidates."""

    def read_figures(self, folder: Path) -> Mapping[str, Any]:
        """``interpolations``: the content of ``chosen.json``."""
        return {"interpolations": read_json_if_complete(folder / "chosen.json")}
