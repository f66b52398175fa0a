from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindgpt_plugins.stages.self_training.weights import apportion_copies, shrink_solve_rates


def test_shrinking_pulls_towards_the_capabilitys_mean() -> None:
    group = {"a": "x", "b": "x", "c": "y"}
    p = shrink_solve_rates({"a": 8, "b": 0, "c": 8}, 8, group, 2.0)
    assert p == pytest.approx({"a": 0.9, "b": 0.1, "c": 1.0})
    assert shrink_solve_rates({"a": 8, "b": 0}, 8, group, 0.0) == {"a": 1.0, "b": 0.0}


weights = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.floats(0.1, 1.1), min_size=1, max_size=30)


@given(weights, st.integers(1, 4), st.data())
def test_copies_add_up_and_respect_the_cap(w: dict[str, float], most: int, data: st.DataObject) -> None:
    total = data.draw(st.integers(0, most * len(w)))
    copies = apportion_copies(w, total, most, seed=data.draw(st.integers(0, 9)))
    assert copies.keys() == w.keys()
    assert sum(copies.values()) == total
    assert all(0 <= c <= most for c in copies.values())


def test_expected_copies_follow_the_weights() -> None:
    w = {f"p{i}": 1.0 if i < 10 else 0.25 for i in range(20)}
    drawn = [apportion_copies(w, 10, 2, seed) for seed in range(400)]
    heavy = sum(c[f"p{i}"] for c in drawn for i in range(10)) / 4000
    assert heavy == pytest.approx(0.8, abs=0.02)  # 10 rows over 10·1 + 10·0.25


def test_more_rows_than_the_cap_allows_is_an_error() -> None:
    with pytest.raises(ValueError, match="3 rows were asked for"):
        apportion_copies({"a": 1.0}, 3, 2, 0)
