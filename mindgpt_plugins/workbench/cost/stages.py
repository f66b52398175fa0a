"""What one stage of a recipe computes: passes over sequences, and replies that are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mindgpt_plugins.llamafactory_ext.ordering import Loader
from mindgpt_plugins.pipeline.plan import PlannedStage
from mindgpt_plugins.stages.dpo.config import DPOConfig
from mindgpt_plugins.stages.rl.config import RLConfig
from mindgpt_plugins.stages.rl.hydra_overrides import flatten
from mindgpt_plugins.stages.sft import render as llamafactory
from mindgpt_plugins.stages.sft.config import SFTConfig, TrainingConfig
from mindgpt_plugins.workbench.cost import flops as cost_flops
from mindgpt_plugins.workbench.cost.data import Item, Rows, Ruler, Sets, joined
from mindgpt_plugins.workbench.cost.flops import Forward, Sized, Trained
from mindgpt_plugins.workbench.cost.gpus import Gpu

NO_REFERENCE = ("orpo", "simpo")
"""Preference losses without a reference model."""


@dataclass
class Work:
    """What a stage does, summed up.

    Attributes:
        steps: optimizer steps; 0 where nothing learns.
        samples: sequences trained on, or replies written.
        tokens: of those, prompts included.
        images: pictures in them.
        compute: FLOPs done at the stated MFU.
        decode: FLOPs of writing replies.
        decode_seconds: GPU-seconds of writing them.
        assumptions: one sentence each.
    """

    steps: int = 0
    samples: float = 0.0
    tokens: float = 0.0
    images: float = 0.0
    compute: float = 0.0
    decode: float = 0.0
    decode_seconds: float = 0.0
    assumptions: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Job:
    """A stage with everything its cost depends on."""

    planned: PlannedStage
    sized: Sized
    ruler: Ruler
    sets: Sets
    gpu: Gpu
    mfu: float

    def rows(self, references: Iterable[str], weights: Mapping[int, float] | None = None) -> Rows:
        """The rows of several sets."""
        return joined((self.sets.rows(self.planned, one, self.ruler) for one in references), weights)


def training(job: Job) -> Work:
    """``sft`` and ``dpo``."""
    config = job.planned.config
    assert isinstance(config, TrainingConfig)
    given = [one.weight for one in config.data]
    total = sum(weight or 0.0 for weight in given)
    weights = {i: (weight or 0.0) / total for i, weight in enumerate(given)} if total else None
    rows = job.rows([one.set for one in config.data], weights)
    host = llamafactory.rendered(config, job.planned.context, {}, {}, {})
    loader = Loader(host["per_device_train_batch_size"], host["gradient_accumulation_steps"], config.workers)
    epochs = float(host.get("num_train_epochs") or 0)
    clock = loader.clock(rows.count, host.get("max_steps"), epochs)
    trained = _trained(host)
    by_steps = (host.get("max_steps") or 0) > 0
    samples = clock.total_steps * clock.samples_per_step if by_steps else epochs * rows.count
    copies = 2 if isinstance(config, DPOConfig) else 1
    work = Work(clock.total_steps, assumptions=list(rows.notes))

    def length(item: Item) -> float:
        return float(min(item.prompt + item.reply, host["cutoff_len"]))

    _add(work, rows.items, samples * copies, length)
    passed = _mean(job.sized, rows.items, length, trained.rank).times(samples * copies)
    work.compute = passed.total + cost_flops.backward(passed, trained)
    work.assumptions += _said(host["cutoff_len"], trained, passed, rows)
    if isinstance(config, DPOConfig):
        work.assumptions.append("chosen and rejected reply are taken to be as long as the longer one")
        if config.pref_loss not in NO_REFERENCE:
            work.compute += passed.total
            work.assumptions.append("reference model: one more forward pass over both replies")
    if isinstance(config, SFTConfig) and config.kl is not None:
        share = _share(rows.items, config.kl.sources)
        work.compute += share * passed.total
        work.assumptions.append(f"KL anchor: the reference's forward pass over {100 * share:.0f} % of the rows")
    if config.eval_data:
        held = job.rows(config.eval_data)
        times = 1 + clock.total_steps // config.eval_steps
        work.compute += times * held.count * _mean(job.sized, held.items, length).total
        work.assumptions.append(f"evaluation on eval_data: {times} times {held.count} rows, forward only")
    return work


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
    yield _recomputed(passed, passed.total + cost_flops.backward(passed, trained))
    yield "no padding; logits of all positions"


def _recomputed(passed: Forward, step: float) -> str:
    share = 100 * passed.language / step
    return f"gradient checkpointing, if on, adds {share:.0f} % to an update's FLOPs, which MFU does not count"


def replies(job: Job) -> Work:
    """Stages that let a model answer: evaluation, self-training, choosing and gating by answers."""
    passes, limit, notes = ANSWERING[job.planned.config.kind](job)
    reply = job.sets.share * limit
    work = Work(assumptions=list(notes))
    for rows, count, times in passes:
        _write(job, work, rows.items, count, times, reply, cost_flops.SEQUENCES, 1)
        work.assumptions += [note for note in rows.notes if note not in work.assumptions]
    return work


Passes = list[tuple[Rows, float, float]]
"""Rows, how many of them are asked, replies to each."""


def _evaluate(job: Job) -> tuple[Passes, int, list[str]]:
    config: Any = job.planned.config
    sets = [job.rows([one]) for one in config.sets]
    passes: Passes = [(one, min(one.count, config.rows or one.count), 1) for one in sets]
    notes = ["greedy replies, samples and blank-picture replies"]
    if config.samples is not None and config.samples.n:
        for one in sets:
            few = sum(min(n, config.samples.rows) for n in one.groups) or one.count
            if not one.groups:
                notes.append("sources and capabilities are not known yet: every row counts as sampled, an upper bound")
            passes.append((one, few, config.samples.n))
            if config.blank is True:
                passes.append((one, few, 1))
    if config.blank == "all":
        passes += [(one, one.count, 1) for one in sets]
    return passes, config.max_new_tokens, list(dict.fromkeys(notes))


def _rejection_sampling(job: Job) -> tuple[Passes, int, list[str]]:
    config: Any = job.planned.config
    rows = job.rows(config.prompts)
    models = 1 + (config.after is not None)
    passes: Passes = [(rows, rows.count, config.samples)] * models
    return (
        passes,
        config.max_new_tokens,
        [f"{models} model{'s'[: models - 1]}, {config.samples} replies to each prompt"],
    )


def _preference_pairs(job: Job) -> tuple[Passes, int, list[str]]:
    config: Any = job.planned.config
    rows = job.rows(config.prompts)
    passes: Passes = [(rows, rows.count, config.samples)]
    if config.shares.grounded_blind > 0:
        passes.append((rows, rows.count, config.blind_samples))
    return passes, config.max_new_tokens, ["every prompt is also continued with a blank picture: an upper bound"]


def _interpolate(job: Job) -> tuple[Passes, int, list[str]]:
    choose = getattr(job.planned.config, "choose", None)
    if choose is None:
        return [], 0, ["weights are averaged, no model runs"]
    rows = [job.rows([one]) for one in choose.sets]
    times = len(choose.grid) + 1
    passes: Passes = [(one, times * min(one.count, choose.rows or one.count), 1.0) for one in rows]
    return passes, choose.max_new_tokens, [f"greedy replies of {times} models on the dev sets"]


def _quantise(job: Job) -> tuple[Passes, int, list[str]]:
    config: Any = job.planned.config
    rows = [job.rows([one]) for one in config.gate.sets]
    passes: Passes = [(one, 2.0 * min(one.count, config.gate.rows or one.count), 1.0) for one in rows]
    return passes, config.max_new_tokens, ["the gate's replies before and after; calibration is not counted"]


ANSWERING: dict[str, Callable[[Job], tuple[Passes, int, list[str]]]] = {
    "evaluate": _evaluate,
    "rejection_sampling": _rejection_sampling,
    "preference_pairs": _preference_pairs,
    "interpolate": _interpolate,
    "quantise": _quantise,
}


def reinforcement(job: Job) -> Work:
    """``rl``: replies, log-probabilities of the old and the reference policy, update."""
    config = job.planned.config
    assert isinstance(config, RLConfig)
    rows = job.rows([config.train] if isinstance(config.train, str) else config.train)
    own = {key.lstrip("+"): value for key, value in flatten(config.verl).items()}
    actor = "actor_rollout_ref.actor."
    group = sum(_group(config, item) for item in rows.items) / len(rows.items)
    prompts, reply = config.steps * config.prompts_per_step, job.sets.share * config.max_response_tokens
    work = Work(config.steps, assumptions=list(rows.notes))
    waiting = config.prompts_per_step * group / config.workers
    _write(job, work, rows.items, prompts, group, reply, waiting, config.vllm.tensor_parallel)

    rank = config.lora.rank if config.lora else 0
    sees = not rank and not own.get(f"{actor}freeze_vision_tower", False)
    trained = Trained("lora" if rank else "full", sees, sees, rank)
    passed = _mean(job.sized, rows.items, lambda item: item.prompt + reply, rank).times(prompts * group)
    forwards = [] if own.get("algorithm.rollout_correction.bypass_mode") else ["old policy"]
    forwards += ["reference policy"] if own.get(f"{actor}use_kl_loss") or own.get("algorithm.use_kl_in_reward") else []
    forwards += ["masked pictures"] if config.perception else []
    epochs = int(own.get(f"{actor}ppo_epochs", 1))
    work.compute += len(forwards) * passed.total + epochs * (passed.total + cost_flops.backward(passed, trained))
    work.assumptions += [
        f"{group:g} replies to each of {config.prompts_per_step} prompts a step, all of them trained on",
        "log-probabilities: "
        + (", ".join(f"one forward pass for the {one}" for one in forwards) or "none computed again"),
        f"update: {epochs} epoch{'s'[: epochs - 1]}, vision tower {'trained' if sees else 'frozen'}"
        + (f", LoRA rank {rank}" if rank else ""),
        _recomputed(passed, passed.total + cost_flops.backward(passed, trained)),
        "rewards, and moving weights to the rollout engine, are not counted",
    ]
    return work


def _group(config: RLConfig, item: Item) -> int:
    reached = [k for k in config.group_size_by_difficulty if item.difficulty is not None and item.difficulty >= k]
    return config.group_size_by_difficulty[max(reached)] if reached else config.group_size


def _write(
    job: Job, work: Work, items: tuple[Item, ...], prompts: float, times: float, reply: float, waiting: float, gpus: int
) -> None:
    """Replies to prompts: each prompt is read once, its replies are written token by token."""
    if not items or not prompts:
        return
    read = _mean(job.sized, items, lambda item: item.prompt).times(prompts)
    whole = _mean(job.sized, items, lambda item: item.prompt + reply).times(prompts)
    prompt = sum(item.prompt for item in items) / len(items)
    work.compute += read.total - read.head
    work.decode += times * (whole.language - read.language + whole.head * reply / (prompt + reply))
    counts = {"replies": prompts * times, "prompt": prompt, "reply": max(reply, 1.0), "waiting": waiting}
    decoding = cost_flops.decoding(job.sized, job.gpu, job.mfu, **counts, gpus=gpus)
    work.decode_seconds += decoding.seconds
    _add(work, items, prompts * times, lambda item: item.prompt + reply)
    note = (
        f"replies of {reply:g} tokens ({100 * job.sets.share:.0f} % of their limit), {decoding.together} at once on a "
        f"server of {decoding.gpus} GPU{'s'[: decoding.gpus - 1]}; prompts are read once; decoding is bound by memory: "
        f"bfloat16 weights and cache at {100 * cost_flops.BANDWIDTH:.0f} % of {job.gpu.bandwidth:g} TB/s"
    )
    if note not in work.assumptions:
        work.assumptions.append(note)


def _add(work: Work, items: tuple[Item, ...], count: float, length: Callable[[Item], float]) -> None:
    work.samples += count
    work.tokens += count * sum(map(length, items)) / max(1, len(items))
    work.images += count * sum(len(item.patches) for item in items) / max(1, len(items))


def _mean(sized: Sized, items: tuple[Item, ...], length: Callable[[Item], float], rank: int = 0) -> Forward:
    found = Forward()
    for item in items:
        found = found.plus(cost_flops.forward(sized, length(item), item.patches, rank=rank))
    return found.times(1 / max(1, len(items)))


def _share(items: tuple[Item, ...], sources: Iterable[str]) -> float:
    """Share of the rows from some sources; all of them where rows do not say."""
    if not any(item.source for item in items):
        return 1.0
    return sum(item.source in set(sources) for item in items) / len(items)
