from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from mindgpt_plugins.stages.evaluate.branch_tables import build_branch_tables
from mindgpt_plugins.stages.evaluate.branches import build_branch_document
from mindgpt_plugins.stages.evaluate.paired import compare_evaluations


def rows(right: int, **changes: Any) -> list[dict[str, Any]]:
    return [
        {
            "uid": f"{leaf}{i}",
            "set": "dev",
            "source": "general",
            "knowledge": None,
            "capability": f"a.b.{leaf}",
            "correct": i < right,
            "answer": "x" if i else None,
            "blank_correct": i < 3 if i < 10 else None,
            **changes,
        }
        for leaf in "cd"
        for i in range(20)
    ]


def shown(found: dict[str, Any], **options: Any) -> str:
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    for table in build_branch_tables(found, **options):
        console.print(table)
    return console.export_text()


def test_a_terminal_shows_branches_their_intervals_and_what_fell() -> None:
    now = rows(6)
    compared = compare_evaluations(rows(18), now, "base", {"general": ["general"]})
    text = shown(build_branch_document("m", ["dev"], now, {"capability": ["a.e.f"]}, compared))
    assert "m on dev" in text and "40 replies, 2 state no answer" in text
    assert "40 30.0 18.1 … 45.4 ···───●───·········· 30.0 (20)" in " ".join(text.split())
    assert "never asked" in text and "since base" in text
    assert "a.b.c" in text and text.count("fell") >= 4  # leaves that fell are shown below the depth
    assert "      c " in shown(build_branch_document("m", ["dev"], now), depth=3) and "fell" not in shown(
        build_branch_document("m", ["dev"], now)
    )


def test_one_set_can_be_chosen() -> None:
    found = build_branch_document("m", ["dev", "test"], rows(6) + rows(20, set="test"))
    assert "100.0" in shown(found, of="test")
    with pytest.raises(ValueError, match="set 'tset' was not evaluated; one of: dev, test"):
        build_branch_tables(found, of="tset")
