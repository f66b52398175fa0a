"""The quickstart over several seeds: every claim of the README as mean and range.

    python benchmarks/quickstart_seeds.py --seeds 0 1 2          (about 20 minutes per seed on 2 idle cores)

Resumable: a seed that is done is reused, a killed one goes on. Prints a Markdown table and writes it with machine and
versions to ``benchmarks/results/quickstart_seeds.md``.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mindgpt_plugins.core import compat
from mindgpt_plugins.core.folders import find_run

ROOT = Path(__file__).parent.parent
STAGES = ("base", "domain", "restore", "align", "rl")


def accuracy(report: dict[str, Any], stage: str, source: str) -> float:
    """Greedy accuracy (percent) on the held-out test set."""
    row = next(row for row in report["matrix"]["rows"] if row["stage"] == f"eval_{stage}")
    for column, cell in zip(report["matrix"]["columns"], row["cells"], strict=True):
        if (column["source"], column["capability"]) == (source, "all"):
            return float(100 * cell["accuracy"])
    raise KeyError(source)


def gate(report: dict[str, Any]) -> dict[str, Any]:
    """The forgetting gate after restoration."""
    found: dict[str, Any] = next(e["gate"] for e in report["evaluations"] if e["stage"] == "eval_restore")
    return found


def sampled(report: dict[str, Any], key: str, when: str) -> float:
    """A before/after figure of the RL stage."""
    return float(report["headline"]["rl"][key][when])


FIGURES: dict[str, Callable[[dict[str, Any]], float]] = {
    **{
        f"{source} accuracy after {stage} (%)": (lambda r, s=stage, g=source: accuracy(r, s, g))  # type: ignore[misc]
        for stage in STAGES
        for source in ("general", "domain")
    },
    "gate after restore: worst group's lower bound (points)": lambda r: 100 * min(g["low"] for g in gate(r)["groups"]),
    "gate after restore: share of domain gain kept (%)": lambda r: 100 * gate(r)["domain"]["kept"],
    "gate after restore passed (1 = yes)": lambda r: float(gate(r)["passed"]),
    "RL training reward, first tenth": lambda r: sampled(r, "reward", "before"),
    "RL training reward, last tenth": lambda r: sampled(r, "reward", "after"),
    "RL pass@k before (%)": lambda r: 100 * sampled(r, "pass_at", "before"),
    "RL pass@k after (%)": lambda r: 100 * sampled(r, "pass_at", "after"),
    "minutes of stages": lambda r: sum(stage["seconds"] for stage in r["stages"]) / 60,
    "peak memory (GB)": lambda r: max(stage["peak_rss_bytes"] for stage in r["stages"]) / 1e9,
}


def main() -> None:
    """Run the seeds one after the other and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    arguments = parser.parse_args()
    reports = []
    for seed in arguments.seeds:
        command = ["run", str(ROOT / "recipes" / "quickstart.yaml"), f"seed={seed}", "--runs", str(arguments.runs)]
        subprocess.run([sys.executable, "-m", "mindgpt_plugins.cli", *command], check=True)
        reports.append(json.loads((find_run(arguments.runs, "quickstart") / "report.json").read_text()))
    heads = [f"seed {seed}" for seed in arguments.seeds]
    lines = [
        f"| figure | {' | '.join(heads)} | mean | range |",
        "|---|" + "---|" * (len(heads) + 2),
    ]
    for name, figure in FIGURES.items():
        values = [figure(report) for report in reports]
        shown = " | ".join(f"{value:.2f}" for value in values)
        spread = f"{min(values):.2f} to {max(values):.2f}"
        lines.append(f"| {name} | {shown} | {statistics.mean(values):.2f} | {spread} |")
    hosts = ", ".join(f"{name} {compat.find_installed_version(name)}" for name in compat.HOSTS)
    head = f"`python benchmarks/quickstart_seeds.py --seeds {' '.join(map(str, arguments.seeds))}`\n\n"
    head += (
        f"{platform.machine()}, Python {platform.python_version()}, {hosts}. Test set, greedy replies unless said.\n\n"
    )
    print("\n".join(lines))
    (ROOT / "benchmarks" / "results" / "quickstart_seeds.md").write_text(head + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
