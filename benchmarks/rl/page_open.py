"""How long Chromium takes to open ``rollouts.html`` and ``report.html``, their size and how many nodes they make.

    python benchmarks/rl/page_open.py [--replies 20000] [--words 120 600] [--pictures 2500] [--times 5]

Writes ``benchmarks/results/page_open.md``. Needs Debian's chromium (apt-get install chromium) and aiohttp. A page is
open when its script has shown the first group; the clock starts with the navigation, in a browser that runs already.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from explain_speed import make

RESULT = Path(__file__).parents[1] / "results" / "page_open.md"
FLAGS = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --remote-debugging-port=0"
READY = "document.readyState === 'complete' && (!document.getElementById('filters') || !!document.body.dataset.ready)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replies", type=int, default=20_000)
    parser.add_argument("--words", type=int, nargs="+", default=[120, 600])
    parser.add_argument("--pictures", type=int, default=2500)
    parser.add_argument("--times", type=int, default=5)
    given = parser.parse_args()
    rows = []
    for words in given.words:
        with tempfile.TemporaryDirectory() as folder:
            run = make(Path(folder), given.replies, words, given.pictures)
            from mindgpt_plugins.workbench.report import build_report

            report = build_report(run)
            for page in (run / "rollouts.html", report):
                seconds, busy, nodes, note = asyncio.run(measure(page, Path(folder) / page.stem, given.times))
                rows.append(
                    f"| {page.name}, {given.replies} replies of {words} words | {page.stat().st_size / 1e6:.1f} | "
                    f"{statistics.median(busy):.2f} | {statistics.median(seconds):.2f} | "
                    f"{min(seconds):.2f} to {max(seconds):.2f} | {nodes} | {note} |"
                )
                print(rows[-1], flush=True)
    version = subprocess.run(["chromium", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    lines = [
        "# Opening a run's pages in Chromium",
        f"Machine: {platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {version}.",
        f"Command: `python benchmarks/rl/page_open.py --replies {given.replies} "
        f"--words {' '.join(map(str, given.words))} --pictures {given.pictures} --times {given.times}`",
        "Replies are random words, which compress worse than real ones. Times are medians, to the first group shown. "
        "Processor time is that of all of Chromium's processes; elapsed time depends on the load above.",
        "| page | MB | processor, s | elapsed, s | range, s | elements | note |\n|---|---|---|---|---|---|---|\n"
        + "\n".join(rows),
    ]
    RESULT.write_text("\n\n".join(lines) + "\n", encoding="utf-8")


def sum_processor_time(browser: subprocess.Popen[bytes]) -> float:
    """Processor seconds of a browser and all its processes so far."""
    root = psutil.Process(browser.pid)
    return sum(sum(one.cpu_times()[:2]) for one in [root, *root.children(recursive=True)])


async def measure(page: Path, profile: Path, times: int) -> tuple[list[float], list[float], int, str]:
    """Elapsed and processor seconds of each opening, elements of the document, what the page says about itself."""
    argv = ["chromium", *FLAGS.split(), f"--user-data-dir={profile}", "about:blank"]
    browser = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        told = profile / "DevToolsActivePort"
        while not told.is_file() or not told.read_text().strip():
            await asyncio.sleep(0.1)
        port = told.read_text().split()[0]
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as response:
                target = next(one for one in await response.json() if one["type"] == "page")
            async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                seconds, busy = [], []
                for _ in range(times):
                    await _call(socket, "Page.navigate", url="about:blank")
                    await asyncio.sleep(0.5)
                    started, before = time.perf_counter(), sum_processor_time(browser)
                    await _call(socket, "Page.navigate", url=page.as_uri())
                    while not await _evaluate(socket, f"location.protocol === 'file:' && {READY}"):
                        await asyncio.sleep(0.02)
                    seconds.append(time.perf_counter() - started)
                    busy.append(sum_processor_time(browser) - before)
                nodes = int(await _evaluate(socket, "document.getElementsByTagName('*').length"))
                note = str(await _evaluate(socket, "document.getElementById('notes')?.textContent ?? ''"))
        return seconds, busy, nodes, note.partition(";")[0].replace("|", "/")  # behind it: a temporary folder
    finally:
        browser.terminate()
        browser.wait(10)


async def _call(socket: Any, method: str, **parameters: Any) -> Any:
    await socket.send_json({"id": 1, "method": method, "params": parameters})
    while (answer := await socket.receive_json()).get("id") != 1:
        pass
    return answer.get("result", {})


async def _evaluate(socket: Any, expression: str) -> Any:
    return (await _call(socket, "Runtime.evaluate", expression=expression)).get("result", {}).get("value")


if __name__ == "__main__":
    main()
