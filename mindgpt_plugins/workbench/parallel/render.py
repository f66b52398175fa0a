"""A layout in the words of the trainers: their own keys, and the part of our recipe that sets them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mindgpt_plugins.workbench.parallel.layouts import ParallelLayout
from mindgpt_plugins.workbench.parallel.plan import LayoutOption, ParallelPlan

LAYERS = {
    "qwen3_vl": ["Qwen3VLTextDecoderLayer", "Qwen3VLVisionBlock"],
    "qwen3_vl_moe": ["Qwen3VLMoeTextDecoderLayer", "Qwen3VLMoeVisionBlock"],
    "qwen2_5_vl": ["Qwen2_5_VLDecoderLayer", "Qwen2_5_VLVisionBlock"],
    "qwen3": ["Qwen3DecoderLayer"],
    "qwen3_moe": ["Qwen3MoeDecoderLayer"],
}
"""Classes that FSDP wraps."""
TARGETS = ".*[.]layers[.][0-9]+[.].*[.](q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
"""Linear layers of the language model; verl's ``all-linear`` would put adapters into the vision tower too."""
ENVIRONMENT = {"FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT"}
"""accelerate reads it from the environment alone; its default would leave no model folder to go on from."""


@dataclass(frozen=True)
class Rendered:
    """Keys for a trainer.

    Attributes:
        command: what takes the keys.
        host: its own keys, dotted for verl's Hydra, nested for LLaMA-Factory's YAML.
        recipe: keys of a stage of our recipes that render to them; None where no stage kind of ours runs this.
        environment: variables the trainer reads.
    """

    command: str
    host: dict[str, Any]
    recipe: dict[str, Any] | None
    environment: dict[str, str]


def render_layout_keys(plan: ParallelPlan, option: LayoutOption) -> Rendered:
    """The keys of a layout."""
    layout = option.layout
    if layout.trainer == "llamafactory":
        return _llamafactory(plan, layout)
    if plan.request.stage == "sft":
        return _verl_sft(plan, layout)
    return _verl_rl(plan, option)


def render_megatron_keys(layout: ParallelLayout, recompute: str, sparse: bool) -> dict[str, Any]:
    """Keys of verl's Megatron engine."""
    keys: dict[str, Any] = {
        "tensor_model_parallel_size": layout.tp,
        "pipeline_model_parallel_size": layout.pp,
        "virtual_pipeline_model_parallel_size": layout.vpp if layout.vpp > 1 else None,
        "context_parallel_size": layout.cp,
        "expert_model_parallel_size": layout.ep,
        "expert_tensor_parallel_size": layout.etp if sparse else None,
        "sequence_parallel": layout.tp > 1,
        "use_distributed_optimizer": True,
    }
    change: dict[str, Any] = {"recompute_granularity": None if recompute == "none" else recompute}
    if recompute == "full":
        change |= {"recompute_method": "uniform", "recompute_num_layers": 1}
    if recompute == "selective":
        change["recompute_modules"] = ["layernorm", "moe_act" if sparse else "mlp"]
    return keys | {"override_transformer_config": change}


