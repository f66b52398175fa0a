"""The ablation's arithmetic (intervals, Holm, decisions, front), and that its recipes are valid."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "sft"))

from forgetting_arms import ARMS, BATCH, OURS, recipe, scaled, trained
from forgetting_table import decide, pareto, table
from paired import holm, interval, p_value

from mindgpt_plugins.recipe.loading import validate_recipe

pytest.importorskip("scipy")


def line(arm: str, seed: int, gain: float, retention: float) -> dict[str, object]:
    return {"arm": arm, "seed": seed, "domain_gain": gain, "retention": retention, "general": 70.0, "tokens": 1000}


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])


def test_interval_and_p_value_agree() -> None:
    low, high = interval([1.0, 2.0, 3.0, 4.0])
    assert (low, high) == pytest.approx((0.4457, 4.5543), abs=1e-3)
    assert p_value([1.0, 2.0, 3.0, 4.0]) < 0.05 and low > 0
    assert p_value([1.0]) == 1.0 and p_value([0.0, 0.0]) == 1.0


def test_win_null_and_loss_are_decided_over_shared_seeds() -> None:
    noise = (0.0, 0.3, -0.2, 0.1, -0.3, 0.2)
    lines = [line(OURS, s, 40 + e, 100 - e) for s, e in enumerate(noise)]
    lines += [line("stage1", s, 40 + (-1) ** s, 80 + e) for s, e in enumerate(noise)]
    lines += [line("one_mix", s, 45 + e / 2, 99.9 - e) for s, e in enumerate(noise)]
    lines.append(line("stage1", 9, 0, 0))  # ours has no seed 9
    found = {(c["other"], c["metric"]): c for c in decide(lines)}
    assert found["stage1", "domain_gain"]["decision"] == "null"
    assert found["stage1", "retention"]["decision"] == "win" and len(found["stage1", "retention"]["d"]) == 6
    assert found["one_mix", "domain_gain"]["decision"] == "loss"
    assert all(c["holm"] >= c["p"] for c in found.values())
    assert "| one_mix | 6 | 45.0" in table(lines)


def test_pareto_front() -> None:
    assert pareto({"a": (1.0, 3.0), "b": (2.0, 2.0), "c": (1.0, 2.0), "d": (2.0, 2.0)}) == {"a", "b", "d"}


@pytest.mark.parametrize("name", ARMS)
def test_every_arm_is_a_valid_recipe(name: str, tmp_path: Path) -> None:
    content = recipe(name, 3, None if name.startswith("three_stage") else 800, 1.0)
    valid = validate_recipe(content, tmp_path / "r.yaml")
    assert list(valid.stages)[-1] == "evaluated" and valid.seed == 3
    lineage, model = [], valid.stages["evaluated"].model
    while model not in ("base", "alone"):  # what the evaluated model came from, back to the common start
        stage = valid.stages[model]
        lineage.append(model)
        model = stage.end if stage.kind == "interpolate" else stage.model
    lineage = [*lineage, "alone"] if model == "alone" else lineage
    assert {x for x in lineage if x != "between"} == set(trained(name))


def test_all_arms_share_base_and_data() -> None:
    shared = ("world", "model", "base", "eval_base", "domain", "restore_data")
    first = recipe(OURS, 0, None, 1.0)["stages"]
    for name in ARMS[1:]:
        other = recipe(name, 0, 500, 1.0)["stages"]
        assert all(other[stage] == first[stage] for stage in shared)


def test_scaling_touches_counts_only() -> None:
    assert scaled({"max_steps": 100, "batch_size": BATCH, "a": {"images": 50}}, 0.1) == {
        "max_steps": 10,
        "batch_size": BATCH,
        "a": {"images": 5},
    }
    steps = recipe("stage1", 0, 17, 0.1)["stages"]["alone"]["max_steps"]
    assert steps == 17  # already of the scaled world
