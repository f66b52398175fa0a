"""What one stage computes: passes over sequences, and replies that are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from mindgpt_plugins.sizing import flops
from mindgpt_plugins.sizing.flops import Forward, Sized
from mindgpt_plugins.sizing.gpus import Gpu
from mindgpt_plugins.sizing.lengths import Lengths, Rows, RowTokens


@dataclass
class StageWork:
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

    def add_sequences(self, items: tuple[RowTokens, ...], count: float, length: Callable[[RowTokens], float]) -> None:
        """Count ``count`` sequences like ``items``, each of ``length`` tokens."""
        self.samples += count
        self.tokens += count * sum(map(length, items)) / max(1, len(items))
        self.images += count * sum(len(item.patches) for item in items) / max(1, len(items))


@dataclass(frozen=True)
class CostInputs:
    """Everything the cost of a stage depends on beside its settings.

    Attributes:
        gpu: it runs on.
        mfu: useful share of the GPU's peak in compute-bound parts.
        look: finds the stage's model and how its rows are counted; asked only when a cost needs them.
    """

    gpu: Gpu
    mfu: float
    look: Callable[[], tuple[Sized, Lengths]]

    @cached_property
    def _found(self) -> tuple[Sized, Lengths]:
        return self.look()

    @property
    def sized(self) -> Sized:
        """Sizes of the model."""
        return self._found[0]

    @property
    def share(self) -> float:
        """Length of replies that nobody has written yet, of their limit."""
        return self._found[1].share

    def rows(self, references: Iterable[str], weights: Mapping[int, float] | None = None) -> Rows:
        """The rows of several sets as one."""
        return self._found[1].rows(references, weights)

    def pass_over(self, items: tuple[RowTokens, ...], length: Callable[[RowTokens], float], rank: int = 0) -> Forward:
        """The mean forward pass over sequences like ``items``."""
        total = Forward()
        for item in items:
            total = total.plus(flops.count_forward_flops(self.sized, length(item), item.patches, rank=rank))
        return total.times(1 / max(1, len(items)))


@dataclass(frozen=True)
class AnsweredPrompts:
    """Prompts that a model answers.

    Attributes:
        rows: the prompts.
        prompts: how many of them.
        replies: to each.
    """

    rows: Rows
    prompts: float
    replies: float


def estimate_answering(
    job: CostInputs, asked: Iterable[AnsweredPrompts], limit: int, notes: Iterable[str]
) -> StageWork:
    """Work of a stage in which a model only answers.

    Args:
        job: of the stage.
        asked: the prompts, set by set.
        limit: tokens that a reply may have.
        notes: what is assumed, in sentences.
    """
    work = StageWork(assumptions=list(notes))
    for one in asked:
        reply = job.share * limit
        add_replies(job, work, one.rows.items, one.prompts, one.replies, reply, flops.SEQUENCES)
        work.assumptions += [note for note in one.rows.notes if note not in work.assumptions]
    return work


def add_replies(
    job: CostInputs,
    work: StageWork,
    items: tuple[RowTokens, ...],
    prompts: float,
    replies: float,
    reply: float,
    waiting: float,
    gpus: int = 1,
) -> None:
    """Add replies to prompts: each prompt is read once, its replies are written token by token.

    Args:
        job: of the stage.
        work: they are added to.
        items: prompts, some of them.
        prompts: all of them.
        replies: to each.
        reply: tokens of a reply.
        waiting: replies per GPU that are waited for together.
        gpus: of a server, at least.
    """
    if not items or not prompts:
        return
    read = job.pass_over(items, lambda item: item.prompt).times(prompts)
    whole = job.pass_over(items, lambda item: item.prompt + reply).times(prompts)
    prompt = sum(item.prompt for item in items) / len(items)
    work.compute += read.total - read.head
    work.decode += replies * (whole.language - read.language + whole.head * reply / (prompt + reply))
    counts = {"replies": prompts * replies, "prompt": prompt, "reply": max(reply, 1.0), "waiting": waiting}
    decoding = flops.estimate_decoding(job.sized, job.gpu, job.mfu, **counts, gpus=gpus)
    work.decode_seconds += decoding.seconds
    work.add_sequences(items, prompts * replies, lambda item: item.prompt + reply)
    note = (
        f"replies of {reply:g} tokens ({100 * job.share:.0f} % of their limit), {decoding.together} at once on a "
        f"server of {decoding.gpus} GPU{'s'[: decoding.gpus - 1]}; prompts are read once; decoding is bound by memory: "
        f"bfloat16 weights and cache at {100 * flops.BANDWIDTH:.0f} % of {job.gpu.bandwidth:g} TB/s"
    )
    if note not in work.assumptions:
        work.assumptions.append(note)


def describe_recomputation(passed: Forward, step: float) -> str:
    """What gradient checkpointing would add to an update of ``step`` FLOPs, in a sentence."""
    share = 100 * passed.language / step
    return f"gradient checkpointing, if on, adds {share:.0f} % to an update's FLOPs, which MFU does not count"
