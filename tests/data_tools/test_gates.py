import dataclasses

import pytest
from mindgpt_data.gates.item import Item
from mindgpt_data.gates.rules import rules
from mindgpt_data.schema.rows import Row

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


CHOICE = {"answer_type": "choice", "question": "Which colour? A) red B) dark blue"}
BOX = {"answer_type": "box", "question": "Give the bounding box of the bus.", "boxes": "relative_1000"}


@pytest.mark.parametrize(
    ("change", "answer", "reason"),
    [
        (CHOICE, "B", None),
        (CHOICE, "(b) dark blue", None),
        (CHOICE, "dark blue", None),
        (CHOICE, "C", "none of the options"),
        (CHOICE, "green", "none of the options"),
        (CHOICE | {"question": "Which?\n(A) red\n(B) blue\n(C) green"}, "C", None),
        (CHOICE | {"question": "where is the car?"}, "left", None),
        (CHOICE | {"question": "where is the car?"}, "B", "lists no options"),
        ({"answer_type": "yesno"}, "maybe", "neither"),
        ({"answer_type": "unit"}, "3 smoots", "known unit"),
        ({"answer_type": "unit"}, "3.5 km/h", None),
        ({"answer_type": "json"}, "{red", "no JSON"),
        ({"answer_type": "json"}, '{"colour": "red"}', None),
        (BOX, "[10, 20, 300, 1000]", None),
        (BOX, "[10, 20, 300, 1001]", "outside"),
        (BOX, "[-1, 20, 300, 400]", "outside"),
        (BOX, "[300, 20, 10, 400]", "no box"),
        (BOX, "the bus", "no box"),
        ({"question": "What is in <image>?"}, "2", "media tag"),
        ({"question": "How many \ufffd are there?"}, "2", "unreadable"),
    ],
)
def test_rules_on_the_form_of_answers(change, answer, reason) -> None:
    row = dataclasses.replace(ROW, **change, answer=answer, response=f"answer: {answer}")
    verdict = rules(Item(row, extent=(1000, 1000)))
    assert verdict is None if reason is None else reason in (verdict or "kept")


def test_rules_on_script_and_prompts_without_reply() -> None:
    assert rules(Item(ROW), script="latin") is None
    assert rules(Item(dataclasses.replace(ROW, question="图中有几个圆?")), script="latin") == (
        "question is not in latin script"
    )
    assert rules(Item(dataclasses.replace(ROW, question="图中有几个圆?")), script="cjk") is None
    assert rules(Item(dataclasses.replace(ROW, response=""))) is None
