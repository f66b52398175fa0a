from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mindgpt_plugins.stages.evaluate.branches import (
    LabelError,
    build_branch_document,
    build_branch_records,
    parse_label_path,
    read_tree_leaves,
)
from mindgpt_plugins.stages.evaluate.scoring import compute_wilson_interval


def item(uid: str, right: bool = True, **changes: Any) -> dict[str, Any]:
    return {
        "uid": uid,
        "set": "dev",
        "source": "general",
        "knowledge": None,
        "capability": "perception.colour.hue",
        "correct": right,
        "answer": "red",
        "blank_correct": None,
        **changes,
    }


def by_path(found: list[dict[str, Any]], axis: str = "capability") -> dict[str, dict[str, Any]]:
    return {".".join(r["path"]): r for r in found if r["axis"] == axis}


def test_levels_add_up_and_carry_wilson_intervals() -> None:
    rows = [item(f"h{i}", i < 3) for i in range(4)]
    rows += [item(f"t{i}", False, capability="perception.colour.tone") for i in range(2)]
    rows += [item("x", True, capability="spatial.order.left", knowledge="vehicles.road.car")]
    found = by_path(build_branch_records(rows))
    assert {path: (r["level"], r["n"], r["correct"]) for path, r in found.items()} == {
        "perception": (1, 6, 3),
        "perception.colour": (2, 6, 3),
        "perception.colour.hue": (3, 4, 3),
        "perception.colour.tone": (3, 2, 0),
        "spatial": (1, 1, 1),
        "spatial.order": (2, 1, 1),
        "spatial.order.left": (3, 1, 1),
    }
    hue = found["perception.colour.hue"]
    assert (hue["accuracy"], hue["low"], hue["high"]) == (0.75, *compute_wilson_interval(3, 4))
    assert list(by_path(build_branch_records(rows), "knowledge")) == ["vehicles", "vehicles.road", "vehicles.road.car"]


def test_parents_stand_before_their_children_and_knowledge_before_capability() -> None:
    rows = [item("a", capability="b.c", knowledge="z"), item("b", capability="a"), item("c", capability="b.a.a")]
    order = [(r["axis"], ".".join(r["path"])) for r in build_branch_records(rows)]
    assert order == [("knowledge", "z"), *(("capability", path) for path in ("a", "b", "b.a", "b.a.a", "b.c"))]


def test_labels_of_uneven_depth_count_in_every_level_they_reach() -> None:
    rows = [item("a", capability="a"), item("b", False, capability="a.b"), item("c", capability="a.b.c.d")]
    found = by_path(build_branch_records(rows))
    assert {path: (r["n"], r["correct"]) for path, r in found.items()} == {"a": (3, 2), "a.b": (2, 1), "a.b.c": (1, 1)}


def test_unlabelled_items_are_in_no_branch_of_that_axis_and_are_counted() -> None:
    found = build_branch_document("m", ["dev"], [item("a"), item("b", capability="", knowledge="v.r.c")])
    assert found["unlabelled"] == {"knowledge": 1, "capability": 1} and found["items"] == 2
    assert by_path(found["branches"])["perception"]["n"] == 1
    assert by_path(found["branches"], "knowledge")["v"]["n"] == 1


def test_a_label_with_an_empty_element_is_refused() -> None:
    with pytest.raises(LabelError, match=r"capability of a7: label 'a\.\.b' has an empty element"):
        build_branch_records([item("a7", capability="a..b")])
    assert parse_label_path(None) == parse_label_path("") == ()


def test_replies_without_an_answer_are_counted_and_wrong() -> None:
    rows = [item("a"), item("b", False, answer=None), item("c", False, answer=None, capability="spatial")]
    found = build_branch_document("m", ["dev"], rows)
    assert found["unparsed"] == 2
    assert {path: r["parsed"] for path, r in by_path(found["branches"]).items() if r["level"] == 1} == {
        "perception": 0.5,
        "spatial": 0.0,
    }


def test_blank_accuracy_is_of_the_rows_that_were_asked_blank() -> None:
    rows = [item("a", blank_correct=True), item("b", False, blank_correct=False), item("c"), item("d")]
    branch = by_path(build_branch_records(rows))["perception"]
    assert (branch["n"], branch["blank_n"]) == (4, 2)
    assert (branch["blank_accuracy"], branch["sighted_accuracy"]) == (0.5, 0.5)
    without = by_path(build_branch_records([item("c")]))["perception"]
    assert without["blank_n"] == 0 and without["blank_accuracy"] is without["sighted_accuracy"] is None


def test_blank_rows_stand_for_all_rows_of_their_capability() -> None:
    # Ten blank rows of each capability, of 10 and of 90 rows: a plain mean would say 0.5.
    rows = [item(f"a{i}", capability="seen.rare", knowledge="v", blank_correct=True) for i in range(10)]
    rows += [item(f"b{i}", capability="seen.often", knowledge="v") for i in range(80)]
    rows += [item(f"c{i}", False, capability="seen.often", knowledge="v", blank_correct=False) for i in range(10)]
    for branch in (by_path(build_branch_records(rows))["seen"], by_path(build_branch_records(rows), "knowledge")["v"]):
        assert (branch["blank_n"], branch["blank_accuracy"], branch["sighted_accuracy"]) == (20, 0.1, 0.1)
    assert by_path(build_branch_records(rows))["seen.rare"]["blank_accuracy"] == 1.0


def test_leaves_that_nobody_asked_about_are_branches_without_items() -> None:
    tree = {"capability": ["perception.colour.hue", "perception.shape.round"]}
    found = build_branch_document("m", ["dev"], [item("a"), item("b", capability="ocr.sign")], tree)
    empty = by_path(found["branches"])["perception.shape.round"]
    assert (empty["n"], empty["accuracy"], empty["low"], empty["high"]) == (0, None, 0.0, 1.0)
    assert empty["parsed"] is empty["blank_accuracy"] is None
    assert by_path(found["branches"])["perception"]["n"] == 1
    assert found["not_in_tree"] == {"capability": ["ocr.sign"]}
    json.dumps(found, allow_nan=False)


def test_sets_stand_together_and_apart() -> None:
    rows = [item("a"), item("a", False, set="test"), item("b", set="test")]
    found = build_branch_document("m", ["dev", "test"], rows)
    assert by_path(found["branches"])["perception"]["n"] == 3
    parts = {name: by_path(part)["perception"]["n"] for name, part in found["by_set"].items()}
    assert parts == {"dev": 1, "test": 2}


def test_leaves_come_from_a_tree_file(tmp_path: Path) -> None:
    tree = tmp_path / "tree.json"
    nodes = [("a", 1, None), ("a.b", 2, "a"), ("a.b.c", 3, "a.b"), ("a.b.d", 3, "a.b")]
    tree.write_text(
        json.dumps([{"id": i, "level": n, "parent": p, "name": i[-1], "definition": "x"} for i, n, p in nodes])
    )
    assert read_tree_leaves({"knowledge": tree}) == {"knowledge": ["a.b.c", "a.b.d"]}
