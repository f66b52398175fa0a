"""How a rehearsed self-training stage is started."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mindgpt_plugins.stages.base import Command


def use_oracle_engine(commands: Iterable[Command], run: str) -> list[Command]:
    """The same commands in a process that knows the sets' own answers.

    Args:
        commands: ``-m <process> CONFIG.json``.
        run: module whose ``run`` does the kind's work.
    """
    return [
        replace(one, argv=("-m", "mindgpt_plugins.stages.self_training.gold", run, *one.argv[2:])) for one in commands
    ]
