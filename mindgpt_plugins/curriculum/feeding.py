"""What a trainer can tell samplers and mixtures while it trains."""

from __future__ import annotations

from mindgpt_plugins.core.registry import RegistryError, get_registered
from mindgpt_plugins.curriculum.config import SamplerChoice
from mindgpt_plugins.curriculum.mixture import Moving


def orders_by_difficulty(choice: SamplerChoice | None) -> bool:
    """Whether a curriculum asks every row for its difficulty; not for a name that nothing is registered under."""
    if choice is None:
        return False
    try:
        return bool(getattr(get_registered("sampler", choice.name), "needs_difficulty", False))
    except RegistryError:
        return False


def find_rl_obstacle(sampler: str, mixture: str | None) -> str | None:
    """Why a sampler or mixture cannot work in RL, which has no losses of samples and no token lengths; or ``None``."""
    kind = get_registered("sampler", sampler)
    for attribute, what in (("needs_losses", "training losses"), ("needs_length", "token lengths")):
        if getattr(kind, attribute, False):
            return f"{sampler!r} needs {what}, which are not known in RL; use easy_to_hard or shuffled"
    build = get_registered("mixture", mixture) if mixture is not None else None
    if isinstance(build, type) and issubclass(build, Moving) and build.measured is not Moving.measured:
        return f"mixture {mixture!r} follows losses or evaluations, which are not known in RL; use fixed or scheduled"
    return None
