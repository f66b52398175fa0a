"""A reply of one step with what the reward workers made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mindgpt_plugins.rewards.sdk import Rollout


@dataclass(frozen=True)
class ScoredReply:
    """One scored reply."""

    group: str
    """Prompt id of this step."""
    session: int
    rollout: Rollout
    score: float
    components: Mapping[str, float | None]
    log: Mapping[str, Any] = field(default_factory=dict)
