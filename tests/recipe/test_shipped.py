"""Every shipped recipe renders, and what it renders is accepted by the hosts' own parsers."""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import yaml

from mindgpt_plugins.pipeline import plan, runner
from mindgpt_plugins.recipe.loading import list_shipped_recipes, load_recipe

RECIPES = sorted(name for name in list_shipped_recipes() if not name.startswith("example_data"))
TRAINING = ("sft", "dpo")


def having(*kinds: str) -> list[str]:
    """Shipped recipes with a stage of one of these kinds."""
    return [name for name in RECIPES if any(stage.kind in kinds for stage in load_recipe(name).stages.values())]


def rendered(name: str, folder: Path, kinds: tuple[str, ...]) -> list[tuple[Path, list[Any]]]:
    """Folder and commands of every stage of some kinds, rendered as a dry run does."""
    found = []
    for stage in plan.make_run_plan(load_recipe(name), folder / "runs").stages:
        if stage.config.kind in kinds:
            scratch = folder / stage.name
            scratch.mkdir()
            found.append((scratch, runner.render_stage_commands(stage, scratch)))
    return found


@pytest.mark.parametrize("name", having(*TRAINING))
def test_llamafactory_accepts_every_training_stage(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import transformers.training_args as training_args
    from llamafactory.hparams import parser

    # Its parser asks the machine whether it can do bf16; the recipe is for another machine.
    monkeypatch.setattr(training_args, "is_torch_bf16_gpu_available", lambda: True, raising=False)
    stages = rendered(name, tmp_path, TRAINING)
    assert stages
    for folder, _ in stages:
        config = yaml.safe_load((folder / "train.yaml").read_text())
        config.pop("mindgpt")
        if importlib.util.find_spec("deepspeed") is None:
            # transformers refuses the key without the package, so there is only our own look at it.
            sharding = config.pop("deepspeed", None)
            assert sharding is None or (sharding["zero_optimization"]["stage"], sharding["bf16"]["enabled"]) == (
                3,
                "auto",
            )
        model, data, training, finetuning, _ = parser._parse_train_args(config)
        assert finetuning.stage in TRAINING and training.output_dir and data.dataset and model.model_name_or_path


@pytest.mark.parametrize("name", having("rl"))
def test_verl_accepts_every_rl_stage(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hydra import compose, initialize_config_module
    from omegaconf import OmegaConf
    from verl.trainer.ppo.utils import need_reference_policy
    from verl.utils.config import omega_conf_to_dataclass, validate_config

    if importlib.util.find_spec("vllm") is None:
        # verl asks vLLM which adapter ranks it has; these are vLLM 0.28's.
        ranks = types.ModuleType("verl.workers.rollout.vllm_rollout.utils")
        ranks.get_vllm_max_lora_rank = {1, 8, 16, 32, 64, 128, 256, 320, 512}.__contains__  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, ranks.__name__, ranks)
    stages = rendered(name, tmp_path, ("rl",))
    assert stages
    for _, commands in stages:
        argv = list(commands[0].argv)
        config_name = argv[argv.index("--config-name") + 1]
        overrides = argv[argv.index("--config-name") + 2 :]
        with initialize_config_module("mindgpt_plugins.verl_ext.conf", version_base=None):
            config = compose(config_name, overrides=overrides)
        OmegaConf.resolve(config)
        mode = config.trainer.v1.trainer_mode
        assert mode.startswith("mindgpt_") and config.trainer.v1[mode].settings.endswith("settings.json")
        # What verl's task runner does before it starts a worker, less the model's files, which are not here.
        validate_config(config, use_reference_policy=need_reference_policy(config), use_critic=False)
        actor = omega_conf_to_dataclass(config.actor_rollout_ref.actor)
        rollout = omega_conf_to_dataclass(config.actor_rollout_ref.rollout)
        omega_conf_to_dataclass(config.algorithm)
        assert actor.strategy == actor.engine.strategy
        assert rollout.name in ("vllm", "hf_cpu") and rollout.n == actor.rollout_n


def test_the_stages_of_rl_hand_their_weights_on(tmp_path: Path) -> None:
    for name in ("rl/three_stages_4b", "rl/three_stages_4b_lora", "rl/three_stages_30b_a3b"):
        stages = {stage.name: stage for stage in plan.make_run_plan(load_recipe(name), tmp_path / "runs").stages}
        for before, after in (("reasoning", "perception"), ("perception", "experience")):
            scratch = tmp_path / name / after
            scratch.mkdir(parents=True)
            made = stages[before].context.folder
            argv = runner.render_stage_commands(stages[after], scratch)[0].argv
            path = next(a for a in argv if a.startswith("actor_rollout_ref.model.path="))
            assert str(made) in path


def test_the_moe_preset_becomes_gspo_with_replayed_experts(tmp_path: Path) -> None:
    _, commands = rendered("rl/three_stages_30b_a3b", tmp_path, ("rl",))[0]
    argv = commands[0].argv
    assert {
        "actor_rollout_ref.actor.policy_loss.loss_mode=gspo",
        "actor_rollout_ref.actor.clip_ratio_low=0.0003",
        "actor_rollout_ref.actor.clip_ratio_high=0.0004",
        "actor_rollout_ref.actor.megatron.router_replay.mode=R3",
        "actor_rollout_ref.rollout.enable_rollout_routing_replay=true",
        "algorithm.rollout_correction.rollout_is=token",
        "actor_rollout_ref.actor.megatron.expert_model_parallel_size=8",
    } <= set(argv)
