from __future__ import annotations

from itertools import product
from math import comb
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindgpt_plugins.stages.evaluate.paired import (
    CompareError,
    adjust_holm_p_values,
    compare_evaluations,
    compute_mcnemar_p_value,
    compute_paired_interval,
)

PARTS = {"general": ["general"], "domain": ["domain"]}


def items(right: dict[str, list[bool]], **changes: Any) -> list[dict[str, Any]]:
    """Predictions from label → outcomes."""
    return [
        {"uid": f"{label}-{i}", "set": "dev", "source": "general", "capability": label, "correct": r, **changes}
        for label, outcomes in right.items()
        for i, r in enumerate(outcomes)
    ]


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_the_exact_binomial_test(lost: int, won: int) -> None:
    n = lost + won
    tail = sum(comb(n, k) for k in range(min(lost, won) + 1))  # exact, in integers
    assert compute_mcnemar_p_value(lost, won) == pytest.approx(min(1.0, 2 * tail / 2**n), rel=1e-9)


def test_mcnemar_of_many_changed_items() -> None:
    assert compute_mcnemar_p_value(50_000, 50_000) == 1.0
    assert 0.0 <= compute_mcnemar_p_value(60_000, 40_000) < 1e-300 < compute_mcnemar_p_value(50_400, 49_600) < 0.012


def test_holm_is_the_textbook_example() -> None:
    assert adjust_holm_p_values([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert adjust_holm_p_values([]) == [] and adjust_holm_p_values([0.9, 0.8]) == [1.0, 1.0]


def coverage(n: int, p_lost: float, p_won: float, method: Any) -> float:
    """Exact chance that the interval of n items holds the true difference."""
    total = 0.0
    for lost, won in product(range(n + 1), repeat=2):
        if lost + won <= n:
            chance = comb(n, lost) * comb(n - lost, won) * p_lost**lost * p_won**won
            low, high = method(lost, won, n)
            total += chance * (1 - p_lost - p_won) ** (n - lost - won) * (low <= p_won - p_lost <= high)
    return total


def bootstrap(lost: int, won: int, n: int) -> tuple[float, float]:
    """95 % interval by resampling items, as the gate does for its bounds."""
    counts = np.random.default_rng(0).multinomial(n, [lost / n, (n - lost - won) / n, won / n], size=2000)
    low, high = np.quantile((counts[:, 2] - counts[:, 0]) / n, (0.025, 0.975))
    return float(low), float(high)


@pytest.mark.parametrize("n", [5, 12, 40])
@pytest.mark.parametrize(
    "p_lost, p_won, least",
    [(0.1, 0.1, 0.95), (0.02, 0.02, 0.99), (0.05, 0.25, 0.95), (0.5, 0.1, 0.94), (0.0, 0.05, 0.87), (0.3, 0.02, 0.83)],
)
def test_the_interval_holds_the_true_difference(n: int, p_lost: float, p_won: float, least: float) -> None:
    assert coverage(n, p_lost, p_won, compute_paired_interval) > least


def test_resampling_items_would_be_too_sure_of_a_leaf() -> None:
    assert coverage(5, 0.05, 0.25, bootstrap) < 0.76 and coverage(5, 0.0, 0.05, bootstrap) < 0.23
    assert bootstrap(0, 0, 10) == (0.0, 0.0) and compute_paired_interval(0, 0, 10)[1] > 0.15


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_the_interval_holds_what_was_seen_and_stays_in_range(lost: int, won: int, same: int) -> None:
    low, high = compute_paired_interval(lost, won, n := lost + won + same)
    assert -1 <= low <= ((won - lost) / n if n else 0.0) <= high <= 1


def test_a_planted_fall_is_named_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    before = {f"{a}.{b}": list(map(bool, rng.random(120) < 0.7)) for a in "ab" for b in "wxyz"}
    after = {label: list(r) for label, r in before.items()}
    for label, outcomes in after.items():  # everything changes both ways, one branch only falls
        right, wrong = (np.flatnonzero(np.array(outcomes) == side)[:8] for side in (True, False))
        for i in [*right, *wrong]:
            outcomes[i] = not outcomes[i]
        if label == "b.y":
            for i in np.flatnonzero(outcomes)[:40]:
                outcomes[i] = False
    found = compare_evaluations(items(before), items(after), "base", PARTS)
    verdicts = {".".join(b["path"]): b["verdict"] for b in found["branches"]}
    assert [path for path, v in verdicts.items() if v != "unclear"] == ["b", "b.y"]
    assert found["tests"] == len(verdicts) == 10
    (total,) = found["totals"]
    assert (total["part"], total["n"], total["lost"] - total["won"], total["verdict"]) == ("general", 960, 40, "fell")


def test_general_losses_do_not_hide_behind_domain_gains() -> None:
    general, domain = [True] * 100, [False] * 100
    before = items({"count": general}) + items({"count": domain}, source="domain", set="test")
    after = items({"count": [False] * 30 + [True] * 70})
    after += items({"count": [True] * 30 + [False] * 70}, source="domain", set="test")
    found = compare_evaluations(before, after, "base", PARTS)["branches"]
    assert [(b["part"], b["change"], b["verdict"]) for b in found] == [
        ("general", -0.3, "fell"),
        ("domain", 0.3, "rose"),
    ]
    other = compare_evaluations(before, after, "base", {"general": ["general"]})["branches"]
    assert [b["part"] for b in other] == ["general", "domain"]  # a source of its own


def test_an_only_child_is_the_same_question_as_its_parent() -> None:
    before, after = items({"a.b.c": [True] * 9, "d": [True]}), items({"a.b.c": [False] * 9, "d": [True]})
    found = compare_evaluations(before, after, "base", PARTS)
    assert found["tests"] == 2
    assert {b["p_holm"] for b in found["branches"] if b["path"][0] == "a"} == {2 * 2 * 0.5**9}


def test_items_of_one_side_are_counted_and_none_in_common_is_an_error() -> None:
    before, after = items({"a": [True] * 5}), items({"a": [True] * 3, "b": [True] * 2})
    found = compare_evaluations(before, after, "base", PARTS)
    assert (found["items"], found["only_before"], found["only_after"]) == (3, 2, 2)
    assert [b["path"] for b in found["branches"]] == [["a"]]
    with pytest.raises(CompareError, match="base and this evaluation have no item in common"):
        compare_evaluations(before, items({"b": [True]}), "base", PARTS)


def test_under_no_change_a_branch_is_rarely_named() -> None:
    rng, named = np.random.default_rng(1), 0
    for _ in range(200):
        outcomes = rng.random((2, 20, 30)) < 0.6
        sides = [items({f"a.l{i}": list(map(bool, rows)) for i, rows in enumerate(side)}) for side in outcomes]
        named += any(
            b["verdict"] != "unclear" for b in compare_evaluations(sides[0], sides[1], "base", PARTS)["branches"]
        )
    assert named / 200 <= 0.05
