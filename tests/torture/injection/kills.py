"""TERM, KILL, HUP and INT in turn at random moments, always of the same attempt at a stage."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import psutil
from injection.kinds import Kind
from injection.place import Straight, end
from injection.trial import Trial

STATUS = {signal.SIGTERM: 143, signal.SIGKILL: -9, signal.SIGHUP: 129, signal.SIGINT: 130}
ENDING = 45.0
"""Seconds that a command has to end: 30 to save, and a busy machine."""


def try_kills(kind: Kind, straight: Straight, folder: Path, moments: random.Random) -> Iterator[Trial]:
    """Kill it somewhere in the time that the straight run took, start it again, and so on; then let it finish.

    Half of the kills come when all is loaded: uniform moments would mostly hit the seconds in which torch is imported.
    When the attempt is done before a kill it is compared, removed, and begun anew.
    """
    place = straight.lay_out(kind, folder)
    signals, hits = cycle(STATUS), 0
    while hits < kind.kills:
        run = place.start()
        took, loaded = straight.seconds[kind.stage], straight.loaded[kind.stage]
        moment = moments.uniform(moments.choice((0.0, loaded)), took)
        status = run.wait(moment)
        if status is not None:
            failures = [*end(run).must_succeed(), *place.compare(kind, straight)]
            yield Trial("it was done before the kill", failures, counts=False)
            place.clear_stage(kind.stage)
            continue
        hits, sent = hits + 1, next(signals)
        early = not psutil.Process(run.process.pid).children()
        os.kill(run.process.pid, sent)
        status = run.wait(ENDING)
        failures = []
        if status is None:
            failures.append(f"stuck: still there {ENDING:.0f} s after {sent.name}")
            run.process.kill()
            status = run.process.wait()
        # Before it has a guard it is Python that loads modules; and one that was at its end may have been faster.
        elif status not in {STATUS[sent], *([-sent, 1] if early else []), 0}:
            failures.append(f"silent: exit status {status} after {sent.name}")
        judged = run.judge(status)
        if early:
            judged = [one for one in judged if not one.startswith("silent")]
        yield Trial(f"{sent.name} after {moment:.1f} s", [*failures, *judged])
    ended = place.finish()
    yield Trial("undisturbed to the end", [*ended.must_succeed(), *place.compare(kind, straight)], counts=False)
