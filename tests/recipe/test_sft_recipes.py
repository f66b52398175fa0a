"""The recipes for real models: the same stages for every size, and what each variant changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mindgpt_plugins.pipeline import plan, runner
from mindgpt_plugins.recipe.loading import list_shipped_recipes, load_recipe

RECIPES = sorted(name for name in list_shipped_recipes() if name.startswith("sft/qwen3_vl"))


def host_configs(name: str, folder: Path) -> dict[str, dict[str, Any]]:
    """Stage → LLaMA-Factory's configuration."""
    found = {}
    for stage in plan.make_run_plan(load_recipe(name), folder / "runs").stages:
        if stage.config.kind in ("sft", "dpo"):
            (folder / stage.name).mkdir()
            runner.render_stage_commands(stage, folder / stage.name)
            found[stage.name] = yaml.safe_load((folder / stage.name / "train.yaml").read_text())
    return found


def test_every_size_and_method_is_there() -> None:
    sizes = ("2b", "4b", "8b", "30b_a3b")
    wanted = {f"sft/qwen3_vl_{size}_{method}" for size in sizes for method in ("full", "lora")}
    assert wanted | {"sft/qwen3_vl_4b_full_fsdp2"} == set(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_one_key_names_the_model(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name, ["stages.eval_base.model=org/other"])
    models = {str(stage.model) for stage in recipe.stages.values() if hasattr(stage, "model")}
    assert "org/other" in models and not [model for model in models if model.startswith("Qwen/")]


@pytest.mark.parametrize("name", RECIPES)
def test_the_method_and_the_sharding(name: str, tmp_path: Path) -> None:
    for config in host_configs(name, tmp_path).values():
        assert config["finetuning_type"] == ("lora" if "lora" in name else "full")
        assert config["freeze_vision_tower"] is True and config["bf16"] is True
        sharded = config.get("deepspeed") is not None or config.get("fsdp") is not None
        assert sharded == ("2b" not in name and ("full" in name or "30b" in name))


def test_every_micro_batch_is_whole(tmp_path: Path) -> None:
    for name in RECIPES:
        for stage in plan.make_run_plan(load_recipe(name), tmp_path / "runs").stages:
            assert stage.stage.check(stage.config, stage.context) == [], (name, stage.name)


def test_distillation_is_verls_own_configuration(tmp_path: Path) -> None:
    from hydra import compose, initialize_config_module
    from verl.utils.config import omega_conf_to_dataclass

    (stage,) = plan.make_run_plan(load_recipe("sft/restore_by_distillation"), tmp_path / "runs").stages
    assert stage.stage.check(stage.config, stage.context) == []
    argv = list(runner.render_stage_commands(stage, tmp_path)[0].argv)
    at = argv.index("--config-name")
    with initialize_config_module("mindgpt_plugins.verl_ext.conf", version_base=None):
        config = compose(argv[at + 1], overrides=argv[at + 2 :])
    distillation = omega_conf_to_dataclass(config.distillation)  # verl checks teachers, pool and loss here
    assert {key: t.model_path for key, t in distillation.teacher_models.items()} == {
        "general": "Qwen/Qwen3-VL-4B-Instruct",
        "domain": "your-org/Qwen3-VL-4B-domain",
    }
    assert distillation.teacher_key == "data_source"
    loss = distillation.distillation_loss
    assert (loss.loss_mode, loss.use_task_rewards, loss.use_policy_gradient) == ("k3", False, False)
    for teacher in distillation.teacher_models.values():  # the teacher reads the whole reply and samples one token
        assert (teacher.inference.prompt_length, teacher.inference.response_length) == (2048 + 1024, 1)
