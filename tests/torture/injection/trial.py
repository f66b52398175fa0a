"""What a trial is, and what counts as a failure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

FAILURES = {
    "lost": "the final artefacts are not those of the straight run",
    "stuck": "the same command, once nothing disturbs it, does not end well",
    "silent": "what happened was not said: another exit status, a traceback, no line with the cause and the path",
    "left": "a process of it was there 10 s later",
}


@dataclass(frozen=True)
class Trial:
    """One disturbance of one run.

    Attributes:
        what: was done, in a few words.
        failures: what did not hold, each as ``<one of FAILURES>: <what was seen>``.
        counts: is it one of the trials that were asked for? A kill that came too late is none.
    """

    what: str
    failures: list[str] = field(default_factory=list)
    counts: bool = True


class NotRun(Exception):
    """A trial cannot be made on this machine; the message says why."""


def judge_words(status: int, said: str) -> list[str]:
    """Failures of what a command printed: a traceback of its own, or an end that no line explains.

    The end of a stage's log, which may hold a traceback of its host, is indented.
    """
    found = []
    if re.search(r"^Traceback ", said, re.M):
        found.append("silent: traceback")
    if status > 0 and status < 128 and not re.search(r"^error: ", said, re.M):
        found.append(f"silent: exit status {status} without an error")
    return found
