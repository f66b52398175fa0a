"""What each arm of the RL ablation trains with; everything else is the same for all arms of a seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

OURS = "ours"


@dataclass(frozen=True)
class Arm:
    """One way to train.

    Attributes:
        rewards: as in a recipe.
        advantage: as in a recipe.
        twins: prompts of a step that are adversarial, each beside its answerable partner, in place of other prompts.
        perception: as in a recipe; None is off.
        blank: every training picture is replaced by a uniform one.
    """

    rewards: dict[str, Any]
    advantage: dict[str, Any]
    twins: int = 0
    perception: dict[str, Any] | None = None
    blank: bool = False


@dataclass(frozen=True)
class Settings:
    """Budgets and hyper-parameters, chosen on a seed that is not evaluated."""

    steps: int = 40
    prompts: int = 16
    group: int = 8
    mini_batches: int = 2
    lr: float = 1.5e-4
    max_tokens: int = 24
    clip: tuple[float, float] = (0.2, 0.28)
    warm_steps: int = 120
    warm_batch: int = 32
    warm_lr: float = 3.0e-4
    train_rows: int = 800
    warm_rows: int = 600
    test_rows: int = 240
    samples: int = 16
    few_samples: int = 3

    def scaled(self, by: float) -> Settings:
        """Every count times ``by``."""
        counts = ("steps", "warm_steps", "train_rows", "warm_rows", "test_rows")
        return replace(self, **{name: max(2, round(by * getattr(self, name))) for name in counts})


_REFUSAL: dict[str, Any] = {"refusal": {}, "format": {}}
_ACCURACY: dict[str, Any] = {"accuracy": {}, "format": {}}
# Weights and schedules of recipes/quickstart.yaml.
_CONCISENESS: dict[str, Any] = {
    "conciseness": {
        "weight": 0.2,
        "options": {"budget": 16},
        "schedule": {"kind": "linear", "start": 0.0, "end": 1.0, "finish": 0.5},
    }
}
_DIVERSITY: dict[str, Any] = {
    "diversity": {"weight": 0.1, "schedule": {"kind": "linear", "start": 1.0, "end": 0.0}},
}
_ALL = _REFUSAL | _CONCISENESS | _DIVERSITY
_MODULATED: dict[str, Any] = {"name": "modulated", "k": 4, "lambda": {"kind": "linear", "start": 0.5, "end": 0.0}}
_FULL = Arm(_ALL, _MODULATED, twins=2, perception={})

ARMS: dict[str, Arm] = {
    OURS: _FULL,
    "grpo": Arm(_ACCURACY, {"name": "grpo"}),
    "reward_sum": Arm(_ALL, {"name": "reward_sum"}, twins=2),
    "pass_at_k": Arm(_ACCURACY, {"name": "pass_at_k", "k": 4}),
    "gdpo": Arm(_ALL, {"name": "gdpo"}, twins=2),
    "no_lambda": replace(_FULL, advantage=_MODULATED | {"lambda": 0.0}),
    "no_conciseness": replace(_FULL, rewards=_REFUSAL | _DIVERSITY),
    "no_diversity": replace(_FULL, rewards=_REFUSAL | _CONCISENESS),
    "no_adversarial": replace(_FULL, rewards=_ACCURACY | _CONCISENESS | _DIVERSITY, twins=0),
    "no_alpha": replace(_FULL, perception=None),
    "blank_images": Arm(_ACCURACY, {"name": "grpo"}, blank=True),
}
"""``no_*``: ours without that component; ``blank_images``: GRPO that never sees a picture."""

MAIN = (OURS, "grpo", "reward_sum", "pass_at_k", "gdpo")
"""Run for all seeds before the others."""
