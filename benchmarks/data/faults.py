"""Faults and kills: what becomes of every item, and whether anything stored is ever paid for again.

    python benchmarks/data/faults.py

First half: a stub that spoils 30 % of its answers (429 with and without Retry-After, 500, hanging, connection cut in
the body, invalid JSON, wrong schema) with few attempts per item, so that some fail; then the same run again. Second
half: 20 × ``kill -9`` at random moments, then one run to the end. Every claim is checked and a violation ends the
program with an error. Compared with: the same items without faults.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from machine import write_result
from mindgpt_data.client.request import Done, Failed, Request, Task
from mindgpt_data.client.run import ask_all
from mindgpt_data.client.store import Store
from mindgpt_data.client.structured import make_answer_parser, make_answer_schema
from mindgpt_data.schema.config import EndpointSettings
from mindgpt_data.testing.stub import FAULTS, StubServer
from pydantic import BaseModel

IN_FLIGHT = 32


class QA(BaseModel):
    """What is asked for."""

    question: str
    answer: str


SCHEMA, PARSE = make_answer_schema(QA), make_answer_parser(QA)


def task(i: int) -> Task[QA]:
    return Task(str(i), "1", lambda: Request([{"role": "user", "content": f"ask {i}"}], schema=SCHEMA), PARSE)


def run(url: str, items: int, store: Path, attempts: int) -> list[Done[QA] | Failed]:
    endpoint = EndpointSettings(base_url=url, model="stub", max_in_flight=IN_FLIGHT, timeout=2, max_attempts=attempts)
    return list(ask_all((task(i) for i in range(items)), step="ask", store=store, endpoints=[endpoint]))


def child(url: str, items: str, store: str) -> None:
    """What is killed: says the key of each new answer as soon as it is handed over."""
    endpoint = EndpointSettings(base_url=url, model="stub", max_in_flight=IN_FLIGHT, max_attempts=12)
    tasks = (task(i) for i in range(int(items)))
    for outcome in ask_all(tasks, step="ask", store=Path(store), endpoints=[endpoint]):
        if isinstance(outcome, Done) and not outcome.stored:
            print(outcome.key, flush=True)


def claim(holds: bool, what: str) -> None:
    if not holds:
        raise SystemExit(f"VIOLATED: {what}")


def with_faults(items: int, folder: Path) -> list[str]:
    shares = dict.fromkeys(FAULTS, 0.3 / len(FAULTS))
    lines = ["| run | accepted | failed | seconds | requests | faults met |", "|---|---|---|---|---|---|"]
    with StubServer(latency=0.05) as server:
        started = time.perf_counter()
        run(server.url, items, folder / "calm.sqlite", 4)
        lines.append(f"| no faults | {items} | 0 | {time.perf_counter() - started:.1f} | {server.requests} | 0 |")
    reasons: Counter[str] = Counter()
    with StubServer(latency=0.05, faults=shares, retry_after="0.2") as server:
        failed: set[str] = {str(i) for i in range(items)}
        for number, attempts in enumerate((3, 3, 10), 1):
            asked, faults, requests = server.attempts.copy(), server.sent_faults.total(), server.requests
            started = time.perf_counter()
            outcomes = run(server.url, items, folder / "faults.sqlite", attempts)
            seconds = time.perf_counter() - started
            claim(sorted(o.key for o in outcomes) == sorted(map(str, range(items))), "every item has one outcome")
            again = {key.removeprefix("ask ") for key in server.attempts - asked}
            claim(again == failed, "a run asks for what failed before and for nothing else")
            failed = {outcome.key for outcome in outcomes if isinstance(outcome, Failed)}
            reasons.update(o.error.split(": ", 1)[-1][:40] for o in outcomes if isinstance(o, Failed))
            lines.append(
                f"| {number}, {attempts} attempts | {items - len(failed)} | {len(failed)} | {seconds:.1f} "
                f"| {server.requests - requests} | {server.sent_faults.total() - faults} |"
            )
            print(lines[-1], flush=True)
        claim(set(server.answered.values()) == {1}, "no good answer is paid twice")
    lines += ["", "Reasons of the failed: " + "; ".join(f"{n} × {why}" for why, n in reasons.most_common(8)) + "."]
    return lines


def done_keys(store: Path, items: int) -> set[str]:
    if not store.exists():
        return set()
    with Store(store) as opened:
        return {str(i) for i in range(items) if opened.find("ask", str(i), "1") is not None}


def with_kills(kills: int, items: int, folder: Path, seed: int) -> list[str]:
    store, chance = folder / "kills.sqlite", random.Random(seed)
    faults = dict.fromkeys(("429", "500", "cut", "invalid_json"), 0.3 / 4)
    with StubServer(latency=0.05, faults=faults) as server:
        command = [sys.executable, __file__, "--child", server.url, str(items), str(store)]
        for _ in range(kills):
            stored = done_keys(store, items)
            paid = {key: server.answered[f"ask {key}"] for key in stored}
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert process.stdout is not None
            process.stdout.readline()  # from the first new answer on, any moment
            time.sleep(chance.uniform(0, 0.4))
            process.send_signal(signal.SIGKILL)
            handed = set(process.communicate()[0].split())
            now = done_keys(store, items)
            claim(stored <= now, "a stored answer survives a kill")
            claim(handed <= now, "an outcome is stored before it is handed over")
            claim({key: server.answered[f"ask {key}"] for key in stored} == paid, "stored answers are not paid again")
        left = items - len(done_keys(store, items))
        claim(left > 0, "the last kill came before the end (else raise --items)")
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        claim(len(done_keys(store, items)) == items, "nothing is lost")
        twice = server.answered.total() - items
    return [
        f"{kills} kills over {items} items at {IN_FLIGHT} in flight with 30 % faults: {items} answers in the store, "
        f"0 lost, 0 paid again after they were stored. {left} were left for the last run. {twice} answers that the "
        f"server had sent but the killed process had not stored were asked for again ({twice / kills:.1f} per kill)."
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=4000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(*given.child)
        return
    with tempfile.TemporaryDirectory() as name:
        faults = with_faults(1500, Path(name))
        kills = with_kills(given.kills, given.items, Path(name), given.seed)
    print(kills[0])
    write_result(
        "faults", "Faults and kills", __doc__ or "", [["## 30 % faults", "", *faults], ["## kill -9", "", *kills]]
    )


if __name__ == "__main__":
    main()
