from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindgpt_plugins.stages.evaluate.scoring import aggregate_cells, compute_wilson_interval, estimate_pass_at_k


@given(st.lists(st.booleans(), min_size=1, max_size=9), st.data())
def test_pass_at_k_equals_brute_force_over_all_subsets(right: list[bool], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(right)))
    subsets = [any(s) for s in combinations(right, k)]
    assert estimate_pass_at_k(len(right), sum(right), k) == pytest.approx(sum(subsets) / len(subsets))


@pytest.mark.parametrize("n, correct, k", [(4, 2, 5), (4, 2, 0), (4, 5, 1), (4, -1, 1)])
def test_pass_at_k_refuses_impossible_counts(n: int, correct: int, k: int) -> None:
    with pytest.raises(ValueError, match="pass@k needs"):
        estimate_pass_at_k(n, correct, k)


@given(st.integers(1, 2000), st.data())
def test_wilson_holds_the_share_and_stays_in_range(n: int, data: st.DataObject) -> None:
    c = data.draw(st.integers(0, n))
    low, high = compute_wilson_interval(c, n)
    assert 0 <= low <= c / n + 1e-9 and c / n - 1e-9 <= high <= 1
    binomtest = pytest.importorskip("scipy.stats").binomtest
    assert (low, high) == pytest.approx(tuple(binomtest(c, n).proportion_ci(method="wilson")), abs=1e-7)


def prediction(**changes: object) -> dict[str, object]:
    base = {
        "uid": "a",
        "set": "dev",
        "source": "general",
        "capability": "c1",
        "correct": True,
        "tokens": 4,
        "answer": "red",
        "samples": [],
        "blank_correct": None,
    }
    return {**base, **changes}


def test_cells_roll_up_by_set_source_and_capability() -> None:
    samples = [{"correct": c, "tokens": 3} for c in (True, False, False, False)]
    found = aggregate_cells(
        [
            prediction(samples=samples, blank_correct=False),
            prediction(capability="c2", correct=False, answer=None, tokens=8),
            prediction(source="domain", capability="d"),
            prediction(set="test"),
        ]
    )
    by = {(c["set"], c["source"], c["capability"]): c for c in found}
    whole = by["dev", "general", "all"]
    assert (whole["n"], whole["accuracy"], whole["tokens"], whole["parsed"]) == (2, 0.5, 6.0, 0.5)
    assert whole["pass_at"] == {"1": 0.25, "2": 0.5, "4": 1.0}
    assert (whole["sampled"], whole["blank_accuracy"], whole["sighted_accuracy"]) == (1, 0.0, 1.0)
    assert by["dev", "all", "all"]["n"] == 3
    assert ("dev", "all", "c1") not in by
    assert by["test", "all", "all"]["pass_at"] == {}
