"""Answers many prompts into an append-only JSONL file, and goes on where a killed run stopped.

Batches depend only on the prompts. A restart keeps the batches that are completely in the file, drops a torn or
partial rest and answers the remaining batches in the same composition, so the file ends up the same as without a kill.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mindgpt_plugins.core.files import dump_json_line, load_jsonl, write_jsonl
from mindgpt_plugins.core.metrics import append_metrics, truncate_metrics
from mindgpt_plugins.generation.hf_engine import Prompt, Reply


class Answerer(Protocol):
    """What :func:`collect_replies` needs of an engine."""

    def generate(self, prompts: Sequence[Prompt], *, n: int = 0, temperature: float = 1.0) -> list[list[Reply]]:
        """Answer a batch; see :meth:`mindgpt_plugins.generation.hf_engine.Engine.generate`."""
        ...

    def batches(self, prompts: Sequence[Prompt], size: int) -> list[list[Prompt]]:
        """Split prompts deterministically."""
        ...


@dataclass
class Progress:
    """Appends ``{"step", "total", …}`` lines to ``metrics.jsonl``; one step is one answered prompt.

    Several collections in a row may share one object.
    """

    path: Path
    total: int
    done: int = 0

    def skip(self, count: int, *, complete: bool) -> None:
        """Count prompts that an earlier process answered.

        When that collection is not ``complete``, lines past it are dropped: a kill can come between the two files.
        """
        self.done += count
        if not complete:
            truncate_metrics(self.path, self.done)

    def advance(self, count: int, **numbers: float) -> None:
        """Record ``count`` more answered prompts and any figures worth a curve."""
        self.done += count
        append_metrics(self.path, self.done, self.total, numbers)


def collect_replies(
    engine: Callable[[], Answerer],
    prompts: Sequence[Prompt],
    path: Path,
    *,
    n: int = 0,
    temperature: float = 1.0,
    batch_size: int = 64,
    progress: Progress | None = None,
    figures: Callable[[Sequence[Prompt], list[list[Reply]]], dict[str, float]] | None = None,
) -> dict[str, list[Reply]]:
    """Answer every prompt once (greedy) or ``n`` times.

    Args:
        engine: called to get the model; it is the caller's to load it once.
        prompts: with distinct keys.
        path: the JSONL file, one line per prompt: ``{"key", "replies": [{"text", "tokens", "finished"}]}``.
        n: samples per prompt; 0 = one greedy reply.
        temperature: of the samples.
        batch_size: sequences at once (prompts × samples).
        progress: told after every batch.
        figures: turns a batch into numbers for the progress file.

    Returns:
        Key → replies, for exactly the given prompts.

    Raises:
        ValueError: two prompts share a key.
    """
    if len({p.key for p in prompts}) != len(prompts):
        raise ValueError(f"prompt keys for {path.name} are not unique; two rows share a uid within a set")
    path.parent.mkdir(parents=True, exist_ok=True)
    found = {line["key"]: line["replies"] for line in (load_jsonl(path, torn="drop") if path.is_file() else [])}
    if found.keys() >= {p.key for p in prompts}:
        if progress:
            progress.skip(len(prompts), complete=True)
        return {p.key: [Reply(**r) for r in found[p.key]] for p in prompts}
    model = engine()
    batches = model.batches(prompts, max(1, batch_size // max(1, n)))
    whole = [batch for batch in batches if all(p.key in found for p in batch)]
    kept = {p.key: found[p.key] for batch in whole for p in batch}
    write_jsonl(path, ({"key": key, "replies": replies} for key, replies in kept.items()))
    answers = {key: [Reply(**r) for r in replies] for key, replies in kept.items()}
    if progress:
        progress.skip(len(kept), complete=False)
    with path.open("a", encoding="utf-8") as out:
        for batch in batches:
            if batch[0].key in kept:
                continue
            replies = model.generate(batch, n=n, temperature=temperature)
            for p, group in zip(batch, replies, strict=True):
                answers[p.key] = group
                out.write(dump_json_line({"key": p.key, "replies": [vars(r) for r in group]}) + "\n")
            out.flush()
            if progress:
                progress.advance(len(batch), **(figures(batch, replies) if figures else {}))
    return answers
