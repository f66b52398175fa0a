"""Schema of the ``rl`` stage: hybrid RL on verl."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AliasChoices, Field

from mindgpt_plugins.recipe.base import DatasetRef, ModelRef, StageConfig, Strict
from mindgpt_plugins.rewards.schedule import Ramp, Scheduled
from mindgpt_plugins.rewards.suite import RewardConfig


class FilterConfig(Strict):
    """Which groups of replies a step does not train on."""

    epsilon: float = Field(1e-6, ge=0, description="Drop groups whose largest |advantage| is below.")
    keep_all_correct: float = Field(
        0.25, ge=0, le=1, description="Probability that an all-correct group stays; only with modulators."
    )


class AdvantageConfig(Strict):
    """How a group's scores become advantages."""

    name: str = Field(
        "modulated",
        description="modulated, grpo, dr_grpo, gdpo, reward_sum, pass_at_k, pass_at_k_analytic, grpo_passk, "
        "or a plugin's; docs/advantage.md compares them.",
    )
    k: int = Field(4, ge=1, description="Subset size of the pass@k part.")
    lam: Scheduled = Field(
        Ramp(kind="linear", start=0.5, end=0.0),
        validation_alias=AliasChoices("lambda", "lam"),
        description="Weight of pass@k beside the expected score, in [0, 1]; a number or a schedule. Write `lambda:`.",
    )
    options: dict[str, Any] = Field(default_factory=dict, description="Further options of the named advantage.")
    filter: FilterConfig | None = Field(None, description="Drop groups from the update; null: train on all.")


class CurriculumConfig(Strict):
    """In which order the prompts come."""

    name: str = Field("easy_to_hard", description="A registered sampler: easy_to_hard, shuffled, or a plugin's.")
    options: dict[str, Any] = Field(default_factory=dict)


class RLConfig(StageConfig):
    """Group-relative RL with several rewards; rendered through verl's own Hydra configuration."""

    kind: Literal["rl"]
    model: ModelRef
    train: DatasetRef
    rewards: dict[str, RewardConfig] = Field(
        {"accuracy": RewardConfig(weight=1.0), "format": RewardConfig(weight=1.0)},
        min_length=1,
        description="Reward name → {weight, options, schedule}.",
    )
    advantage: AdvantageConfig = AdvantageConfig()
    curriculum: CurriculumConfig = CurriculumConfig()
    group_size: int = Field(8, ge=1, description="Replies per prompt (n).")
    prompts_per_step: int = Field(16, ge=1)
    steps: int = Field(ge=1, description="Optimizer steps of the whole run.")
    lr: float = Field(1e-6, gt=0)
    temperature: float = Field(1.0, gt=0)
    max_prompt_tokens: int = Field(1024, ge=1, description="Vision tokens included; a longer prompt stops the run.")
    max_response_tokens: int = Field(512, ge=1)
    micro_batch: int = Field(16, ge=1, description="Replies per forward/backward pass and device.")
    save_every: int = Field(20, ge=1, description="Steps between checkpoints; a killed run goes on from the last one.")
    workers: int = Field(1, ge=1, description="Data-parallel training ranks (GPUs, or processes on CPU).")
    rollout: Literal["auto", "hf_cpu", "vllm"] = Field("auto", description="auto: hf_cpu on CPU, vllm on GPUs.")
    clip: tuple[float, float] = Field((0.2, 0.28), description="Lower and upper clip range of the policy ratio.")
    verl: dict[str, Any] = Field(
        default_factory=dict, description="Passed through to verl's Hydra configuration, nested as there."
    )
