from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindgpt_plugins.stages.evaluate.forgetting import (
    compute_bootstrap_bounds,
    compute_bootstrap_lower_bound,
    compute_fewest_items,
    compute_needed_items,
    describe_gate_verdict,
    find_gate_group,
    judge_forgetting_gate,
)

Judged = dict[str, tuple[str, bool]]
DOMAIN_0: Judged = {f"d{i}": ("domain", i < 20) for i in range(100)}
DOMAIN_PEAK: Judged = {f"d{i}": ("domain", i < 80) for i in range(100)}


def judged(right: np.ndarray, group: str = "g") -> Judged:
    return {f"{group}{i}": (group, bool(r)) for i, r in enumerate(right)}


def changed(right: np.ndarray, lost: int, won: int) -> np.ndarray:
    after = right.copy()
    after[np.flatnonzero(right)[:lost]] = False
    after[np.flatnonzero(~right)[:won]] = True
    return after


BASE = np.random.default_rng(0).random(1000) < 0.7


def test_an_unchanged_model_passes() -> None:
    result = judge_forgetting_gate(judged(BASE), judged(BASE), DOMAIN_0, DOMAIN_PEAK, DOMAIN_PEAK)
    assert result["passed"] and result["retention"] == 1.0 and result["groups"][0]["low"] == 0.0


def test_answers_that_change_both_ways_pass_on_1000_items_at_3_points() -> None:
    assert judge_forgetting_gate(judged(BASE), judged(changed(BASE, 60, 60)), DOMAIN_0, DOMAIN_PEAK)["passed"]


def test_a_five_point_drop_fails() -> None:
    result = judge_forgetting_gate(judged(BASE), judged(changed(BASE, 80, 30)), DOMAIN_0, DOMAIN_PEAK)
    assert not result["passed"]
    assert result["groups"][0]["change"] == pytest.approx(-0.05)
    assert "FAILED: g -5.0 points" in describe_gate_verdict(result)


def test_one_bad_group_fails_however_good_the_others_are() -> None:
    before = judged(BASE, "a") | judged(BASE, "b")
    after = judged(np.ones(1000, bool), "a") | judged(changed(BASE, 100, 0), "b")
    result = judge_forgetting_gate(before, after, DOMAIN_0, DOMAIN_PEAK)
    assert [g["passed"] for g in result["groups"]] == [True, False] and not result["passed"]


def test_losing_the_domain_gain_fails() -> None:
    after = {f"d{i}": ("domain", i < 60) for i in range(100)}  # 40 of 60 points left
    result = judge_forgetting_gate(judged(BASE), judged(BASE), DOMAIN_0, after, DOMAIN_PEAK)
    assert result["domain"]["kept"] == pytest.approx(2 / 3) and not result["passed"]
    assert "67 % of the domain gain" in describe_gate_verdict(result)
    assert judge_forgetting_gate(judged(BASE), judged(BASE), DOMAIN_0, after, DOMAIN_PEAK, keep_gain=0.5)["passed"]
    assert judge_forgetting_gate(judged(BASE), judged(BASE), DOMAIN_0, after)["passed"]  # no peak, no condition


def test_retention_leaves_out_groups_the_base_never_solves() -> None:
    before = judged(BASE, "a") | judged(np.zeros(1000, bool), "b")
    assert judge_forgetting_gate(before, before, DOMAIN_0, DOMAIN_0)["retention"] == 1.0


def test_different_items_are_refused() -> None:
    with pytest.raises(ValueError, match="same general items"):
        judge_forgetting_gate(judged(BASE), judged(BASE[:-1]), DOMAIN_0, DOMAIN_0)
    with pytest.raises(ValueError, match="no domain items"):
        judge_forgetting_gate(judged(BASE), judged(BASE), {}, {})


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60), st.integers(0, 5))
def test_the_bound_is_deterministic_and_below_the_best_case(pairs: list[tuple[bool, bool]], seed: int) -> None:
    before, after = zip(*pairs, strict=True)
    low = compute_bootstrap_lower_bound(before, after, seed=seed)
    assert low == compute_bootstrap_lower_bound(before, after, seed=seed)
    assert -1 <= low <= 1


