"""Loaded by verl's task runner for :mod:`overhead`, on both sides alike.

A replay buffer that looks as often as ours, a clock, and the reward of the stock side.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer
from verl.trainer.ppo.v1.trainer_base import PPOTrainer

_measure = PPOTrainer._compute_metrics


class Buffer(ReplayBuffer):  # type: ignore[misc]
    """verl's own, looking every 20 ms instead of every 2 s."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs, poll_interval=0.02)


def _timed(self: Any, batch: Any, metrics: Any, timing_raw: Any, *args: Any, **kwargs: Any) -> Any:
    """Note when a step is over, and its phases; what follows (metrics, dump) counts to the next one."""
    with open(os.environ["MINDGPT_PROBE"], "a", encoding="utf-8") as file:
        file.write(json.dumps({"now": time.perf_counter(), **{k: float(v) for k, v in timing_raw.items()}}) + "\n")
    return _measure(self, batch, metrics, timing_raw, *args, **kwargs)


PPOTrainer._compute_metrics = _timed


def compute_score(
    data_source: Any, solution_str: str, ground_truth: Any, extra_info: Any = None, **unused: Any
) -> float:
    """The stock side's reward."""
    return float(str(ground_truth) in solution_str)
