"""Schema of the ``rl`` stage: hybrid RL on verl."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from mindgpt_plugins.core.patch_modes import Patches
from mindgpt_plugins.core.schema import HOW, DatasetRef, ModelRef, StageConfig, Strict
from mindgpt_plugins.verl_ext.settings import HybridSettings, Mode


class LoraConfig(Strict):
    """Train an adapter and leave the base frozen; the next stage gets the two merged."""

    rank: int = Field(32, ge=1, description="Rank of the adapter.")
    alpha: int = Field(64, ge=1, description="The adapter's output is scaled by alpha / rank.")
    targets: str | list[str] = Field("all-linear", description="Modules that get an adapter: names, or all-linear.")


class VLLMConfig(Strict):
    """vLLM rollouts."""

    tensor_parallel: int = Field(1, ge=1, description="GPUs per vLLM server; the number divides workers.")
    gpu_memory_utilization: Annotated[float | None, HOW] = Field(
        None, gt=0, lt=1, description="Share of the device's memory while it generates; null: 0.6, on CPU 0.1."
    )
    options: dict[str, Any] = Field(default_factory=dict, description="vLLM's own engine arguments, passed through.")


class RLConfig(HybridSettings, StageConfig):
    """Group-relative RL with several rewards; rendered through verl's own Hydra configuration."""

    kind: Literal["rl"]
    model: ModelRef = Field(description="Model that training starts from.")
    train: DatasetRef | list[DatasetRef] = Field(
        description="Data set of the prompts, or several that are put together."
    )
    mode: Mode = Field(
        "sync",
        description="sync: generate, then train. colocate_async: generation goes on over updates. separate_async: "
        "rollouts on GPUs of their own.",
    )
    group_size: int = Field(8, ge=1, description="Replies per prompt (n), which are compared with each other.")
    prompts_per_step: int = Field(16, ge=1, description="Prompts per optimizer step.")
    steps: int = Field(ge=1, description="Optimizer steps of the whole run.")
    lr: float = Field(1e-6, gt=0, le=1, description="Learning rate.")
    temperature: float = Field(1.0, gt=0, description="Sampling temperature of the rollouts.")
    max_prompt_tokens: int = Field(
        1024, ge=1, description="Tokens of a prompt at most, vision tokens included; a longer prompt stops the run."
    )
    max_response_tokens: int = Field(512, ge=1, description="Tokens of a reply at most.")
    micro_batch: int = Field(16, ge=1, description="Replies per forward/backward pass and device.")
    save_every: Annotated[int, HOW] = Field(
        20, ge=1, description="Steps between checkpoints; a killed run goes on from the last one."
    )
    workers: int = Field(1, ge=1, description="Data-parallel training ranks (GPUs, or processes on CPU).")
    rollout: Literal["auto", "hf_cpu", "vllm"] = Field(
        "auto", description="What generates: auto is hf_cpu on CPU and vllm on GPUs."
    )
    vllm: VLLMConfig = Field(VLLMConfig(), description="How vLLM generates, where it does.")
    preset: Literal["dense", "moe"] = Field(
        "dense",
        description="dense: token ratios, clip 0.2/0.28, token-mean loss. moe: GSPO, clip 3e-4/4e-4, routing replay. "
        "Both correct for a rollout engine whose log-probabilities differ.",
    )
    clip: tuple[float, float] | None = Field(
        None, description="Lower and upper clip range of the policy ratio; null: the preset's."
    )
    routing_replay: Literal["auto", "R2", "R3", "off"] = Field(
        "auto", description="Experts of the old policy (R2) or of the rollout (R3) are used again; auto: R3 for moe."
    )
    strategy: Literal["fsdp2", "megatron"] = Field("fsdp2", description="How verl shards the trained model.")
    parallel: dict[str, Any] = Field(
        default_factory=dict,
        description="The strategy's own keys in verl: actor.fsdp_config (ulysses_sequence_parallel_size, …) or "
        "actor.megatron (tensor_model_parallel_size, …).",
    )
    lora: LoraConfig | None = Field(
        None, description="Adapter that is trained in place of the weights; null: all weights are trained."
    )
    patches: Patches = Field(
        default_factory=dict, description="Patch → auto, on or off; see `mindgpt list patches`. Default: all auto."
    )
    verl: dict[str, Any] = Field(
        default_factory=dict, description="Passed through to verl's Hydra configuration, nested as there."
    )