def test_the_bound_matches_resampling_items() -> None:
    after = changed(BASE, 80, 30)
    rng = np.random.default_rng(1)
    difference = after.astype(int) - BASE.astype(int)
    plain = np.quantile(difference[rng.integers(0, 1000, (4000, 1000))].mean(1), 0.05)
    assert compute_bootstrap_lower_bound(list(BASE), list(after)) == pytest.approx(plain, abs=0.0015)


def test_few_items_are_undecided_not_failed() -> None:
    before, after = BASE[:150], changed(BASE[:150], 12, 8)  # many replies change, both ways
    result = judge_forgetting_gate(judged(before), judged(after), DOMAIN_0, DOMAIN_PEAK, DOMAIN_PEAK)
    (group,) = result["groups"]
    assert result["verdict"] == group["verdict"] == "undecided" and not result["passed"]
    assert group["low"] < -0.03 < group["high"]
    assert (
        group["needed"] == compute_needed_items(list(before), list(after), 0.03) == 916
    )  # 20 / 150 · (2.4865 / 0.03)²
    assert "undecided for want of items: g has 150 of 916 items" in describe_gate_verdict(result)


def test_the_needed_number_of_items_decides_a_group_that_lost_nothing_four_times_out_of_five() -> None:
    rng = np.random.default_rng(0)
    n = compute_needed_items(
        [True, True, True, False] * 5, [True, True, True, True] * 5, 0.03
    )  # a quarter of the replies changes
    passed = 0
    for _ in range(200):
        difference = rng.choice([-1, 0, 1], size=n, p=[0.125, 0.75, 0.125])
        passed += (
            compute_bootstrap_lower_bound([bool(d < 0) for d in difference], [bool(d > 0) for d in difference]) > -0.03
        )
    assert 0.72 < passed / 200 < 0.88


def test_no_change_on_too_few_items_shows_nothing() -> None:
    assert compute_fewest_items(0.03) == 99
    few, enough = BASE[:98], BASE[:99]
    assert judge_forgetting_gate(judged(few), judged(few), DOMAIN_0, DOMAIN_PEAK)["verdict"] == "undecided"
    assert judge_forgetting_gate(judged(enough), judged(enough), DOMAIN_0, DOMAIN_PEAK)["verdict"] == "passed"


def test_a_large_fall_shows_with_few_items() -> None:
    before = np.ones(20, bool)
    result = judge_forgetting_gate(judged(before), judged(changed(before, 10, 0)), DOMAIN_0, DOMAIN_PEAK)
    assert result["verdict"] == "failed"


def test_one_failed_group_outweighs_undecided_ones() -> None:
    before = judged(BASE, "a") | judged(BASE[:50], "b")
    after = judged(changed(BASE, 100, 0), "a") | judged(BASE[:50], "b")
    result = judge_forgetting_gate(before, after, DOMAIN_0, DOMAIN_PEAK)
    assert [g["verdict"] for g in result["groups"]] == ["failed", "undecided"] and result["verdict"] == "failed"
    assert "FAILED: a -10.0" in describe_gate_verdict(result) and "b has 50 of 99" in describe_gate_verdict(result)


def test_bounds_are_ordered_and_enclose_the_change() -> None:
    after = changed(BASE, 80, 30)
    low, high = compute_bootstrap_bounds(list(BASE), list(after))
    assert low < -0.05 < high


def test_groups_by_level() -> None:
    prediction = {"source": "general", "capability": "perception.colour.hue", "knowledge": "vehicles.road.car"}
    assert [find_gate_group(prediction, by) for by in ("source", "l1", "l2", "capability")] == [
        "general",
        "perception",
        "perception.colour",
        "perception.colour.hue",
    ]
    assert [find_gate_group(prediction, by) for by in ("knowledge_l1", "knowledge_l2", "knowledge")] == [
        "vehicles",
        "vehicles.road",
        "vehicles.road.car",
    ]
    assert find_gate_group({**prediction, "knowledge": None}, "knowledge_l1") == "(no label)"
