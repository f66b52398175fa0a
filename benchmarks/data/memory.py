"""Memory of the model-server client over the number of items: it should not grow.

    python benchmarks/data/memory.py

Each size runs in a process of its own against a stub in another: once asking for everything, once replaying it all from
the store. Peak resident memory is compared with the same for the smallest size.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import write_result
from throughput import stub


def child(url: str, items: int, store: Path) -> None:
    """One run; prints its peak resident memory in MB."""
    from mindgpt_data.client.request import Request, Task
    from mindgpt_data.client.run import ask_all
    from mindgpt_data.schema.config import EndpointSettings

    def task(i: int) -> Task[str]:
        content = f"ask {i} " + "about the picture " * 20
        return Task(
            f"item-{i}", "1", lambda: Request([{"role": "user", "content": content}]), lambda answer: answer.texts[0]
        )

    endpoint = EndpointSettings(base_url=url, model="stub", max_in_flight=64)
    started = time.perf_counter()
    done = sum(1 for _ in ask_all((task(i) for i in range(items)), step="ask", store=store, endpoints=[endpoint]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"peak": peak, "seconds": time.perf_counter() - started, "done": done}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child[0], int(given.child[1]), Path(given.child[2]))
        return
    lines = ["| items | asking: peak | × smallest | rows/s | replay: peak | × smallest | rows/s |", "|" + "---|" * 7]
    first: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder, stub(0.0) as url:
        for items in given.sizes:
            cells = []
            for kind in ("ask", "replay"):
                command = [sys.executable, __file__, "--child", url, str(items), f"{folder}/{items}.sqlite"]
                found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
                assert found["done"] == items
                base = first.setdefault(kind, found["peak"])
                cells += [f"{found['peak']:.0f} MB", f"{found['peak'] / base:.2f}", f"{items / found['seconds']:.0f}"]
            lines.append(f"| {items} | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    write_result(
        "memory", "Memory of the model-server client", __doc__ or "", [["## Peak resident memory", "", *lines]]
    )


if __name__ == "__main__":
    main()
