"""Every shipped recipe renders, and what it renders is accepted by the hosts' own parsers."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import yaml

from mindgpt_plugins.pipeline import plan, runner
from mindgpt_plugins.recipe.loading import load, shipped_recipes

RECIPES = sorted(name for name in shipped_recipes() if not name.startswith("example_data"))
TRAINING = ("sft", "dpo")


def having(*kinds: str) -> list[str]:
    """Shipped recipes with a stage of one of these kinds."""
    return [name for name in RECIPES if any(stage.kind in kinds for stage in load(name).stages.values())]


def rendered(name: str, folder: Path, kinds: tuple[str, ...]) -> list[tuple[Path, list[Any]]]:
    """Folder and commands of every stage of some kinds, rendered as a dry run does."""
    found = []
    for stage in plan.make(load(name), folder / "runs").stages:
        if stage.config.kind in kinds:
            scratch = folder / stage.name
            scratch.mkdir()
            found.append((scratch, runner.commands(stage, scratch)))
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
def test_verl_accepts_every_rl_stage(name: str, tmp_path: Path) -> None:
    from hydra import compose, initialize_config_module
    from omegaconf import OmegaConf

    stages = rendered(name, tmp_path, ("rl",))
    assert stages
    for _, commands in stages:
        argv = list(commands[0].argv)
        config_name = argv[argv.index("--config-name") + 1]
        overrides = argv[argv.index("--config-name") + 2 :]
        with initialize_config_module("mindgpt_plugins.verl_ext.conf", version_base=None):
            config = compose(config_name, overrides=overrides)
        OmegaConf.resolve(config)
        assert config.trainer.v1.trainer_mode == "mindgpt_sync"
        assert config.trainer.v1.mindgpt_sync.settings.endswith("settings.json")
