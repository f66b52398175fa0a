"""verl's replay buffers, but a failed group stops the run: verl would train on without it, or ask for another."""

from __future__ import annotations

from typing import Any

from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer, ReplayBufferAsync

from mindgpt_plugins.verl_ext.step.hybrid import RolloutError
from mindgpt_plugins.verl_ext.step.siblings import CAUSE


class _Strict:
    failure_keys: dict[str, set[str]]

    def _terminal_eviction_reasons(self, global_steps: int, partition_id: str) -> Any:
        failed = sorted(self.failure_keys[partition_id])
        if failed:
            raise RolloutError(f"{len(failed)} prompts have missing replies ({', '.join(failed[:3])}, …): {CAUSE}")
        return super()._terminal_eviction_reasons(global_steps, partition_id)  # type: ignore[misc]


class StrictReplayBuffer(_Strict, ReplayBuffer):  # type: ignore[misc]
    """For the synchronous trainer."""


class StrictReplayBufferAsync(_Strict, ReplayBufferAsync):  # type: ignore[misc]
    """For the asynchronous ones; groups that became stale are still replaced, as verl is told to."""


def make_buffer_strict(buffer: Any) -> Any:
    """Make a buffer that verl has built strict; a user's own sampler is left as it is."""
    kinds = {ReplayBuffer: StrictReplayBuffer, ReplayBufferAsync: StrictReplayBufferAsync}
    buffer.__class__ = kinds.get(type(buffer), type(buffer))
    return buffer
