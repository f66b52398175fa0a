import dataclasses

import pytest
from mindgpt_data.world.gates import decontaminate, duplicates
from mindgpt_data.gates.item import Item
from mindgpt_data.gates.rules import rules
from mindgpt_data.rows import Row

ROW = Row(
    uid="u", image=[], question="How many  circles are there?", answer="2", response="i see. answer: 2",
    answer_type="number", source="general", capability="perception.count",
)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"answer": " "}, "empty"),
        ({"answer": "many"}, "no number"),
        ({"question": "x" * 301}, "over 300"),
        ({"question": "what does the annotation say?"}, "annotations"),
        ({"response": "2"}, "does not end"),
    ],
)
def test_rules(change, reason) -> None:
    verdict = rules(Item(dataclasses.replace(ROW, **change)))
    assert verdict is None if reason is None else reason in verdict


def test_duplicates_ignores_case_and_spaces() -> None:
    assert duplicates(Item(ROW, asked=frozenset({"how many circles are there"}))) is not None
    assert duplicates(Item(ROW, asked=frozenset({"how many squares are there"}))) is None


def test_decontaminate_by_pixels_and_by_scene() -> None:
    assert "picture" in (decontaminate(Item(ROW, "h", "s", held_out=frozenset({"h"}))) or "")
    assert "scene" in (decontaminate(Item(ROW, "h", "s", held_out=frozenset({"s"}))) or "")
    assert decontaminate(Item(ROW, "h", "", held_out=frozenset({"", "x"}))) is None
