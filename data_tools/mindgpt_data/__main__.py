"""``python -m mindgpt_data config.json``: the stages ``data`` and ``world`` as a process.

The config is JSON: ``runs`` (each with ``settings``, :class:`mindgpt_data.config.DataSettings`, and its ``work``
folder), ``datasets`` (one folder for the sets of all runs, or null: each in its work folder), ``seed``, ``engine`` and
``plugins``. Writes ``metrics.jsonl`` and ``data_report.json`` beside the config; everything else goes to the folders.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from mindgpt_data import check, engines, files, pipeline
from mindgpt_data.config import DataSettings
from mindgpt_data.report.summary import data_report
from mindgpt_data.steps.report import run as write_report
from mindgpt_data.steps.report import trees
from mindgpt_data.work import Work
from mindgpt_plugins import registry


def main(argv: list[str]) -> int:
    """Run the stage; returns the exit status."""
    if len(argv) != 1:
        print("usage: python -m mindgpt_data config.json", file=sys.stderr)
        return 2
    path = Path(argv[0]).resolve()
    config = json.loads(path.read_text(encoding="utf-8"))
    registry.load_plugins(config["plugins"])
    shared, seed = config["datasets"], int(config["seed"])
    runs = [
        (Work(Path(one["work"]), Path(shared) if shared else None), DataSettings.model_validate(one["settings"]))
        for one in config["runs"]
    ]
    made: dict[str, dict[str, Any]] = {}
    # Runs that are done report again on a restart, so the file is simply begun anew.
    with (path.parent / "metrics.jsonl").open("w", encoding="utf-8") as metrics, engines.use(config["engine"]):
        for number, (work, settings) in enumerate(runs):
            # Only now: what a run is compared with may be what an earlier one exports.
            check.require(settings)
            if len(runs) > 1:
                print(f"{work.folder.name} ({number + 1} of {len(runs)})", flush=True)
            bar = _Bar(metrics, work, number, len(runs))
            plugins: Sequence[str] = config["plugins"]
            pipeline.run(work, settings, seed=seed, progress=bar.progress, listen=bar.listen, plugins=plugins)
            if work.read_summary("report") is None:
                write_report(work, settings, seed=seed)
            report = json.loads((work.folder / "report.json").read_text(encoding="utf-8"))
            made[settings.export.name] = report["summary"]
    # A stage's runs share their label trees.
    together = data_report(made, trees(runs[0][1]))
    files.write_text(path.parent / "data_report.json", json.dumps(together, indent=1, ensure_ascii=False) + "\n")
    return 0


class _Bar:
    """One progress bar for the whole stage: every step of every run is 100 of it."""

    def __init__(self, metrics: TextIO, work: Work, run: int, runs: int) -> None:
        self.metrics, self.work = metrics, work
        self.names = [step.name for step in pipeline.STEPS]
        self.before, self.total = run * len(self.names), 100 * runs * len(self.names)
        self.number, self.shown = 0, -1

    def progress(self, update: dict[str, Any]) -> None:
        numbers = {k: update[k] for k in ("failed", "rate", "cost") if isinstance(update.get(k), (int, float))}
        self._write(update.get("step", 0) / (update.get("total") or float("inf")), numbers)

    def listen(self, step: str, state: str, summary: dict[str, Any] | None) -> None:
        self.number = self.names.index(step) + (state != "running")
        if state == "running":
            self.work.summary("report").unlink(missing_ok=True)  # what it shows is about to change
        print(f"{step} {state}", flush=True)
        self._write(0.0, {})

    def _write(self, share: float, numbers: dict[str, Any]) -> None:
        step = round(100 * (self.before + self.number + share))
        if step == self.shown and not numbers:
            return  # steps tell of every picture
        self.shown = step
        self.metrics.write(json.dumps({"step": step, "total": self.total, **numbers}) + "\n")
        self.metrics.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
