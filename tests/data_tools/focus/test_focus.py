"""A branch file becomes weights: shrinkage, bounds, refusals; neutral weights change nothing."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from mindgpt_data.budget.allocate import run_allocator
from mindgpt_data.budget.per_image import compute_image_budgets
from mindgpt_data.budget.rounding import BudgetError
from mindgpt_data.focus import table, weights
from mindgpt_data.focus.branch_file import FocusError
from mindgpt_data.focus.weights import Focus
from mindgpt_data.matching.choose import Found, choose_topics
from mindgpt_data.schema.config import AllocatorChoice
from mindgpt_data.schema.focus import FocusSettings
from mindgpt_data.teachers.slots import draw_option, plan_slots
from mindgpt_data.world.labels import load_world_tree
from pydantic import ValidationError
from support import focus_file

TREES = {axis: load_world_tree(axis) for axis in ("knowledge", "capability")}
BUS, TRUCK, CAR = "vehicles.road.bus", "vehicles.road.truck", "vehicles.road.car"


def focus(path: Path, *told: Any, **settings: Any) -> Focus:
    found = weights.load_focus(
        FocusSettings(file=str(focus_file.write(path / "branches.json", *told)), **settings), TREES
    )
    assert found is not None
    return found


def test_the_weaker_a_leaf_the_more_it_weighs_and_never_more_than_the_bound(tmp_path: Path) -> None:
    made = focus(
        tmp_path, ("knowledge", BUS, 0, 200), ("knowledge", TRUCK, 100, 100), ("knowledge", CAR, 200, 0), strength=5
    )
    bus, truck, car = (made.knowledge[leaf] for leaf in (BUS, TRUCK, CAR))
    assert bus == made.settings.max_weight > truck > car == 1
    assert made.capability["perception.colour"] == 1


def test_few_answers_take_the_parents_bound_and_the_unseen_stays_neutral(tmp_path: Path) -> None:
    told = (("knowledge", BUS, 40, 160), ("knowledge", TRUCK, 2, 0), ("knowledge", "signs.priority.stop", 0, 1))
    made = focus(tmp_path, *told)
    bounds = {leaf: made.knowledge.bound(leaf) for leaf in (BUS, TRUCK, CAR)}
    road = made.knowledge.bound("vehicles.road")
    assert bounds[CAR] == road  # never asked: exactly its parent's
    assert abs(bounds[TRUCK] - road) < 0.02  # two right answers prove nothing
    assert bounds[BUS] < road + 0.01 < 0.3
    # One wrong answer in a branch that nobody asked about otherwise moves it a little, not to the bottom.
    assert 1 < made.knowledge["signs.priority.stop"] < 2 < made.knowledge[TRUCK]
    alone = focus(tmp_path, *told, prior=0)
    assert alone.knowledge.bound(BUS) == pytest.approx(next(b.low for b in alone.branches if b.label == BUS))


def test_strength_target_and_set_are_settings(tmp_path: Path) -> None:
    told = (("knowledge", BUS, 60, 40), ("knowledge", BUS, 0, 100, "test"))
    weak, strong = (focus(tmp_path, *told, strength=s, set="dev").knowledge[BUS] for s in (1, 3))
    assert strong - 1 == pytest.approx(3 * (weak - 1))
    assert focus(tmp_path, *told, set="dev").knowledge[BUS] < focus(tmp_path, *told).knowledge[BUS]
    with pytest.raises(FocusError, match="nothing is weak: every branch .* target 0.4"):
        focus(tmp_path, *told, set="dev", target=0.4)
    with pytest.raises(FocusError, match=r"no evaluated set 'tets'; did you mean 'test'\? It has: dev, test"):
        focus(tmp_path, *told, set="tets")


def test_nothing_weak_stops_or_goes_on_as_asked(tmp_path: Path) -> None:
    path = focus_file.write(tmp_path / "b.json", ("knowledge", BUS, 500, 2))
    with pytest.raises(FocusError, match=r"reaches the target 0.8 \(lowest: knowledge .*focus.nothing_weak=continue"):
        weights.load_focus(FocusSettings(file=str(path)), TREES)
    assert weights.load_focus(FocusSettings(file=str(path), nothing_weak="continue"), TREES) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "has version 2, this reads version 1"),
        ({"branches": []}, "must list at least one branch"),
        ({"branches": [{"axis": "knowledge", "path": ["x"], "n": 1}]}, "branch 1: accuracy: Field required"),
        ({"branches": "all"}, "must list at least one branch, got 'all'"),
    ],
)
def test_files_that_cannot_be_used_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = focus_file.write(tmp_path / "b.json", ("knowledge", BUS, 1, 1))
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(FocusError, match=message):
        weights.load_focus(FocusSettings(file=str(path)), TREES)


def test_other_refusals_name_the_fix(tmp_path: Path) -> None:
    def refused(*told: Any) -> str:
        with pytest.raises(FocusError) as caught:
            focus(tmp_path, *told)
        return str(caught.value)

    wrong = refused(("knowledge", "vehicles.road.buss", 1, 9))
    assert "'vehicles.road.buss', did you mean 'vehicles.road.bus'?" in wrong
    path = focus_file.write(tmp_path / "b.json", ("knowledge", BUS, 1, 0))
    data = json.loads(path.read_text())
    path.write_text(json.dumps(data | {"branches": [b | {"n": 0, "accuracy": None} for b in data["branches"]]}))
    with pytest.raises(FocusError, match="holds no answers"):
        weights.load_focus(FocusSettings(file=str(path)), TREES)
    with pytest.raises(FocusError, match="No such file"):
        weights.load_focus(FocusSettings(file=str(tmp_path / "no.json")), TREES)
    (tmp_path / "scores.json").write_text('{"version": 1, "cells": []}')
    with pytest.raises(FocusError, match="not its scores.json"):
        weights.load_focus(FocusSettings(file=str(tmp_path / "scores.json")), TREES)
    with pytest.raises(ValidationError, match="greater than 0"):
        FocusSettings(file="x", target=0)


def test_items_go_to_leaves_in_proportion_to_their_weights(tmp_path: Path) -> None:
    made = focus(tmp_path, ("knowledge", BUS, 0, 400), ("knowledge", CAR, 400, 0))
    counts: Counter[str] = Counter()
    rng = random.Random(0)
    for _ in range(4000):
        counts[draw_option([BUS, CAR], counts, rng, weights=made.knowledge)] += 1
    assert counts[BUS] / counts[CAR] == pytest.approx(made.knowledge[BUS] / made.knowledge[CAR], rel=0.1)
    matched: Counter[str] = Counter()
    for _ in range(100):
        choose_topics([Found(BUS, 3, ""), Found(CAR, 3, "")], matched, least_fit=2, limit=1, weights=made.knowledge)
    assert matched[BUS] / matched[CAR] == pytest.approx(made.knowledge[BUS], rel=0.15)


def test_the_slots_of_a_model_teacher_lean_to_weak_leaves_within_their_family(tmp_path: Path) -> None:
    strong = (("knowledge", CAR, 400, 0), ("capability", "perception.colour", 400, 0))
    made = focus(tmp_path, ("knowledge", BUS, 0, 400), ("capability", "perception.shape", 0, 400), *strong)
    families = {"subjects": 2, "spatial": 1, "text": 0, "knowledge": 0}
    leaves = {"subjects": ["perception.colour", "perception.shape"], "spatial": ["spatial.position"]}
    counts: list[Counter[str]] = []
    for given in (None, made):
        planned: Counter[str] = Counter()
        for i in range(200):
            slots = plan_slots(families, [BUS, CAR], leaves, planned, random.Random(i), focus=given)
            assert [slot.capability for slot in slots].count("spatial.position") == 1
        counts.append(planned)
    assert counts[0][BUS] == pytest.approx(counts[0][CAR], rel=0.1)
    assert counts[1][BUS] == pytest.approx(made.knowledge[BUS] * counts[1][CAR], rel=0.15)
    assert counts[1]["perception.shape"] > 3 * counts[1]["perception.colour"]


def test_weighted_budgets_keep_the_total_and_need_an_allocator_that_knows_weights() -> None:
    scores, bounds = [i / 40 for i in range(40)], {"n_min": 1, "n_max": 6, "gamma": 1.0}
    heavy = [3.0 if i % 4 == 0 else 1.0 for i in range(40)]
    for name in ("density", "uniform"):
        plain = run_allocator(AllocatorChoice(name=name), scores, 120, bounds, seed=0)
        leaning = run_allocator(AllocatorChoice(name=name), scores, 120, bounds, seed=0, weights=heavy)
        assert sum(plain) == sum(leaning) == 120
        assert sum(leaning[::4]) > 1.3 * sum(plain[::4])
        assert run_allocator(AllocatorChoice(name=name), scores, 120, bounds, seed=0, weights=[1.0] * 40) == plain
    assert sum(compute_image_budgets(scores, weights=heavy)) == sum(compute_image_budgets(scores))
    with pytest.raises(BudgetError, match="allocator 'random' takes no `weights`"):
        run_allocator(AllocatorChoice(name="random"), scores, 120, bounds, seed=0, weights=heavy)


def test_a_picture_weighs_by_both_axes_and_the_table_lists_the_weak(tmp_path: Path) -> None:
    made = focus(tmp_path, ("knowledge", BUS, 20, 180), ("capability", "text.reading", 50, 50), strength=1)
    families = made.families(
        {"subjects": ["perception.colour"], "spatial": [], "text": ["text.reading"], "knowledge": []}
    )
    assert families["subjects"] == families["spatial"] == 1 < families["text"] < 3
    scores = {"subjects": 1.0, "spatial": 0.0, "text": 1.0, "knowledge": 0.0}
    flat = dict.fromkeys(scores, 1.0)
    plain, topic, both = (
        made.picture([], scores, flat),
        made.picture([BUS], scores, flat),
        made.picture([BUS], scores, families),
    )
    assert plain == 1 < topic < both == pytest.approx(topic * (1 + families["text"]) / 2)
    assert weights.tilt_sub_scores(scores, families)["text"] > scores["text"]
    rows = table.list_weak_branches(made)
    assert [row["label"] for row in rows] == [BUS, "text.reading"]
    assert 1.5 < rows[0]["weight"] < 2
    shares = table.compare_leaf_shares(made.axes, {"knowledge": {BUS: 30, CAR: 10}})
    assert sum(row["asked"] for row in shares) == pytest.approx(1)
    assert [row["got"] for row in shares] == [0.75, 0.25]
