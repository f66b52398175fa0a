"""``python -m mindgpt_data config.json``: the ``data`` stage as a process.

The config is JSON: ``settings`` (:class:`mindgpt_data.schema.config.DataSettings`), ``seed``, ``work`` (folder),
``engine`` and ``plugins``. Writes ``metrics.jsonl`` beside the config; everything else goes to the work folder.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mindgpt_data import engines
from mindgpt_data.io.work import Work
from mindgpt_data.schema.config import DataSettings
from mindgpt_data.steps import check, pipeline
from mindgpt_data.steps.report import run as write_report
from mindgpt_plugins.core import registry
from mindgpt_plugins.core.files import read_json, write_text
from mindgpt_plugins.core.metrics import append_metrics


def main(argv: list[str]) -> int:
    """Run the stage; returns the exit status."""
    if len(argv) != 1:
        print("usage: python -m mindgpt_data config.json", file=sys.stderr)
        return 2
    path = Path(argv[0]).resolve()
    config = read_json(path)
    registry.load_plugins(config["plugins"])
    settings = DataSettings.model_validate(config["settings"])
    work, seed = Work(Path(config["work"])), int(config["seed"])
    check.require(settings)
    names = [step.name for step in pipeline.STEPS]
    at = {"number": 0}
    # Steps that are done report again on a restart, so the file is simply begun anew.
    metrics = path.parent / "metrics.jsonl"
    write_text(metrics, "")

    def write(share: float, numbers: dict[str, Any]) -> None:
        # One progress bar for the whole stage: every step is 100 of it.
        append_metrics(metrics, round(100 * (at["number"] + share)), 100 * len(names), numbers)

    def progress(update: dict[str, Any]) -> None:
        numbers = {k: update[k] for k in ("failed", "rate", "cost") if update.get(k) is not None}
        write(update.get("step", 0) / (update.get("total") or float("inf")), numbers)

    def listen(step: str, state: str, summary: dict[str, Any] | None) -> None:
        at["number"] = names.index(step) + (state != "running")
        print(f"{step} {state}", flush=True)
        write(0.0, {})

    with engines.use(config["engine"]):
        pipeline.run(work, settings, seed=seed, progress=progress, listen=listen, plugins=config["plugins"])
    write_report(work, settings, seed=seed)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
