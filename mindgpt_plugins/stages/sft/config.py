"""Schema of the ``sft`` stage, and what it shares with ``dpo``: one training run of LLaMA-Factory."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from mindgpt_plugins.core.patch_modes import Patches
from mindgpt_plugins.core.schema import HOW, DatasetRef, ModelRef, StageConfig, Strict
from mindgpt_plugins.curriculum.config import GroupedMixtureChoice, SamplerChoice
from mindgpt_plugins.guards.config import LossGuard
from mindgpt_plugins.losses.config import KLConfig, LossChoice


class TrainingSet(Strict):
    """A dataset and, in a mixture, its weight: ``world/domain_train`` or ``{set: world/domain_train, weight: 3}``."""

    set: DatasetRef = Field(description="Data set that is trained on.")
    weight: float | None = Field(
        None,
        ge=0,
        description="Weight that the set's share of the samples is proportional to; give one to every set or to none.",
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, handler.resolve_ref_schema(handler(core))]}

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        return {"set": value} if isinstance(value, str) else value


class TrainingConfig(StageConfig):
    """One LLaMA-Factory run. What is not here goes through ``llamafactory:`` under the host's own name."""

    model: ModelRef = Field(description="Model that training starts from.")
    data: list[TrainingSet] = Field(
        min_length=1, description="Sets that are trained on: names, or {set, weight} for a mixture."
    )
    epochs: float | None = Field(None, gt=0, le=100_000, description="Passes over the data; give this or max_steps.")
    max_steps: int | None = Field(None, ge=1, description="Optimizer steps of the run; give this or epochs.")
    lr: float = Field(1e-5, gt=0, le=1, description="Peak learning rate.")
    lr_scheduler: str = Field("cosine", description="Course of the learning rate: LLaMA-Factory's lr_scheduler_type.")
    warmup: float = Field(0.03, ge=0, lt=1, description="Share of the steps in which the learning rate rises.")
    batch_size: int = Field(32, ge=1, description="Samples (pairs in dpo) per optimizer step, over all ranks.")
    gradient_accumulation: int = Field(1, ge=1, description="Micro-batches that each rank sums up per optimizer step.")
    workers: int = Field(1, ge=1, description="Data-parallel ranks (GPUs, or processes on CPU).")
    finetuning: Literal["full", "lora"] = Field(
        "full", description="Whether all weights are trained, or a LoRA adapter that is merged at the end."
    )
    lora_rank: int = Field(8, ge=1, description="Rank of the adapter, with finetuning lora.")
    lora_target: str = Field("all", description="Modules that get an adapter: LLaMA-Factory's lora_target.")
    freeze_vision_tower: bool = Field(True, description="Whether the vision tower keeps its weights.")
    freeze_projector: bool | None = Field(
        None,
        description="Whether the projector between vision and language keeps its weights. Default: as "
        "freeze_vision_tower.",
    )
    cutoff_len: int = Field(2048, ge=1, description="Longest sample in tokens, vision tokens included.")
    template: str = Field(
        "auto",
        description="Chat template: LLaMA-Factory's name of it, or auto: the one that writes the model's own markup, "
        "or own: the model's chat template and processor themselves, which auto takes where no name does.",
    )
    check_template: Annotated[bool, HOW] = Field(
        True,
        description="Whether a template that trains another markup than the model's own chat template asks is refused; "
        "docs/chat_template.md.",
    )
    save_steps: Annotated[int, HOW] = Field(
        100, ge=1, description="Steps between checkpoints; a killed run goes on from the last one."
    )
    keep_checkpoints: Annotated[int, HOW] = Field(2, ge=1, description="Checkpoints that are kept, the latest ones.")
    logging_steps: int = Field(1, ge=1, description="Optimizer steps between two lines of metrics.")
    dataloader_workers: int = Field(0, ge=0, description="Processes that load images; 0: the training process does.")
    curriculum: SamplerChoice | None = Field(
        None,
        description="Order of the samples: a sampler, alone or with options, e.g. {name: easy_to_hard, options: "
        "{pacing: root}}. Default: shuffled.",
    )
    mixture: GroupedMixtureChoice | None = Field(
        None, description="Shares by source, where weights of `data` are not enough."
    )
    eval_data: list[DatasetRef] = Field(
        default_factory=list, description="Sets to evaluate on while training, each on its own, e.g. for a mixture."
    )
    eval_steps: int = Field(
        100, ge=1, description="Steps between evaluations on eval_data; the first is before step 1."
    )
    trace: bool = Field(
        False, description="Whether to record which samples every step consumed, in trace.rank<k>.jsonl."
    )
    guard: Annotated[LossGuard, HOW] = Field(
        LossGuard(), description="What happens when the loss jumps; docs/divergence.md. It decides no number."
    )
    patches: Patches = Field(
        default_factory=dict, description="Patch → auto, on or off; see `mindgpt list patches`. Default: all auto."
    )
    drop_invalid: bool = Field(
        False,
        description="Whether rows that LLaMA-Factory leaves out (turns out of order, no reply) may be left out, and "
        "counted. Otherwise one such row stops the run before it starts.",
    )
    llamafactory: dict[str, Any] = Field(
        default_factory=dict,
        description="LLaMA-Factory's own keys; one that contradicts a recipe's (learning_rate against lr) is refused.",
    )

    def sets(self) -> list[str]:
        """Every set that is read, for training or evaluation."""
        return list(dict.fromkeys([*(one.set for one in self.data), *self.eval_data]))

    def further(self, start: str, steps: int, seed: int) -> Self:
        """The same training for ``steps`` more from ``start``: in another order, with a schedule of its own."""
        return self.model_copy(
            update={
                "model": start,
                "epochs": None,
                "max_steps": steps,
                "seed": (seed if self.seed is None else self.seed) + 1,
            }
        )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.epochs is None) == (self.max_steps is None):
            raise ValueError("give either epochs or max_steps")
        weights = [one.weight for one in self.data]
        given = [weight for weight in weights if weight is not None]
        if given and len(given) < len(weights):
            raise ValueError("give a weight to every set of `data` or to none")
        if given and not any(given):
            raise ValueError("all weights of `data` are zero; at least one must be positive")
        if given and self.mixture is not None:
            raise ValueError("give weights in `data` or a `mixture`, not both")
        names = [one.set for one in self.data]
        if len(set(names)) < len(names):
            raise ValueError("a set appears twice in `data`; list it once and give it a larger weight")
        if len(set(self.eval_data)) < len(self.eval_data):
            raise ValueError("a set appears twice in `eval_data`; list it once")
        return self


class SFTConfig(TrainingConfig):
    """Supervised fine-tuning: domain learning, capability restoration, or plain."""

    kind: Literal["sft"]
    loss: LossChoice = Field(
        LossChoice(name="weighted_ce"),
        description="What is minimised, e.g. {name: weighted_ce, options: {weights: {domain: 2}, length_weighting: "
        "sqrt}}.",
    )
    kl: KLConfig | None = Field(None, description="Anchor to a frozen reference on some sources; null: none.")

    def further(self, start: str, steps: int, seed: int) -> Self:
        """As any training; the anchor keeps the reference it always had."""
        more = super().further(start, steps, seed)
        if self.kl is None:
            return more
        anchor = self.kl.model_copy(update={"reference": self.kl.reference or self.model})
        return more.model_copy(update={"kl": anchor})
