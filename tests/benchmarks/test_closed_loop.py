"""The closed-loop experiment: its recipes are valid, its rounds comparable, its table decides by the stated rule."""

import sys
from pathlib import Path
from typing import Any

import pytest
from mindgpt_data.export import read_set

from mindgpt_plugins.recipe.loading import validate_recipe

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "data"))

from closed_loop_rounds import ARMS, TOPICS, first_recipe, loop_recipe, uneven
from closed_loop_table import table
from support.world_run import run_world

pytest.importorskip("scipy")


def made(folder: Path, stage: dict[str, Any], seed: int) -> Path:
    """The datasets folder of a stage; its budget and sizes are the recipe's."""
    return run_world(folder, **{key: value for key, value in stage.items() if key != "kind"}, seed=seed)


def test_only_the_focused_round_reads_the_evaluation_and_both_hold_out_the_same(tmp_path: Path) -> None:
    content = loop_recipe(3, 0.02, "uneven-3")
    worlds = {name: content["stages"][name] for name in ("world", "world_focused", "world_plain")}
    for name, stage in worlds.items():
        bare = {**stage, "sets": {key: value for key, value in stage["sets"].items() if key != "round2"}}
        made(tmp_path / name, bare, 3)
    held_out = [[r.to_json() for r in read_set(tmp_path / name / "datasets", "test")] for name in worlds]
    assert held_out[0] == held_out[1] == held_out[2]
    uneven(tmp_path / "world" / "datasets", tmp_path / "uneven-3", 3)
    recipe = validate_recipe(content, tmp_path / "loop.yaml")
    assert recipe.inputs("world_focused") == ["eval_first"]
    assert recipe.inputs("world_plain") == []
    assert {recipe.stages[arm].model_dump()["max_steps"] for arm in ARMS} == {3}


def test_the_first_round_nearly_lacks_a_few_topics(tmp_path: Path) -> None:
    world = made(tmp_path / "world", first_recipe(0, 0.1)["stages"]["world"], 0)
    starved = uneven(world, tmp_path / "uneven", 0)["knowledge"]
    whole, cut = read_set(world, "domain_train"), read_set(tmp_path / "uneven", "domain_first")
    assert len(starved) == TOPICS
    left, all_ = (sum(row.knowledge in starved for row in rows) for rows in (cut, whole))
    assert left < 0.15 * all_
    assert [r for r in whole if r.knowledge not in starved] == [r for r in cut if r.knowledge not in starved]
    assert uneven(world, tmp_path / "uneven", 0)["knowledge"] == starved  # written once


def line(seed: int, weak: float, others: float) -> dict[str, Any]:
    def points(one: float, two: float) -> dict[str, float]:
        return {"weak": one, "others": two, "all": (one + two) / 2, "starved": one}

    rounds = {"pictures": 10, "questions": 20, "steps": 3, "tokens": 99, "share": points(0.5, 0.5)}
    return {
        "seed": seed,
        "starved": {"knowledge": ["vehicles.road.bus"]},
        "weak": [["knowledge", "vehicles.road.bus", 0.1, 4.0]],
        "questions": points(40, 60),
        "accuracy": {"before": points(10, 60), "plain": points(30, 60), "focused": points(30 + weak, 60 + others)},
        "rounds": dict.fromkeys(ARMS, rounds),
        "minutes": 5.0,
    }


@pytest.mark.parametrize(("sign", "said"), [(1, "win"), (-1, "loss")])
def test_the_table_decides_by_seed_and_never_on_what_was_planted(sign: int, said: str) -> None:
    text = table([line(seed, sign * (5 + seed / 10), (-1) ** seed) for seed in range(6)])
    rows = {row.split("|")[1].strip(): row for row in text.splitlines() if row.startswith("|")}
    assert f"**{said}**" in rows["weak branches"]
    assert "**null**" in rows["other branches"]
    assert "not decided" in rows["starved topics"]
    assert "bus" in rows["0"]
