"""Throughput and CPU of the model-server client, alone over concurrency, and beside distilabel and data-designer.

    python benchmarks/data/throughput.py                                    # our client only
    python benchmarks/data/throughput.py --with distilabel,data-designer    # builds their environments first, with pip

The server is the stub (``mindgpt_data.testing.stub``) in a process of its own: a fixed latency, any concurrency, the
same answer to all. Every client runs in a process of its own too, makes the same requests (one user message of 350
characters, a two-field schema, parsed and stored; distilabel is spared the schema), and measures its own CPU time. "Of
ideal" compares with rows × latency / in flight; "of allowed" with the time the stub really took (its timers and the
machine add a little).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from machine import describe, write_result

WORKERS = Path(__file__).parent / "throughput_workers"
OTHERS = {"distilabel": ["distilabel[openai]", "requests"], "data-designer": ["data-designer"]}
"""What pip installs; distilabel imports requests without declaring it."""
GRID = ((5.0, 8, 4), (5.0, 64, 4), (5.0, 256, 4), (0.1, 8, 240), (0.1, 64, 240), (0.1, 256, 240))
"""Latency, in flight, waves of requests."""


@contextmanager
def stub(latency: float) -> Iterator[str]:
    command = [sys.executable, "-m", "mindgpt_data.testing.stub", "--port", "0", "--latency", str(latency)]
    command += ["--reply", "reply:fenced"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=WORKERS) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def stats(url: str) -> dict[str, float]:
    with urllib.request.urlopen(url.replace("/v1", "/stats")) as response:
        return dict(json.load(response))


def measure(python: str, worker: str, url: str, rows: int, in_flight: int) -> dict[str, float]:
    """One run of a worker; adds what the server saw."""
    before = stats(url)
    command = [python, str(WORKERS / f"with_{worker}.py"), url, str(rows), str(in_flight)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"seconds"')]
    if done.returncode or not lines:
        raise SystemExit(f"{worker} failed ({done.returncode}):\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}")
    result: dict[str, float] = json.loads(lines[-1])
    after = stats(url)
    result["requests"] = after["requests"] - before["requests"]
    result["busy"] = after["busy"] - before["busy"]
    return result


def environment(name: str, folder: Path) -> str:
    """A virtual environment that holds one comparison; kept in ``folder`` for the next time."""
    python = folder / name / "bin" / "python"
    if not python.exists():
        print(f"building an environment for {name} in {folder / name}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder / name)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *OTHERS[name]], check=True)
    return str(python)


def version(python: str, name: str) -> str:
    command = [python, "-c", f"from importlib.metadata import version; print(version({name!r}))"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def alone(grid: tuple[tuple[float, int, int], ...], repeats: int) -> list[str]:
    lines = ["| latency | in flight | rows | of ideal | of allowed | CPU per row |", "|---|---|---|---|---|---|"]
    for latency, in_flight, waves in grid:
        rows = in_flight * waves
        with stub(latency) as url:
            runs = [measure(sys.executable, "ours", url, rows, in_flight) for _ in range(repeats)]
        ideal = [rows * latency / in_flight / run["seconds"] for run in runs]
        allowed = [run["busy"] / in_flight / run["seconds"] for run in runs]
        cpu = [run["cpu"] / rows * 1e3 for run in runs]
        lines.append(
            f"| {latency:g} s | {in_flight} | {rows} | {spread(ideal, '.1%')} | {spread(allowed, '.1%')} "
            f"| {spread(cpu, '.2f')} ms |"
        )
        print(lines[-1], flush=True)
    return lines


def beside(names: list[str], folder: Path, rows: int, in_flight: int, latency: float, repeats: int) -> list[str]:
    pythons = {"ours": sys.executable} | {name: environment(name, folder) for name in names}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in pythons}
    with stub(latency) as url:
        for _ in range(repeats):  # interleaved: what else the machine does hits all alike
            for name, python in pythons.items():
                found[name].append(measure(python, name.replace("-", "_"), url, rows, in_flight))
    lines = [
        f"{rows} rows, {latency:g} s latency, {in_flight} in flight, {repeats} interleaved runs. "
        "Not counted: imports and data-designer's first, slow record; counted: distilabel's starting of its processes.",
        "",
        "| client | version | rows/s | ours is faster by | CPU per row | requests per row |",
        "|---|---|---|---|---|---|",
    ]
    for name, runs in found.items():
        speed = [run["rows"] / run["seconds"] for run in runs]
        ratios = [other["seconds"] / ours["seconds"] for ours, other in zip(found["ours"], runs, strict=True)]
        cpu = [run["cpu"] / rows * 1e3 for run in runs]
        label = version(pythons[name], "mindgpt-plugins" if name == "ours" else name)
        each = statistics.median(run["requests"] / rows for run in runs)
        lines.append(
            f"| {name} | {label} | {spread(speed, '.0f')} | {'' if name == 'ours' else spread(ratios, '.1f') + ' ×'} "
            f"| {spread(cpu, '.2f')} ms | {each:.2f} |"
        )
        print(lines[-1], flush=True)
    return lines


def spread(values: list[float], form: str) -> str:
    """Median and, with several runs, the range."""
    text = f"{statistics.median(values):{form}}"
    return text if len(values) == 1 else f"{text} ({min(values):{form}} – {max(values):{form}})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--with", dest="others", default="", help=f"comma-separated: {', '.join(OTHERS)}")
    parser.add_argument("--envs", type=Path, default=Path(tempfile.gettempdir()) / "mindgpt-throughput-envs")
    parser.add_argument("--in-flight", default="32,128", help="of the comparison; 30 times as many rows each")
    parser.add_argument("--latency", type=float, default=0.1, help="of the comparison")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--skip-grid", action="store_true", help="comparison only")
    given = parser.parse_args()
    names = [name for name in given.others.split(",") if name]
    if unknown := set(names) - set(OTHERS):
        parser.error(f"no such client: {', '.join(sorted(unknown))}; there are {', '.join(OTHERS)}")
    sections = []
    if not given.skip_grid:
        slow = tuple(one for one in GRID if one[0] > 1)
        quick = tuple(one for one in GRID if one[0] <= 1)
        sections.append(["## Our client", "", *alone(slow, 1), *alone(quick, given.repeats)[2:]])
    if names:
        for in_flight in map(int, given.in_flight.split(",")):
            table = beside(names, given.envs, 30 * in_flight, in_flight, given.latency, given.repeats)
            sections.append([f"## Beside others, {in_flight} in flight", "", *table])
    write_result("throughput", "Throughput of the model-server client", __doc__ or "", sections)
    print(describe())


if __name__ == "__main__":
    main()
