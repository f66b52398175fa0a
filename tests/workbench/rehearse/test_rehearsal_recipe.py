"""Every shipped recipe has a rehearsal that validates, and whose stages pass their own checks on CPU."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mindgpt_plugins.pipeline import plan
from mindgpt_plugins.recipe.loading import list_shipped_recipes, load_recipe
from mindgpt_plugins.workbench.rehearse.models import ModelNotHere, find_model_folders, list_outside_models
from mindgpt_plugins.workbench.rehearse.recipe import (
    ROWS,
    NothingToRehearse,
    make_rehearsal_recipe,
    write_rehearsal_recipe,
)

RECIPES = list(list_shipped_recipes())


@pytest.mark.parametrize("name", RECIPES)
def test_a_shipped_recipe_can_be_rehearsed(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    models = {reference: tmp_path / "copy" for reference in list_outside_models(recipe)}
    (tmp_path / "copy").mkdir()
    example = Path(list_shipped_recipes()["qwen3_vl_4b"]).parent / "example_data"
    sets = {
        value: f"{example}/{value.rpartition('/')[2]}"
        for config in recipe.stages.values()
        for to, value in config.references()
        if to == "dataset" and value.rpartition("/")[0] not in recipe.stages
    }
    if all(config.kind == "benchmark" for config in recipe.stages.values()):
        with pytest.raises(NothingToRehearse, match="stage .*: (evalscope is not installed|data sets|its interpreter)"):
            make_rehearsal_recipe(recipe, models=models, sets=sets, rows={})
        return
    tree, changes = make_rehearsal_recipe(recipe, models=models, sets=sets, rows=dict.fromkeys(sets, ROWS))
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False))
    planned = plan.make_run_plan(load_recipe(str(path)), tmp_path / "runs")
    left_out = {change.stage for change in changes if change.key == "kind" and change.after is None}
    assert [stage.name for stage in planned.stages] == [stage for stage in recipe.stages if stage not in left_out]
    assert left_out <= {n for n, one in recipe.stages.items() if one.kind in ("quantise", "benchmark")}
    for stage in planned.stages:
        assert stage.stage.check(stage.config, stage.context) == [], stage.name
        if stage.config.kind in ("sft", "dpo"):
            assert (stage.config.max_steps, stage.config.save_steps, stage.config.epochs) == (2, 1, None)
        if stage.config.kind == "rl":
            assert (stage.config.steps, stage.config.save_every, stage.config.rollout) == (2, 1, "hf_cpu")
    # What CPU cannot do is never left out silently.
    assert all(change.means for change in changes if change.kind != "smaller")


def test_what_the_user_chose_stays(tmp_path: Path) -> None:
    recipe = load_recipe("qwen3_vl_4b")
    tree, changes = make_rehearsal_recipe(recipe, models={}, sets={}, rows={})
    domain, rl = tree["stages"]["domain"], tree["stages"]["rl"]
    assert tree["image"] == {"min_pixels": 65536, "max_pixels": 1048576}
    assert domain["cutoff_len"] == 4096 and rl["max_prompt_tokens"] == 2048 and rl["group_size"] == 8
    assert domain["curriculum"]["name"] == "easy_to_hard" and domain["data"][0]["weight"] == 3
    assert (domain["workers"], domain["gradient_accumulation"], domain["batch_size"]) == (2, 2, 8)
    assert set(rl["rewards"]) == {"accuracy", "format", "conciseness", "diversity", "rehearsed_spread"}
    assert "verl.actor_rollout_ref.rollout.gpu_memory_utilization" in {change.key for change in changes}


def test_a_rehearsal_has_the_environment_of_the_recipe_and_keeps_it_to_its_owner(tmp_path: Path) -> None:
    recipe = load_recipe("quickstart", ["launch.sft.env.PLAIN=value", "launch.rl.env_from=[HF_TOKEN]"])
    tree, _ = make_rehearsal_recipe(recipe, models={}, sets={}, rows={})
    path = tmp_path / "recipe.yaml"
    path.write_text("of an earlier rehearsal")
    write_rehearsal_recipe(tree, path)
    assert path.stat().st_mode & 0o777 == 0o600
    made = load_recipe(str(path))
    assert made.launch_of("sft").reveal_env() == {"PLAIN": "value"}
    assert made.launch_of("rl").env_from == ("HF_TOKEN",)


def test_files_that_a_recipe_names_are_found_from_the_rehearsals_folder(tmp_path: Path) -> None:
    (tmp_path / "eval.json").write_text("{}")
    (tmp_path / "my.yaml").write_text("extends: quickstart\nname: my\n")
    recipe = load_recipe(str(tmp_path / "my.yaml"), ["stages.world.sets.general_train.focus.file=eval.json"])
    tree, _ = make_rehearsal_recipe(recipe, models={}, sets={}, rows={})
    focus = tree["stages"]["world"]["sets"]["general_train"]["focus"]
    assert focus["file"] == str(tmp_path / "eval.json")


def test_a_model_that_is_not_here_is_named_with_the_fix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    recipe = load_recipe("qwen3_vl_4b")
    with pytest.raises(ModelNotHere, match=r"--model Qwen/Qwen3-VL-4B-Instruct=FOLDER"):
        find_model_folders(recipe, {})
    with pytest.raises(ModelNotHere, match="uses no such model; it uses: Qwen/Qwen3-VL-4B-Instruct"):
        find_model_folders(recipe, {"Qwen/Qwen3-VL-8B-Instruct": tmp_path})
    snapshot = tmp_path / "models--Qwen--Qwen3-VL-4B-Instruct" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    for file in ("config.json", "tokenizer_config.json"):
        (snapshot / file).write_text("{}")
    assert find_model_folders(recipe, {}) == {"Qwen/Qwen3-VL-4B-Instruct": snapshot.resolve()}


def test_no_model_server_is_asked_unless_wanted() -> None:
    recipe = load_recipe("data/vllm")
    tree, changes = make_rehearsal_recipe(recipe, models={}, sets={}, rows={}, server="http://127.0.0.1:9/v1")
    data = tree["stages"]["data"]
    assert [one["base_url"] for one in data["endpoints"]["teacher"]] == ["http://127.0.0.1:9/v1"]
    assert [gate["name"] for gate in data["filter"]["gates"]] == ["rules", "duplicates", "decontaminate"]
    assert {change.kind for change in changes if "endpoints" in change.key} == {"stand-in"}
    asked, _ = make_rehearsal_recipe(recipe, models={}, sets={}, rows={}, server=None)
    assert [one["base_url"] for one in asked["stages"]["data"]["endpoints"]["teacher"]] == ["http://127.0.0.1:8000/v1"]
