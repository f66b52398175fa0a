"""What a benchmark of the data tools ran on, and how its result file looks."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "results"


def describe() -> str:
    """Processor, cores, load at this moment, Python and the packages that matter."""
    names = {line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")}
    load = os.getloadavg()[0]
    packages = ", ".join(f"{name} {version(name)}" for name in ("mindgpt-plugins", "aiohttp", "pydantic"))
    return (
        f"{' / '.join(names) or platform.processor()}, {os.cpu_count()} cores, load {load:.1f}; "
        f"Python {platform.python_version()}, {packages}"
    )


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def write_result(name: str, title: str, what: str, sections: Sequence[Sequence[str]]) -> None:
    """Write ``benchmarks/results/<name>.md``: what was measured, on what, by which command, and the tables."""
    command = f"python benchmarks/data/{Path(sys.argv[0]).name} {' '.join(sys.argv[1:])}".strip()
    parts = [f"# {title}", f"Machine: {describe()}.\n\nCommand: `{command}`", what.strip()]
    path = RESULTS / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join([*parts, *("\n".join(section) for section in sections)]) + "\n", encoding="utf-8")
    print(f"written: {path}")
