"""The results as a page: a table of trials by kind and disturbance, and every failure in words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from injection.kinds import KINDS, NOT_TRIED
from injection.trial import FAILURES, Trial


@dataclass(frozen=True)
class Result:
    """All trials of a kind under one disturbance; ``not_run`` says why there are none."""

    kind: str
    disturbance: str
    trials: list[Trial]
    seconds: float
    not_run: str = ""

    def count(self) -> Counter[str]:
        """``tried``, and how many trials failed in each way."""
        counts = Counter({"tried": sum(one.counts for one in self.trials)})
        for trial in self.trials:
            counts.update({failure.partition(":")[0] for failure in trial.failures})
        return counts

    def describe(self) -> str:
        """A cell of the table."""
        if self.not_run:
            return "not run"
        counts = self.count()
        return ", ".join([str(counts["tried"]), *(f"**{counts[one]} {one}**" for one in FAILURES if counts[one])])


def append_result(path: Path, result: Result) -> None:
    """Add a line of JSON."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(result)) + "\n")


def load_results(path: Path) -> list[Result]:
    """Results of earlier starts; a line that a kill has cut is none."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    records = [json.loads(line) for line in lines if line.endswith("\n")]
    return [Result(**{**one, "trials": [Trial(**trial) for trial in one["trials"]]}) for one in records]


def write_page(
    results: Sequence[Result],
    disturbances: Mapping[str, tuple[str, str]],
    seconds: Mapping[str, float],
    head: str,
    folder: Path,
) -> str:
    """The page in Markdown.

    Args:
        results: in any order.
        disturbances: name → heading of its column, and how it is done.
        seconds: of the straight run, by stage.
        head: command, machine and time of the run.
        folder: whose path is taken out of what was said.
    """
    found = {(one.kind, one.disturbance): one for one in results}
    totals: Counter[str] = sum((one.count() for one in results), Counter())
    lines = [
        "# Torture run",
        "",
        head,
        "",
        f"**{totals['tried']} trials: " + ", ".join(f"{totals[one]} {one}" for one in FAILURES) + ".**",
        "",
        *(f"* *{name}*: {what}." for name, what in FAILURES.items()),
        "",
        *(f"* **{heading}**: {how}" for heading, how in disturbances.values()),
        "",
        "A cell is the number of trials and of those that failed; none failed where there is a number only. Seconds "
        "are those of one undisturbed `mindgpt run`, in which the stages before are reused.",
        "",
        f"| kind | s | {' | '.join(heading for heading, _ in disturbances.values())} |",
        f"|---|--:|{'--:|' * len(disturbances)}",
    ]
    for name, kind in sorted(KINDS.items()):
        if not any((name, one) in found for one in disturbances):
            lines.append(f"| `{name}` | | " + " | ".join("not run" for _ in disturbances) + " |")
            continue
        cells = [found[name, one].describe() if (name, one) in found else "not run" for one in disturbances]
        lines.append(f"| `{name}` | {seconds.get(kind.stage, 0):.0f} | {' | '.join(cells)} |")
    lines += [f"| `{name}` | | " + " | ".join("not run" for _ in disturbances) + " |" for name in sorted(NOT_TRIED)]
    lines += ["", "Not run: " + "; ".join(_list_not_run(results)) + "."]
    lines += ["", "Fewer kills: " + "; ".join(_list_fewer()) + "."]
    if varying := _list_varying():
        lines += ["", "Not compared byte by byte, as no two straight runs make them alike:", "", *varying]
    if failed := _list_failures(results):
        lines += ["", "## What did not hold", "", *(line.replace(str(folder), "…") for line in failed)]
    return "\n".join(lines) + "\n"


def _list_not_run(results: Sequence[Result]) -> list[str]:
    return [
        *(f"`{name}` {why}" for name, why in sorted(NOT_TRIED.items())),
        *(f"`{one.kind}` under {one.disturbance}: {one.not_run}" for one in results if one.not_run),
    ]


def _list_fewer() -> list[str]:
    return [f"`{name}` {kind.kills}, as {kind.why_fewer}" for name, kind in sorted(KINDS.items()) if kind.why_fewer]


def _list_varying() -> list[str]:
    return [f"* `{name}`: `{file}`: {why}" for name, kind in sorted(KINDS.items()) for file, why in kind.varies.items()]


def _list_failures(results: Sequence[Result]) -> list[str]:
    return [
        f"* `{one.kind}`, {one.disturbance}, {trial.what}: {' · '.join(failure[:400] for failure in trial.failures)}"
        for one in sorted(results, key=lambda one: (one.kind, one.disturbance))
        for trial in one.trials
        if trial.failures
    ]
