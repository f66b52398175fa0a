"""``python -m mindgpt_data config.json``: the stages ``data`` and ``world`` as a process.

The config is JSON: ``runs`` (each with ``settings``, :class:`mindgpt_data.schema.config.DataSettings`, and its ``work``
folder), ``datasets`` (one folder for the sets of all runs, or null: each in its work folder), ``seed``, ``engine`` and
``plugins``. Writes ``metrics.jsonl`` and ``data_report.json`` beside the config; everything else goes to the folders.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mindgpt_data import engines
from mindgpt_data.io.work import Work
from mindgpt_data.report.summary import build_data_report
from mindgpt_data.schema.config import DataSettings
from mindgpt_data.steps import check, pipeline
from mindgpt_data.steps.report import load_label_trees
from mindgpt_data.steps.report import run as write_report
from mindgpt_plugins.core import guard, registry
from mindgpt_plugins.core.files import read_json, write_json, write_text
from mindgpt_plugins.core.metrics import append_metrics


def main(argv: list[str]) -> int:
    """Run the stage; returns the exit status."""
    if len(argv) != 1:
        print("usage: python -m mindgpt_data config.json", file=sys.stderr)
        return 2
    path = Path(argv[0]).resolve()
    config = read_json(path)
    registry.load_plugins(config["plugins"])
    shared, seed = config["datasets"], int(config["seed"])
    runs = [
        (Work(Path(one["work"]), Path(shared) if shared else None), DataSettings.model_validate(one["settings"]))
        for one in config["runs"]
    ]
    made: dict[str, dict[str, Any]] = {}
    metrics = path.parent / "metrics.jsonl"
    # Runs that are done report again on a restart, so the file is simply begun anew.
    write_text(metrics, "")
    with engines.use_engine(config["engine"]):
        for number, (work, settings) in enumerate(runs):
            # Only now: what a run is compared with may be what an earlier one exports.
            check.require_valid_settings(settings)
            if len(runs) > 1:
                print(f"{work.folder.name} ({number + 1} of {len(runs)})", flush=True)
            bar = _Bar(metrics, work, number, len(runs))
            plugins: Sequence[str] = config["plugins"]
            pipeline.run(work, settings, seed=seed, progress=bar.progress, listen=bar.listen, plugins=plugins)
            if work.read_summary("report") is None:
                write_report(work, settings, seed=seed)
            made[settings.export.name] = read_json(work.folder / "report.json")["summary"]
    # A stage's runs share their label trees.
    write_json(path.parent / "data_report.json", build_data_report(made, load_label_trees(runs[0][1])))
    return 0


class _Bar:
    """One progress bar for the whole stage: every step of every run is 100 of it."""

    def __init__(self, metrics: Path, work: Work, run: int, runs: int) -> None:
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
        append_metrics(self.metrics, step, self.total, numbers)


if __name__ == "__main__":
    guard.exit_on_signals()  # answers that have arrived are still stored
    sys.exit(main(sys.argv[1:]))
