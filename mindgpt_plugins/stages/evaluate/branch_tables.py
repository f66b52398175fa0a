"""Branches of the label tree for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

BAR = 20
"""Characters of the drawn interval."""
_STYLE = {"fell": "red", "rose": "green", "unclear": "dim"}


def build_branch_tables(document: Mapping[str, Any], *, of: str | None = None, depth: int = 2) -> list[Table]:
    """What ``branches.json`` says: accuracy per branch, and what changed since an earlier evaluation.

    Args:
        document: content of ``branches.json``.
        of: name of one set; all sets together by default.
        depth: deepest level that is shown; branches that fell or rose are shown at any.

    Raises:
        ValueError: the set was not evaluated.
    """
    if of is not None and of not in document["by_set"]:
        raise ValueError(f"set {of!r} was not evaluated; one of: {', '.join(document['by_set'])}")
    where = of or " + ".join(document["sets"])
    rows = document["by_set"][of] if of else document["branches"]
    found = [tabulate_branch_accuracy(rows, title=f"{document['model']} on {where}", depth=depth)]
    found[0].caption = f"{document['items']} replies, {document['unparsed']} state no answer"
    if document["compared"]:
        found.append(
            tabulate_branch_changes(document["compared"], title=f"since {document['compared']['with']}", depth=depth)
        )
    return found


def tabulate_branch_accuracy(rows: Sequence[Mapping[str, Any]], *, title: str, depth: int = 2) -> Table:
    """One line per branch: items, accuracy with its 95 % interval, and with a blank image.

    Args:
        rows: from :func:`mindgpt_plugins.stages.evaluate.branches.build_branch_records`.
        title: above the table.
        depth: deepest level that is shown.
    """
    table = _table(title, ("branch", "n", "right", "95 %", "0 % to 100 %", "blank (n)"))
    axis = None
    for row in rows:
        if row["level"] > depth:
            continue
        if row["axis"] != axis:
            axis = row["axis"]
            table.add_section()
            table.add_row(f"[bold]{axis}")
        if row["n"]:
            share = [_points(row["accuracy"]), f"{_points(row['low'])} … {_points(row['high'])}", _bar(row)]
        else:
            share = ["–", "never asked", ""]
        blank = f"{_points(row['blank_accuracy'])} ({row['blank_n']})" if row["blank_n"] else "–"
        table.add_row(_name(row), str(row["n"]), *share, blank)
    return table


def tabulate_branch_changes(compared: Mapping[str, Any], *, title: str, depth: int = 2) -> Table:
    """One line per branch, the deepest fall first: before, now, change with its 95 % interval, verdict.

    Args:
        compared: from :func:`mindgpt_plugins.stages.evaluate.paired.compare_evaluations`.
        title: above the table.
        depth: deepest level that is shown; branches that fell or rose are shown at any.
    """
    table = _table(title, ("branch", "n", "before", "now", "change", "95 %", ""))
    parts = dict.fromkeys((row["part"], row["axis"]) for row in compared["branches"])
    for part, axis in parts:
        own = [row for row in compared["branches"] if (row["part"], row["axis"]) == (part, axis)]
        table.add_section()
        table.add_row(f"[bold]{escape(part)} · {axis}")
        for row in sorted(own, key=lambda row: (row["change"], row["path"])):
            if row["level"] <= depth or row["verdict"] != "unclear":
                table.add_row(
                    "  " + escape(".".join(row["path"])),
                    str(row["n"]),
                    _points(row["before"]),
                    _points(row["after"]),
                    f"{100 * row['change']:+.1f}",
                    f"{100 * row['low']:+.1f} … {100 * row['high']:+.1f}",
                    "" if row["verdict"] == "unclear" else row["verdict"],
                    style=_STYLE[row["verdict"]],
                )
    table.caption = (
        f"paired on {compared['items']} items; fell and rose: exact McNemar test, after Holm's correction over "
        f"{compared['tests']} branches; intervals for one branch at a time"
    )
    return table


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", caption_justify="left", box=None, pad_edge=False)
    for column in columns:
        drawn = column in ("branch", "0 % to 100 %", "")
        table.add_column(column, justify="left" if drawn else "right", no_wrap=column != "branch")
    return table


def _name(row: Mapping[str, Any]) -> str:
    return "  " * int(row["level"]) + escape(str(row["path"][-1]))


def _bar(row: Mapping[str, Any]) -> str:
    """The interval as a line and the accuracy as a dot, from 0 to 100 %."""
    low, at, high = (round(float(share) * (BAR - 1)) for share in (row["low"], row["accuracy"], row["high"]))
    return "".join("●" if i == at else "─" if low <= i <= high else "·" for i in range(BAR))


def _points(share: float) -> str:
    return f"{100 * share:.1f}"
