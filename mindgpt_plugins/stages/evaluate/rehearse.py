"""How ``evaluate`` is rehearsed: few rows, short replies, and a gate that judges without stopping."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mindgpt_plugins.core.schema import StageConfig
from mindgpt_plugins.stages.context import Context
from mindgpt_plugins.stages.evaluate.config import EvaluateConfig
from mindgpt_plugins.stages.rehearsal import Draft, NamedSet, RehearsalRules, Room, find_row_problems

ROWS, TOKENS, BATCH = 8, 8, 4
VERDICT = "the gate's verdict: weights are random, so it is recorded and does not stop the run"


class AnsweringRehearsal(RehearsalRules[StageConfig]):
    """What kinds share in which a model answers the rows of sets."""

    def find_column_problems(self, config: StageConfig, context: Context, sets: list[NamedSet]) -> list[str]:
        """Rows are read one by one."""
        return find_row_problems(sets)

    def list_saved(self, config: StageConfig, folder: Path, step: int) -> Iterable[Path]:
        """Replies, as :mod:`mindgpt_plugins.generation.collect` writes them."""
        return sorted([*(folder / "passes").glob("*.jsonl"), *(folder / "samples").glob("*.jsonl")])


class EvaluateRehearsal(AnsweringRehearsal):
    """Few rows, short replies; a gate judges and is recorded, and does not stop."""

    def shrink(self, draft: Draft, room: Room) -> None:
        """Few rows and samples."""
        drop_gate(draft, room)
        shrink_engine(draft)
        draft.set("rows", min(ROWS, draft.get("rows") or ROWS))
        if draft.get("samples") is not None:
            draft.most("samples.n", 2)
            draft.most("samples.rows", 1)
        if draft.get("gate") is not None:
            draft.set("gate.on_fail", "continue", "stand-in", VERDICT)
            draft.set("gate.extend", None, "stand-in", "training further after a failed gate")

    def compared_with(self, config: StageConfig) -> frozenset[str]:
        """Earlier evaluations that the gate looks at."""
        gate = config.gate if isinstance(config, EvaluateConfig) else None
        return frozenset(name for name in (gate.before, gate.peak) if name) if gate else frozenset()


def drop_gate(draft: Draft, room: Room) -> None:
    """Take a gate out that compares with a stage which is left out."""
    for key in ("before", "peak"):
        if (compared := draft.get(f"gate.{key}")) in room.left_out:
            draft.set("gate", None, "stand-in", f"the gate against {compared}, which is left out")


def shrink_engine(draft: Draft) -> None:
    """Hugging Face's generation, short replies in small batches."""
    if draft.get("engine") == "vllm" or draft.get("vllm"):
        draft.set("engine", "hf", "gpu only", "vLLM; Hugging Face's generation is proven")
        draft.set("vllm", {}, "gpu only", "vLLM's options")
    draft.set("engine", "hf")
    draft.most("batch_size", BATCH)
    draft.most("max_new_tokens", TOKENS)
