"""``python -m mindgpt_data.world config.json``: the ``world`` stage as a process.

The config is JSON: ``settings`` (:class:`mindgpt_data.world.config.WorldSettings`), ``seed``, ``folder`` (datasets) and
``plugins``. Writes ``metrics.jsonl`` and ``data_report.json`` beside the config.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mindgpt_data.world.config import WorldSettings
from mindgpt_data.world.pipeline import run
from mindgpt_plugins.core import registry
from mindgpt_plugins.core.files import read_json, write_json, write_text
from mindgpt_plugins.core.metrics import append_metrics


def main(argv: list[str]) -> int:
    """Run the stage; returns the exit status."""
    if len(argv) != 1:
        print("usage: python -m mindgpt_data.world config.json", file=sys.stderr)
        return 2
    config_path = Path(argv[0]).resolve()
    config = read_json(config_path)
    registry.load_plugins(config.get("plugins", ()))
    beside = config_path.parent
    # Finished sets report again on a restart, so the file is simply begun anew.
    write_text(beside / "metrics.jsonl", "")

    def progress(line: dict[str, Any]) -> None:
        append_metrics(beside / "metrics.jsonl", line["step"], line["total"], line)

    result = run(
        WorldSettings.model_validate(config["settings"]), int(config["seed"]), Path(config["folder"]), progress
    )
    write_json(beside / "data_report.json", result)
    for name, summary in result["sets"].items():
        dropped = sum(d["count"] for d in summary["funnel"]["dropped"])
        print(f"{name}: {summary['items']} items about {summary['images']} pictures, {dropped} dropped", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
