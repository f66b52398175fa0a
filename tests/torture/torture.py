"""The torture run: every stage kind is killed, damaged, starved of space, started twice, locked out and set back.

``python tests/torture/torture.py --folder FOLDER --page benchmarks/results/reliability.md``

It ends after ``--minutes``. Killed, the same command goes on: every kind under every disturbance is a line in
``FOLDER/results.jsonl``. Full disks and read-only folders need root, and are said to be not run without.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psutil

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from injection.clock import try_clock_back  # noqa: E402
from injection.damage import try_damage  # noqa: E402
from injection.disk import try_full_disk  # noqa: E402
from injection.kills import try_kills  # noqa: E402
from injection.kinds import KINDS, Kind  # noqa: E402
from injection.mounts import unmount_below  # noqa: E402
from injection.place import Straight  # noqa: E402
from injection.readonly import try_read_only  # noqa: E402
from injection.table import Result, append_result, load_results, write_page  # noqa: E402
from injection.together import try_two_at_once  # noqa: E402
from injection.trial import NotRun, Trial  # noqa: E402

Try = Callable[[Kind, Straight, Path, random.Random], Iterator[Trial]]
DISTURBANCES: dict[str, tuple[str, Try]] = {
    "kills": ("kills", try_kills),
    "damage": ("damage", try_damage),
    "disk": ("full disk", try_full_disk),
    "together": ("two at once", try_two_at_once),
    "readonly": ("read-only folders", try_read_only),
    "clock": ("clock set back", try_clock_back),
}
PACKAGES = ("mindgpt_plugins", "data_tools", "patches")


def torture(
    folder: Path,
    kinds: list[str],
    disturbances: list[str],
    *,
    kills: int | None = None,
    seed: int = 0,
    minutes: float = 45,
    lanes: int = 2,
) -> list[Result]:
    """Run what ``folder/results.jsonl`` does not have yet, and return all results.

    Args:
        folder: for runs and results.
        kinds: of :data:`KINDS`.
        disturbances: of :data:`DISTURBANCES`.
        kills: of each kind at most; None: as many as the kind is to get.
        seed: of the moments.
        minutes: after which no kind is begun under another disturbance.
        lanes: kinds that are tried side by side.
    """
    began = time.monotonic()
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    unmount_below(folder)
    file, lock, code = folder / "results.jsonl", threading.Lock(), digest_code()
    done = {(one.kind, one.disturbance) for one in load_results(file)}
    runnable = {name: KINDS[name].find_missing_host() for name in kinds}
    straight = Straight(folder / "straight", [name for name, missing in runnable.items() if missing is None])

    def say(text: str) -> None:
        with lock:
            print(f"{time.monotonic() - began:5.0f} s  {text}", flush=True)

    for name in straight.stages:
        straight.make(name)
        say(f"straight run: {name} took {straight.seconds[name]} s")

    def note(result: Result) -> None:
        with lock:
            append_result(file, result)

    def try_kind(name: str) -> None:
        kind = KINDS[name] if kills is None else replace(KINDS[name], kills=min(kills, KINDS[name].kills))
        for disturbance in disturbances:
            attempt = DISTURBANCES[disturbance][1]
            if (name, disturbance) in done:
                continue
            if missing := runnable[name]:
                note(Result(name, disturbance, [], 0.0, f"needs {missing}"))
                continue
            if time.monotonic() - began > minutes * 60:
                say(f"{name} {disturbance}: no time left")
                continue
            if digest_code() != code:
                raise RuntimeError("the sources were edited meanwhile; start again with another --folder")
            at, here, trials, why = time.monotonic(), folder / f"{name}-{disturbance}", [], ""
            shutil.rmtree(here, ignore_errors=True)
            try:
                for trial in attempt(kind, straight, here, random.Random(f"{seed} {name} {disturbance}")):
                    trials.append(trial)
                    say(f"{name} {disturbance}: {trial.what}: {'; '.join(trial.failures) or 'held'}")
            except NotRun as refused:
                trials, why = [], str(refused)
            note(Result(name, disturbance, trials, round(time.monotonic() - at, 1), why))
            if not any(trial.failures for trial in trials):  # what failed is kept for whoever looks into it
                shutil.rmtree(here, ignore_errors=True)

    with ThreadPoolExecutor(lanes) as pool:
        futures = [pool.submit(try_kind, name) for name in KINDS if name in kinds]
        try:
            for future in futures:
                future.result()
        except KeyboardInterrupt:
            for child in psutil.Process().children():
                child.kill()  # its guard ends what is below it
            unmount_below(folder)
            os._exit(130)  # the lanes would go on with the next trial
    return load_results(file)


def describe_disturbances() -> dict[str, tuple[str, str]]:
    """Name → heading and the first line of its module."""
    docs = {name: sys.modules[attempt.__module__].__doc__ or "" for name, (_, attempt) in DISTURBANCES.items()}
    return {name: (heading, docs[name].partition("\n\n")[0]) for name, (heading, _) in DISTURBANCES.items()}


def digest_code() -> str:
    """Digest of the packages' sources: results of other code are not gone on with."""
    root, digest = HERE.parents[1], hashlib.sha256()
    for path in sorted(path for name in PACKAGES for path in (root / name).rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def main() -> None:
    """Parse the command line, run, write the page and exit with 1 when anything did not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("runs/torture"), help="for runs and results")
    parser.add_argument("--page", type=Path, help="Markdown file for the table; else it is printed")
    parser.add_argument("--kinds", nargs="+", choices=sorted(KINDS), default=list(KINDS), help="all by default")
    parser.add_argument(
        "--only", nargs="+", choices=list(DISTURBANCES), default=list(DISTURBANCES), help="all by default"
    )
    parser.add_argument("--kills", type=int, help="of each kind at most")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--minutes", type=float, default=40, help="after which nothing further is begun")
    parser.add_argument("--lanes", type=int, default=2, help="kinds that are tried side by side")
    given = parser.parse_args()
    # A shell starts background commands with INT and HUP ignored, and they would hand that on.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGHUP, lambda *_: None)
    code = given.folder / f"code-{digest_code()}"
    if others := [path for path in given.folder.glob("code-*") if path != code]:
        parser.error(f"--folder {given.folder} holds results of other code ({others[0].name}); give another one")
    given.folder.mkdir(parents=True, exist_ok=True)
    code.touch()
    began = time.monotonic()
    results = torture(
        given.folder,
        given.kinds,
        given.only,
        kills=given.kills,
        seed=given.seed,
        minutes=given.minutes,
        lanes=given.lanes,
    )
    head = (
        f"`python tests/torture/torture.py --seed {given.seed} --lanes {given.lanes}` on {datetime.now(UTC):%Y-%m-%d}, "
        f"{os.cpu_count()} cores, {(time.monotonic() - began) / 60:.0f} minutes in its last start, "
        f"sources {code.name.removeprefix('code-')}."
    )
    straight = Straight(given.folder.resolve() / "straight", given.kinds)
    page = write_page(results, describe_disturbances(), straight.seconds, head, given.folder.resolve())
    if given.page:
        given.page.write_text(page, encoding="utf-8")
    print(page)
    raise SystemExit(any(trial.failures for one in results for trial in one.trials))


if __name__ == "__main__":
    main()
