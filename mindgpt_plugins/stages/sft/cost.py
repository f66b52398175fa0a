"""What training by LLaMA-Factory computes: passes over the rows, in steps as its own sampler counts them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mindgpt_plugins.llamafactory_ext.ordering import Loader
from mindgpt_plugins.sizing import flops
from mindgpt_plugins.sizing.flops import Forward, Trained
from mindgpt_plugins.sizing.lengths import Rows, RowTokens
from mindgpt_plugins.sizing.work import CostInputs, StageWork, describe_recomputation
from mindgpt_plugins.stages.context import Context
from mindgpt_plugins.stages.costing import CostRules
from mindgpt_plugins.stages.sft import render as llamafactory
from mindgpt_plugins.stages.sft.config import SFTConfig, TrainingConfig


class SFTCost(CostRules[SFTConfig]):
    """Updates, the KL anchor's reference, and evaluation on the way."""

    def count_work(self, config: SFTConfig, context: Context, job: CostInputs) -> StageWork:
        """Over all steps."""
        training = TrainingPasses(config, context, job)
        work = training.work
        if config.kl is not None:
            share = _share(training.rows.items, config.kl.sources)
            work.compute += share * training.passed.total
            work.assumptions.append(f"KL anchor: the reference's forward pass over {100 * share:.0f} % of the rows")
        training.add_evaluation()
        return work


class TrainingPasses:
    """The passes of one training run of LLaMA-Factory.

    Args:
        config: of the stage.
        context: of the stage.
        job: of the stage.
        copies: sequences of one row, 2 for pairs.

    Attributes:
        work: of the updates so far.
        rows: it learns from.
        passed: one forward pass over every sequence of the run.
    """

    def __init__(self, config: TrainingConfig, context: Context, job: CostInputs, copies: int = 1):
        given = [one.weight for one in config.data]
        total = sum(weight or 0.0 for weight in given)
        weights = {i: (weight or 0.0) / total for i, weight in enumerate(given)} if total else None
        self.config, self.job = config, job
        self.rows = job.rows([one.set for one in config.data], weights)
        host = llamafactory.render_host_config(config, context, {}, {}, {})
        self.cutoff = host["cutoff_len"]
        loader = Loader(host["per_device_train_batch_size"], host["gradient_accumulation_steps"], config.workers)
        epochs = float(host.get("num_train_epochs") or 0)
        clock = loader.clock(self.rows.count, host.get("max_steps"), epochs)
        trained = _trained(host)
        by_steps = (host.get("max_steps") or 0) > 0
        samples = clock.total_steps * clock.samples_per_step if by_steps else epochs * self.rows.count
        self.work = StageWork(clock.total_steps, assumptions=list(self.rows.notes))
        self.work.add_sequences(self.rows.items, samples * copies, self.length)
        self.passed = job.pass_over(self.rows.items, self.length, trained.rank).times(samples * copies)
        self.work.compute = self.passed.total + flops.count_backward_flops(self.passed, trained)
        self.work.assumptions += _said(self.cutoff, trained, self.passed, self.rows)

    def length(self, item: RowTokens) -> float:
        """Tokens of a sequence, as the host cuts it."""
        return float(min(item.prompt + item.reply, self.cutoff))

    def add_evaluation(self) -> None:
        """Add the passes over ``eval_data`` while training."""
        if self.config.eval_data:
            held = self.job.rows(self.config.eval_data)
            times = 1 + self.work.steps // self.config.eval_steps
            self.work.compute += times * held.count * self.job.pass_over(held.items, self.length).total
            self.work.assumptions.append(f"evaluation on eval_data: {times} times {held.count} rows, forward only")


def _trained(host: Mapping[str, Any]) -> Trained:
    """What learns, by LLaMA-Factory's own keys."""
    rank = host["lora_rank"] if host["finetuning_type"] == "lora" else 0
    frozen = host["freeze_vision_tower"], host["freeze_multi_modal_projector"]
    return Trained("lora" if rank else "full", not frozen[0], not frozen[1], rank)


def _said(cutoff: int, trained: Trained, passed: Forward, rows: Rows) -> Iterable[str]:
    if trained.text == "lora":
        yield f"LoRA rank {trained.rank} on every linear layer of the language model: frozen weights get no gradient"
        if trained.vision:
            yield "vision tower with LoRA: counted as fully trained, an upper bound"
    if passed.pixels:
        yield f"vision tower {'trained' if trained.vision else 'frozen: forward pass only'}"
    long = sum(item.prompt + item.reply > cutoff for item in rows.items)
    if long:
        yield f"{100 * long / len(rows.items):.0f} % of the rows are cut at cutoff_len {cutoff}"
    yield describe_recomputation(passed, passed.total + flops.count_backward_flops(passed, trained))
    yield "no padding; logits of all positions"


def _share(items: tuple[RowTokens, ...], sources: Iterable[str]) -> float:
    """Share of the rows from some sources; all of them where rows do not say."""
    if not any(item.source for item in items):
        return 1.0
    return sum(item.source in set(sources) for item in items) / len(items)
