"""One self-contained HTML page and the same figures as JSON, for a run that is finished or not.

See ``docs/report.md`` for the keys of ``report.json``.
"""

from mindgpt_plugins.workbench.report.build import build_report

__all__ = ["build_report"]
