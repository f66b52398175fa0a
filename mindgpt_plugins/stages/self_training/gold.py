"""``python -m mindgpt_plugins.stages.self_training.gold MODULE CONFIG.json``: a model that is right now and then.

The model generates for real; then one of each prompt's replies is replaced by the answer of the set. Without that a
model with random weights would give no training data, and whatever comes after it would stay unproven.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from mindgpt_data.schema.rows import Row

from mindgpt_plugins.generation.collect import Answerer
from mindgpt_plugins.generation.engines import make_lazy_engine
from mindgpt_plugins.generation.hf_engine import EngineError, Prompt, Reply
from mindgpt_plugins.stages.self_training.job import SelfTrainingJob
from mindgpt_plugins.stages.self_training.prompts import SelfTrainingError, read_items


class OracleEngine:
    """Wraps an engine: the first reply to a prompt that shows its image is the set's own.

    Args:
        engine: generates.
        rows: uid → row.
    """

    def __init__(self, engine: Answerer, rows: Mapping[str, Row]):
        self.engine, self.rows = engine, rows

    def generate(self, prompts: Sequence[Prompt], *, n: int = 0, temperature: float = 1.0) -> list[list[Reply]]:
        """Answer a batch; the replies that stay count as finished, however short the rehearsal cut them."""
        made = self.engine.generate(prompts, n=n, temperature=temperature)
        found = []
        for prompt, replies in zip(prompts, made, strict=True):
            kept = [replace(reply, finished=True) for reply in replies]
            if not prompt.blank:
                row = self.rows[prompt.key]
                kept[0] = Reply(row.response or f"answer: {row.answer}", kept[0].tokens, True)
            found.append(kept)
        return found

    def batches(self, prompts: Sequence[Prompt], size: int) -> list[list[Prompt]]:
        """The engine's own batches."""
        return self.engine.batches(prompts, size)


def make_oracle_engine(job: SelfTrainingJob) -> Callable[[], Answerer]:
    """As :func:`mindgpt_plugins.generation.engines.make_lazy_engine`, wrapped."""
    rows = {uid: item.row for uid, item in read_items(job.prompts).items()}
    load = make_lazy_engine(job)
    return lambda: OracleEngine(load(), rows)


def main(module: str, path: Path) -> None:
    """Run the stage that a rendered config describes; safe to run again after a kill.

    Args:
        module: whose ``run(config path, engines)`` does the kind's work.
        path: of the config.
    """
    run = import_module(module).run
    try:
        print(json.dumps(run(path, make_oracle_engine), indent=1), flush=True)
    except (EngineError, SelfTrainingError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
