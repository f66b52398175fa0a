"""The rendered world closes the loop: a focused source asks more about weak leaves, in the same pictures."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from mindgpt_data.export import read_set
from mindgpt_data.focus.branch_file import FocusError
from pydantic import ValidationError
from support import focus_file
from support.world_run import run_world

from mindgpt_plugins.pipeline.plan import make_run_plan
from mindgpt_plugins.recipe.loading import RecipeError, validate_recipe
from mindgpt_plugins.stages.base import Context
from mindgpt_plugins.stages.world.config import WorldConfig
from mindgpt_plugins.stages.world.stage import WorldStage

YIELD = "signs.priority.give_way"
DEV: dict[str, Any] = {"split": "dev"}
FOUR: dict[str, Any] = {"images": 4}


def sets(focus: Any = None, **more: Any) -> dict[str, Any]:
    one = {"sources": {"domain": {"images": 200, "items": 400}}, **({"focus": focus} if focus else {})}
    return {"round2": one, **more}


def world(folder: Path, focus: Any = None, **more: Any) -> dict[str, Any]:
    run_world(folder, sets(focus), **{"budget": {"n_max": 6}, **more})
    report: dict[str, Any] = json.loads((folder / "data_report.json").read_text())
    return report


def weak_signs(path: Path) -> str:
    return str(
        focus_file.write(
            path / "branches.json",
            ("knowledge", YIELD, 0, 200),
            ("knowledge", "vehicles.road.car", 200, 0),
            ("capability", "knowledge.sign", 0, 200),
            ("capability", "knowledge.vehicle", 200, 0),
            ("capability", "knowledge.travel", 200, 0),
            ("capability", "perception.count", 200, 0),
        )
    )


def test_the_same_pictures_and_as_many_questions_more_of_them_weak(tmp_path: Path) -> None:
    plain, leaning = world(tmp_path / "a"), world(tmp_path / "b", {"file": weak_signs(tmp_path)})
    rows = [read_set(tmp_path / name / "datasets", "round2") for name in "ab"]
    assert {r.image[0] for r in rows[0]} == {r.image[0] for r in rows[1]}
    counts = [Counter(r.capability for r in one) for one in rows]
    topics = [Counter(r.knowledge for r in one) for one in rows]
    assert [len(one) for one in rows] == [400, 400]
    assert counts[1]["knowledge.sign"] > 1.4 * counts[0]["knowledge.sign"]
    assert topics[1][YIELD] > 1.2 * topics[0][YIELD]
    assert counts[1]["perception.count"] < counts[0]["perception.count"]
    assert "focus" not in plain["sets"]["round2"]
    told = leaning["sets"]["round2"]["focus"]
    weak = {row["leaf"]: row for row in told["leaves"]}
    assert {YIELD, "knowledge.sign"} <= set(weak)
    assert not {"vehicles.road.car", "perception.count", "knowledge.vehicle"} & set(weak)
    assert weak["knowledge.sign"]["items"] == counts[1]["knowledge.sign"]
    assert weak["knowledge.sign"]["weight"] > 1


def test_budgets_without_a_corpus_total_keep_theirs(tmp_path: Path) -> None:
    totals = []
    for focus in (None, weak_signs(tmp_path)):
        folder = tmp_path / str(len(totals))
        one = {"sources": {"domain": {"images": 60}}, **({"focus": focus} if focus else {})}
        totals.append(len(read_set(run_world(folder, {"s": one}), "s")))
    assert totals[0] == totals[1]


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="a focus is for train sets"):
        WorldConfig.model_validate({"kind": "world", "sets": {"d": {**DEV, "focus": "e", "sources": {"domain": FOUR}}}})
    with pytest.raises(FocusError, match="No such file"):
        world(tmp_path, str(tmp_path / "no.json"))
    config = {"kind": "world", "sets": sets(weak_signs(tmp_path)), "budget": {"allocator": "random", "n_max": 6}}
    (problem,) = WorldStage().check(WorldConfig.model_validate(config), Context("again", tmp_path, {}, 0))
    assert "takes no `weights`" in problem


def recipe(folder: Path, focus: str, **more: Any) -> dict[str, Any]:
    first = {"train": {"sources": {"domain": FOUR}}, "dev": {**DEV, "sources": {"domain": FOUR}}}
    return {
        "name": "loop",
        "device": "cpu",
        "image": {"min_pixels": 1024, "max_pixels": 9216},
        "stages": {
            "world": {"kind": "world", "sets": first},
            "model": {"kind": "model", "tokenizer_from": ["world/train"]},
            "eval": {"kind": "evaluate", "model": "model", "sets": ["world/dev"]},
            "again": {"kind": "world", "sets": sets(focus), **more},
        },
    }


def test_a_recipe_closes_the_loop_by_naming_the_evaluation(tmp_path: Path) -> None:
    loop = validate_recipe(recipe(tmp_path, "eval"), tmp_path / "r.yaml")
    assert loop.inputs("again") == ["eval"]
    again = make_run_plan(loop, tmp_path / "runs").stages[-1]
    evaluated = again.context.inputs["eval"]["branches"]
    again.folder.mkdir(parents=True)
    again.stage.render(again.config, again.context)
    written = json.loads((again.folder / "config.json").read_text())
    assert written["runs"][0]["settings"]["focus"]["file"] == evaluated
    with pytest.raises(RecipeError, match="neither an earlier evaluate stage nor .*did you mean 'eval'"):
        validate_recipe(recipe(tmp_path, "evall"), tmp_path / "r.yaml")
    other = make_run_plan(validate_recipe(recipe(tmp_path, "world"), tmp_path / "r.yaml"), tmp_path / "runs").stages[-1]
    assert "needs 'branches' of stage 'world'" in other.stage.check(other.config, other.context)[0]


def test_the_stages_hash_follows_the_file(tmp_path: Path) -> None:
    def hashed() -> str:
        one = validate_recipe(recipe(tmp_path, "branches.json"), tmp_path / "r.yaml")
        assert one.inputs("again") == []
        return make_run_plan(one, tmp_path / "runs").stages[-1].digest

    weak_signs(tmp_path)
    first = hashed()
    weak_signs(tmp_path)
    assert first == hashed()  # written anew, with the same content
    path = tmp_path / "branches.json"
    path.write_text(path.read_text().replace("0.95", "0.950"))
    assert first != hashed()
    config = WorldConfig.model_validate({"kind": "world", "sets": sets("branches.json")})
    context = Context("again", tmp_path, {}, 0, recipe_folder=tmp_path)
    WorldStage().render(config, context)
    written = json.loads((tmp_path / "config.json").read_text())
    assert written["runs"][0]["settings"]["focus"]["file"] == str(path)
