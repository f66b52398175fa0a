"""What the planner renders is accepted by the trainers' own configuration classes, and the shipped recipes are it."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from mindgpt_plugins.pipeline import plan as planning
from mindgpt_plugins.pipeline import runner
from mindgpt_plugins.recipe.loading import load_recipe
from mindgpt_plugins.sizing import model as reading
from mindgpt_plugins.stages.rl.hydra_overrides import render_override
from mindgpt_plugins.workbench.parallel import plan, render
from mindgpt_plugins.workbench.parallel.layouts import ParallelLayout
from mindgpt_plugins.workbench.parallel.request import ParallelRequest, Recompute, parse_image_sizes

CONFIGS = Path(__file__).parent / "configs"
DENSE = reading.read_model_sizes(CONFIGS / "qwen3_vl_8b.json")
SPARSE = reading.read_model_sizes(CONFIGS / "qwen3_vl_30b_a3b.json")
ULYSSES = ParallelLayout("verl-fsdp2", 4, cp=2, shard=8, sharding="fsdp2")
ONE_NODE = ParallelLayout("verl-megatron", 2, tp=2, cp=2, ep=8, etp=1, shard=4)
FIVE = ParallelLayout("verl-megatron", 8, tp=2, pp=2, cp=2, ep=8, etp=1, shard=16)


def rendered(model: reading.Model, layout: ParallelLayout, request: ParallelRequest) -> render.Rendered:
    """The keys of one layout of a plan."""
    made = plan.make_parallel_plan(model, request)
    option = next(option for option in made.options if option.layout == layout)
    return render.render_layout_keys(made, option)


def rl(layout: ParallelLayout, gpus: int, **changes: Any) -> ParallelRequest:
    pictures = parse_image_sizes(["4x1024x1024"], DENSE.vision)
    return ParallelRequest(gpus=gpus, stage="rl", trainers=(layout.trainer,), images=pictures, **changes)


def composed(folder: str, name: str, overrides: list[str]) -> Any:
    from hydra import compose, initialize_config_module
    from omegaconf import OmegaConf

    with initialize_config_module(folder, version_base=None):
        config = compose(name, overrides=overrides)
    OmegaConf.resolve(config)
    return config


def overrides(host: dict[str, Any]) -> list[str]:
    return [render_override(key, value) for key, value in host.items()]


def subset(part: Any, whole: Any) -> bool:
    """Whether every key of a nested part is in the whole with that value."""
    if isinstance(part, dict):
        return all(subset(value, whole.get(key)) for key, value in part.items() if value is not None)
    return bool(part == whole)


@pytest.mark.parametrize(
    ("model", "layout", "request_"),
    [
        (DENSE, ULYSSES, rl(ULYSSES, 8)),
        (DENSE, ULYSSES, rl(ULYSSES, 8, lora=16, fused_loss=True)),
        (SPARSE, ONE_NODE, rl(ONE_NODE, 8, gpu_mem=141)),
        (SPARSE, FIVE, rl(FIVE, 64, recompute="selective")),
        (DENSE, dataclasses.replace(FIVE, ep=1, dp=1, shard=2, vpp=3), rl(FIVE, 8, recompute="none")),
    ],
)
def test_verl_accepts_the_keys_for_rl(model: reading.Model, layout: ParallelLayout, request_: ParallelRequest) -> None:
    from verl.utils.config import omega_conf_to_dataclass

    keys = rendered(model, layout, request_)
    engine = ["model_engine=megatron"] if layout.trainer == "verl-megatron" else []
    micro = ["actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=1", "actor_rollout_ref.rollout.name=vllm"]
    micro += ["actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=1", "actor_rollout_ref.model.path=x"]
    config = composed("verl.trainer.config", "ppo_trainer", [*engine, *micro, *overrides(keys.host)])
    actor = omega_conf_to_dataclass(config.actor_rollout_ref.actor)
    if layout.trainer == "verl-fsdp2":
        assert (actor.strategy, actor.fsdp_config.ulysses_sequence_parallel_size) == ("fsdp2", layout.cp)
        asked = config.actor_rollout_ref.model
        assert (asked.lora_rank, asked.use_fused_kernels) == (request_.lora, request_.fused_loss)
        assert not request_.lora or asked.target_modules == render.TARGETS
        return
    engine_config = actor.megatron
    assert engine_config.tensor_model_parallel_size == layout.tp
    assert engine_config.pipeline_model_parallel_size == layout.pp
    assert engine_config.context_parallel_size == layout.cp
    assert engine_config.expert_model_parallel_size == layout.ep
    change = engine_config.override_transformer_config
    wanted = {"none": None}.get(request_.mode(layout.trainer), request_.mode(layout.trainer))
    assert change["recompute_granularity"] == wanted
    assert config.actor_rollout_ref.rollout.tensor_model_parallel_size >= 1


@pytest.mark.parametrize(("model", "layout"), [(DENSE, ULYSSES), (SPARSE, ONE_NODE)])
def test_verl_accepts_the_keys_for_sft(model: reading.Model, layout: ParallelLayout) -> None:
    from verl.utils.config import omega_conf_to_dataclass

    request = ParallelRequest(gpus=8, trainers=(layout.trainer,), gpu_mem=141, lora=0)
    keys = rendered(model, layout, request)
    groups = keys.command.split("sft_trainer")[1].split()
    config = composed("verl.trainer.config", "sft_trainer_engine", [*groups, *overrides(keys.host)])
    engine = omega_conf_to_dataclass(config.engine)
    assert getattr(engine, "ulysses_sequence_parallel_size", 1) * getattr(engine, "context_parallel_size", 1) == 2
    assert keys.recipe is None


@pytest.mark.parametrize("sharding", ["fsdp2", "zero3", "zero2", "ddp"])
@pytest.mark.parametrize("recompute", ["none", "full"])
def test_llamafactory_accepts_the_keys(
    sharding: Any, recompute: Recompute, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers.training_args as training_args
    from llamafactory.hparams import parser

    monkeypatch.setattr(training_args, "is_torch_bf16_gpu_available", lambda: True, raising=False)
    layout = ParallelLayout("llamafactory", 8, shard=1 if sharding == "ddp" else 8, sharding=sharding)
    request = ParallelRequest(
        gpus=8, trainers=("llamafactory",), recompute=recompute, lora=16 if sharding == "ddp" else 0
    )
    host = dict(rendered(DENSE, layout, request).host)
    if importlib.util.find_spec("deepspeed") is None:
        host.pop("deepspeed", None)  # transformers refuses the key without the package
    rest = {"model_name_or_path": "x", "stage": "sft", "do_train": True, "dataset": "x", "template": "qwen3_vl"}
    model, data, training, tuning, _ = parser._parse_train_args({**host, **rest, "output_dir": str(tmp_path)})
    assert model.disable_gradient_checkpointing == (recompute == "none")
    assert training.gradient_accumulation_steps == 8 and tuning.freeze_vision_tower and data.cutoff_len == 8192
    assert (tuning.finetuning_type, tuning.lora_rank if sharding == "ddp" else 16) == (
        "lora" if sharding == "ddp" else "full",
        16,
    )


def test_wrapped_classes_are_those_of_transformers() -> None:
    import transformers

    for architecture, names in render.LAYERS.items():
        path = next(
            path for path in CONFIGS.glob("*.json") if json.loads(path.read_text())["model_type"] == architecture
        )
        model = getattr(transformers, json.loads(path.read_text())["architectures"][0])
        assert set(names) == set(model._no_split_modules), architecture


@pytest.mark.parametrize(
    ("name", "model", "layout", "request_"),
    [
        ("rl_8b_fsdp2_ulysses", DENSE, ULYSSES, rl(ULYSSES, 8)),
        ("rl_30b_a3b_5d", SPARSE, FIVE, rl(FIVE, 64)),
        ("rl_30b_a3b_one_node", SPARSE, ONE_NODE, rl(ONE_NODE, 8, gpu_mem=141)),
        (
            "sft_8b_fsdp2",
            DENSE,
            ParallelLayout("llamafactory", 8, shard=8, sharding="fsdp2"),
            ParallelRequest(gpus=8, trainers=("llamafactory",), global_batch=64),
        ),
        (
            "sft_30b_a3b_zero3",
            SPARSE,
            ParallelLayout("llamafactory", 16, shard=16, sharding="zero3"),
            ParallelRequest(gpus=16, trainers=("llamafactory",), global_batch=128),
        ),
    ],
)
def test_shipped_recipes_are_what_the_planner_renders(
    name: str, model: reading.Model, layout: ParallelLayout, request_: ParallelRequest, tmp_path: Path
) -> None:
    keys = rendered(model, layout, request_)
    (stage,) = planning.make_run_plan(load_recipe(f"parallel/{name}"), tmp_path / "runs").stages
    assert stage.stage.check(stage.config, stage.context) == []
    assert subset(keys.recipe, stage.config.model_dump()), (keys.recipe, stage.config.model_dump())
    made = plan.make_parallel_plan(model, request_)
    assert next(option for option in made.options if option.layout == layout).fits
    (tmp_path / "stage").mkdir()
    commands = runner.render_stage_commands(stage, tmp_path / "stage")
    if layout.trainer == "llamafactory":
        host = yaml.safe_load((tmp_path / "stage" / "train.yaml").read_text())
        assert subset(keys.host, host)
        return
    argv = list(commands[0].argv)
    at = argv.index("--config-name")
    config = composed("mindgpt_plugins.verl_ext.conf", argv[at + 1], argv[at + 2 :])
    for key, value in keys.host.items():
        found: Any = config
        for part in key.split("."):
            found = found[part]
        assert found == value, key
