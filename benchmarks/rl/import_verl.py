"""What our entry point adds to ``import verl``, which verl does in every process it starts.

    python benchmarks/rl/import_verl.py      (about 3 minutes on 2 idle cores)

Three sides, interleaved, each in a fresh process: verl without plugins, with ours, and with ours asked to run on CPU
(``VERL_PLATFORM=cpu``). Processor seconds do not depend on what else the machine does. The bound is 0.3 s.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

from mindgpt_plugins.core.process import build_child_environment

RESULT = Path(__file__).parent.parent / "results" / "rl_import_verl.md"
SIDES = {
    "verl alone": {"VERL_USE_EXTERNAL_PLUGINS": "none"},
    "with ours": {},
    "with ours, VERL_PLATFORM=cpu": {"VERL_PLATFORM": "cpu"},
}
CODE = (
    "import json, time; wall, cpu = time.perf_counter(), time.process_time(); import verl;"
    "print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu]))"
)
BOUND = 0.3


def measure(environment: dict[str, str]) -> tuple[float, float]:
    """Wall and processor seconds of one ``import verl``."""
    inherited = {k: v for k, v in os.environ.items() if k != "VERL_PLATFORM"}
    child = inherited | build_child_environment(cpu=True, offline=True, extra=environment)
    done = subprocess.run([sys.executable, "-c", CODE], env=child, capture_output=True, text=True, check=True)
    wall, cpu = json.loads(done.stdout.splitlines()[-1])
    return wall, cpu


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    measure({})  # fills the file cache
    times: dict[str, list[tuple[float, float]]] = {side: [] for side in SIDES}
    for _ in range(rounds):
        for side, environment in SIDES.items():
            times[side].append(measure(environment))
    table = [
        "| side | processor seconds | wall seconds | more than alone (processor s) | within 0.3 s |",
        "|---|---|---|---|---|",
    ]
    alone = [cpu for _, cpu in times["verl alone"]]
    for side, both in times.items():
        wall, cpu = ([t[i] for t in both] for i in (0, 1))
        more = statistics.median(mine - theirs for mine, theirs in zip(cpu, alone, strict=True))
        last = f"{more:+.2f} | {'yes' if more <= BOUND else 'no'}" if side != "verl alone" else "– | –"
        shown = [f"{statistics.median(v):.2f} [{min(v):.2f}, {max(v):.2f}]" for v in (cpu, wall)]
        table.append(f"| {side} | {shown[0]} | {shown[1]} | {last} |")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("verl", "torch", "transformers"))
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}"
    how = f"Median of {rounds} interleaved processes, range in brackets; the difference is the median over rounds."
    text = "\n\n".join(
        [f"`python benchmarks/rl/import_verl.py --rounds {rounds}`", f"{machine}. {how}", "\n".join(table)]
    )
    text += "\n"
    RESULT.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