def _llamafactory(plan: ParallelPlan, layout: ParallelLayout) -> Rendered:
    request = plan.request
    accumulate = request.batch // (layout.dp * request.micro_batch)
    sharding: dict[str, Any] = {}
    if layout.sharding == "fsdp2":
        wrapped = LAYERS[plan.model.architecture]
        settings = {"version": 2, "transformer_layer_cls_to_wrap": wrapped, "cpu_ram_efficient_loading": True}
        sharding = {"fsdp": "full_shard auto_wrap", "fsdp_config": settings}
    elif layout.sharding != "ddp":
        zero = {"stage": int(layout.sharding[-1]), "overlap_comm": True, "contiguous_gradients": True}
        if layout.sharding == "zero3":
            zero |= {"stage3_gather_16bit_weights_on_model_save": True}
        auto = ("train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "gradient_clipping")
        sharding["deepspeed"] = {
            "bf16": {"enabled": "auto"},
            **dict.fromkeys(auto, "auto"),
            "zero_allow_untested_optimizer": True,
            "zero_optimization": zero,
        }
    if request.mode(layout.trainer) == "none":
        sharding["disable_gradient_checkpointing"] = True
    trained = request.vision_trained(layout.trainer)
    tuning: dict[str, Any] = {"finetuning_type": "lora", "lora_rank": request.lora} if request.lora else {}
    host = {
        "finetuning_type": "full",
        **tuning,
        "bf16": True,
        "flash_attn": "sdpa",
        "cutoff_len": request.seq,
        "per_device_train_batch_size": request.micro_batch,
        "gradient_accumulation_steps": accumulate,
        **({} if plan.model.vision is None else {"freeze_vision_tower": not trained}),
        **sharding,
    }
    recipe = {
        "kind": "sft",
        "workers": layout.dp,
        "batch_size": request.batch,
        "gradient_accumulation": accumulate,
        "cutoff_len": request.seq,
        **({"finetuning": "lora", "lora_rank": request.lora} if request.lora else {}),
        **({} if plan.model.vision is None else {"freeze_vision_tower": not trained}),
        "llamafactory": {"flash_attn": "sdpa", **sharding},
    }
    environment = dict(ENVIRONMENT) if layout.sharding == "fsdp2" else {}
    return Rendered(f"torchrun --nproc_per_node {_per_node(plan)} (LLaMA-Factory)", host, recipe, environment)


def _verl_sft(plan: ParallelPlan, layout: ParallelLayout) -> Rendered:
    request = plan.request
    host: dict[str, Any] = {
        "data.train_batch_size": request.batch,
        "data.micro_batch_size_per_gpu": request.micro_batch,
        "data.use_dynamic_bsz": False,
        "data.max_length": request.seq,
        **_model("model", plan, layout),
    }
    groups = ""
    if layout.trainer == "verl-megatron":
        groups = " engine=megatron optim=megatron"
        host |= _dotted(
            "engine", render_megatron_keys(layout, request.mode(layout.trainer), plan.model.text.experts is not None)
        )
    else:
        host |= {"engine.strategy": "fsdp2", **_dotted("engine", _fsdp(layout))}
    command = f"torchrun --nproc_per_node {_per_node(plan)} -m verl.trainer.sft_trainer{groups}"
    return Rendered(command, host, None, {})


def _verl_rl(plan: ParallelPlan, option: LayoutOption) -> Rendered:
    layout, request, generating = option.layout, plan.request, option.rollout
    assert generating is not None
    actor = "actor_rollout_ref.actor"
    prefix = f"{actor}.megatron" if layout.trainer == "verl-megatron" else f"{actor}.fsdp_config"
    offload = {
        "param_offload": generating.offload == "all",
        "optimizer_offload": generating.offload in ("optimizer", "all"),
    }
    if layout.trainer == "verl-megatron":
        sizes = (
            render_megatron_keys(layout, request.mode(layout.trainer), plan.model.text.experts is not None) | offload
        )
        strategy = "megatron"
    else:
        sizes, strategy = _fsdp(layout) | offload, "fsdp2"
    host: dict[str, Any] = {
        f"{actor}.strategy": strategy,
        **_dotted(prefix, sizes),
        **_model("actor_rollout_ref.model", plan, layout),
        f"{actor}.freeze_vision_tower": plan.model.vision is not None and not request.vision_trained(layout.trainer),
        "actor_rollout_ref.rollout.tensor_model_parallel_size": generating.tp,
        "actor_rollout_ref.rollout.gpu_memory_utilization": generating.utilisation,
        "trainer.n_gpus_per_node": _per_node(plan),
        "trainer.nnodes": _nodes(plan),
    }
    frozen = {"freeze_vision_tower": host[f"{actor}.freeze_vision_tower"]}
    further: dict[str, Any] = {"actor_rollout_ref": {"actor": frozen}}
    model = {key.rpartition(".")[2]: value for key, value in _model("model", plan, layout).items()}
    further["actor_rollout_ref"]["model"] = {
        key: value for key, value in model.items() if key not in ("lora_rank", "target_modules")
    }
    if _nodes(plan) > 1:
        further["trainer"] = {"n_gpus_per_node": _per_node(plan), "nnodes": _nodes(plan)}
    recipe: dict[str, Any] = {
        "kind": "rl",
        "workers": request.gpus,
        "strategy": strategy,
        "preset": "moe" if plan.model.text.experts and strategy == "megatron" else "dense",
        "parallel": sizes,
        "vllm": {"tensor_parallel": generating.tp, "gpu_memory_utilization": generating.utilisation},
        "micro_batch": request.micro_batch,
        **({"lora": {"rank": request.lora, "alpha": 2 * request.lora, "targets": TARGETS}} if request.lora else {}),
        "verl": further,
    }
    groups = " model_engine=megatron" if strategy == "megatron" else ""
    return Rendered(f"python -m verl.trainer.main_ppo{groups}", host, recipe, {})


def _fsdp(layout: ParallelLayout) -> dict[str, Any]:
    """Keys of verl's FSDP engine; ``fsdp_size`` -1 shards over all ranks."""
    size = -1 if layout.shard == layout.dp * layout.cp else layout.shard
    return {"fsdp_size": size, "ulysses_sequence_parallel_size": layout.cp}


def _model(prefix: str, plan: ParallelPlan, layout: ParallelLayout) -> dict[str, Any]:
    keys: dict[str, Any] = {f"{prefix}.use_remove_padding": True}
    if layout.trainer == "verl-fsdp2":
        keys[f"{prefix}.enable_gradient_checkpointing"] = plan.request.mode(layout.trainer) == "full"
        if plan.request.fused_loss:
            keys[f"{prefix}.use_fused_kernels"] = True
    if plan.request.lora:
        keys |= {f"{prefix}.lora_rank": plan.request.lora, f"{prefix}.target_modules": TARGETS}
    return keys


def _dotted(prefix: str, keys: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in keys.items():
        found |= _dotted(f"{prefix}.{key}", value) if isinstance(value, dict) else {f"{prefix}.{key}": value}
    return found


def _per_node(plan: ParallelPlan) -> int:
    return min(plan.request.gpus, plan.request.node)


def _nodes(plan: ParallelPlan) -> int:
    return plan.request.gpus // _per_node(plan)
