"""An engine with prescribed replies: self-training without a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mindgpt_data.schema.rows import Row

from mindgpt_plugins.generation.hf_engine import Prompt, Reply
from mindgpt_plugins.stages.self_training.job import SelfTrainingJob


def reply(text: str, finished: bool = True) -> Reply:
    return Reply(text, len(text.split()) + 1, finished)


@dataclass
class Scripted:
    """Answers by a function of (prompt, sample number); counts what it was asked; can die like a killed process."""

    script: Callable[[Prompt, int], str]
    asked: list[str] = field(default_factory=list)
    die_after: int | None = None

    def batches(self, prompts: Sequence[Prompt], size: int) -> list[list[Prompt]]:
        return [list(prompts[at : at + size]) for at in range(0, len(prompts), size)]

    def generate(self, prompts: Sequence[Prompt], *, n: int = 0, temperature: float = 1.0) -> list[list[Reply]]:
        if self.die_after is not None and len(self.asked) >= self.die_after:
            raise KeyboardInterrupt
        self.asked += [p.key for p in prompts]
        return [[reply(self.script(p, i)) for i in range(max(n, 1))] for p in prompts]

    def __call__(self, job: SelfTrainingJob) -> Callable[[], Scripted]:
        return lambda: self


def make_row(uid: str, image: list[str], **changes: Any) -> Row:
    base = {
        "question": "what colour?",
        "answer": "red",
        "response": "it is red. answer: red",
        "answer_type": "text",
        "source": "general",
        "capability": "perception.colour",
    }
    return Row(uid=uid, image=image, **{**base, **changes})
