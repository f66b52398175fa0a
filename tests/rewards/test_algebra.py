"""The role algebra against the formula written out for one reply, on NumPy arrays and on torch tensors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mindgpt_plugins.rewards.algebra import combine_scores, compute_task_scores, tabulate_components

ROLES = {"right": "task", "grade": "task", "shape": "gate", "long": "modulator", "new": "modulator", "tongue": "gate"}
NAN = math.nan


def task_score(weights: dict[str, float], reply: dict[str, float | None]) -> float:
    total = scale = 0.0
    for name in ("right", "grade"):
        if reply[name] is not None:
            total, scale = total + weights[name] * reply[name], scale + weights[name]
    if scale == 0.0:
        return NAN
    return min(total / scale, 0.0) if 0.0 in (reply["shape"], reply["tongue"]) else total / scale


def modulated_score(weights: dict[str, float], reply: dict[str, float | None], r: float, correct: bool) -> float:
    return r * (1.0 + sum(weights[n] * (reply[n] or 0.0) for n in ("long", "new")) if correct else 1.0)


unit = st.floats(0, 1, allow_subnormal=False)
maybe = st.none() | unit
gate = st.sampled_from([None, 0.0, 1.0])
reply = st.fixed_dictionaries(
    {"right": st.none() | st.floats(-1, 1), "grade": maybe, "shape": gate, "long": maybe, "new": maybe, "tongue": gate}
)
weight = st.sampled_from([0.1, 0.7, 1.0, 1.3])
signed = st.fixed_dictionaries(
    {"right": weight, "grade": weight, "shape": weight, "long": unit.map(lambda w: -w), "new": unit, "tongue": weight}
)


@pytest.mark.parametrize("array", [np.array, lambda values: torch.tensor(values, dtype=torch.float64)])
@given(weights=signed, replies=st.lists(reply, min_size=1, max_size=6))
def test_the_formula_on_every_reply(
    array: Any, weights: dict[str, float], replies: list[dict[str, float | None]]
) -> None:
    components = {name: array([values]) for name, values in tabulate_components(ROLES, replies).items()}
    raw = compute_task_scores(ROLES, weights, components)
    wanted = [task_score(weights, one) for one in replies]
    np.testing.assert_array_equal(np.asarray(raw), [wanted])
    scores = combine_scores(ROLES, weights, components, raw)
    correct = [r >= 0.5 for r in wanted]
    assert np.asarray(scores.correct).tolist() == [correct]
    g = [modulated_score(weights, *one) for one in zip(replies, wanted, correct, strict=True)]
    np.testing.assert_array_equal(np.asarray(scores.modulated), [g])
    for name, role in ROLES.items():
        rest = scores.without(name)
        # A task without a weight would leave the mean to the others; without effect it gives 0 and keeps its weight.
        nothing = {"task": 0.0, "gate": 1.0, "modulator": 0.0}[role]
        others = [one | {name: None if one[name] is None else nothing} for one in replies]
        r = [task_score(weights, one) for one in others] if role != "modulator" else wanted
        g = [modulated_score(weights, *one) for one in zip(others, r, correct, strict=True)]
        np.testing.assert_array_equal(np.asarray(rest.raw), [r])
        np.testing.assert_allclose(np.asarray(rest.modulated), [g], rtol=0, atol=1e-15)
        assert rest.weights[name] == 0.0


def test_weights_may_differ_from_group_to_group() -> None:
    ones = torch.ones(2, 3, dtype=torch.float64)
    weights = {"right": ones[:, :1], "grade": torch.tensor([[1.0], [3.0]], dtype=torch.float64)}
    raw = compute_task_scores({"right": "task", "grade": "task"}, weights, {"right": ones, "grade": ones * 0})
    assert raw.tolist() == [[0.5] * 3, [0.25] * 3]


def test_torch_stays_in_float64_whatever_the_weight() -> None:
    """0.7 in float32 is 0.699999988: enough to move a share of the push."""
    one = {"right": torch.tensor([[1.0]], dtype=torch.float64), "grade": torch.tensor([[0.0]], dtype=torch.float64)}
    raw = compute_task_scores({"right": "task", "grade": "task"}, {"right": 0.7, "grade": 0.1}, one)
    assert raw.dtype == torch.float64 and float(raw) == 0.7 / (0.7 + 0.1)
