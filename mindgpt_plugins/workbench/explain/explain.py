"""All findings about recorded rollouts as plain data: the content of ``--json`` (keys: ``docs/explain.md``)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from mindgpt_plugins.rewards.recorded import Recorded, RecordedError
from mindgpt_plugins.workbench.explain.board import RolloutBatch
from mindgpt_plugins.workbench.explain.difficulty import tabulate_push_by_right
from mindgpt_plugins.workbench.explain.exchange import measure_exchange_rate
from mindgpt_plugins.workbench.explain.flips import find_order_flips, find_order_violations
from mindgpt_plugins.workbench.explain.replay import RewardReplay, replay_other_recipe, replay_recipe
from mindgpt_plugins.workbench.explain.scoring import Source
from mindgpt_plugins.workbench.explain.sensitivity import measure_sensitivity
from mindgpt_plugins.workbench.explain.setup import Setup
from mindgpt_plugins.workbench.explain.shares import measure_push_shares
from mindgpt_plugins.workbench.explain.verdicts import judge_rewards

VERSION = 1
"""Raised when a key changes its meaning or goes away."""
LARGEST_GROUP = 512
"""More replies to one prompt are taken for a mistake in the file."""
SAME = 1e-6
"""A component differs from the record when it is further away: records are rounded."""


def explain_rollouts(
    recorded: Sequence[Recorded],
    setup: Setup,
    against: Setup | None = None,
    *,
    source: Source = "local",
    look: int = 20_000,
) -> dict[str, Any]:
    """Replay and look at everything.

    Args:
        recorded: replies.
        setup: the recipe's rewards and advantage.
        against: another recipe's, to compare the order of replies with.
        source: which rewards are run and which are taken from the record.
        look: replies on which a parameter must have no effect to be called dead.

    Raises:
        RewardError: a reward failed where a run would stop.
        RecordedError: a group is too large to be one.
    """
    started = time.perf_counter()
    board = RolloutBatch.of(recorded)
    if int(board.sizes.max()) > LARGEST_GROUP:
        largest = board.recorded[int(board.places[int(board.sizes.argmax()), 0])].group
        raise RecordedError(
            f"group {largest!r} has {int(board.sizes.max())} replies, more than {LARGEST_GROUP}: lines of different "
            "prompts need different values of prompt_id (or group)"
        )
    base = replay_recipe(setup, board, source)
    other = None if against is None else replay_other_recipe(base, against, source=source)
    data = {
        "version": VERSION,
        "recipe": setup.name,
        "against": against.name if against else None,
        "advantage": setup.advantage.name,
        "replies": base.board.replies,
        "groups": len(base.board.places),
        "steps": sorted({one.rollout.step for one in recorded}),
        "progress": [float(base.board.progress[0]), float(base.board.progress[-1])],
        "record": _record(base, recorded),
        "rewards": judge_rewards(base),
        "shares": measure_push_shares(base),
        "by_right": tabulate_push_by_right(base),
        "order": find_order_violations(base),
        "flips": None if other is None else find_order_flips(base, other),
        "exchange": measure_exchange_rate(base),
        "parameters": measure_sensitivity(base, look),
    }
    return data | {"seconds": time.perf_counter() - started}


def _record(base: RewardReplay, recorded: Sequence[Recorded]) -> dict[str, Any]:
    """How the replay compares with what the run wrote, and what lines do not say."""
    differs = {}
    for name, values in base.components.items():
        pairs = [
            (one.components[name], value)
            for one, value in zip(base.board.recorded, values.tolist(), strict=True)
            if name in one.components
        ]
        # A value that is not a number is one that was not scored.
        differs[name] = sum((a is None) != (b != b) or (a is not None and abs(a - b) > SAME) for a, b in pairs)
    fields = ("answer_type", "type", "length", "step")
    guessed = {name: sum(name in one.guessed for one in recorded) for name in fields}
    return {
        "replies": len(recorded),
        "differs": {name: count for name, count in differs.items() if count},
        "guessed": {name: count for name, count in guessed.items() if count},
        "advantage": _advantage(base),
        "dropped": _dropped(base),
        "alpha": _alpha(base),
        "float_targets": sum(one.float_target for one in recorded),
        "beyond": sum(one.rollout.step > base.setup.steps for one in recorded),
    }


def _advantage(base: RewardReplay) -> dict[str, Any] | None:
    """How many replayed advantages are not the recorded ones, and by how much; None when none is recorded."""
    known = [(one.advantage, a) for one, a in _each(base, base.weighted) if one.advantage is not None]
    if not known:
        return None
    apart = [abs(was - now) for was, now in known]
    return {"replies": len(known), "differs": sum(one > SAME for one in apart), "largest": max(apart)}


def _dropped(base: RewardReplay) -> dict[str, int] | None:
    """Replies that the run's filter took out, and those that the recipe's takes out or leaves in otherwise."""
    # Whole groups; in one without any signal nothing is lost, dropped or not.
    silent = (base.weighted == 0.0).all(dim=1, keepdim=True).expand_as(base.board.mask)
    out = (base.trained == 0.0).all(dim=1, keepdim=True).expand_as(silent)
    known = [
        (one.dropped, bool(now), bool(same))
        for (one, now), (_, same) in zip(_each(base, out), _each(base, silent), strict=True)
        if one.dropped is not None
    ]
    if not known:
        return None
    differs = sum(was != now for was, now, same in known if not same)
    return {"replies": len(known), "recorded": sum(was for was, _, _ in known), "differs": differs}


def _alpha(base: RewardReplay) -> dict[str, Any]:
    """The recorded perception weights, and whether the recipe has any use for them."""
    known = [one.alpha for one in base.board.recorded if one.alpha is not None]
    return {
        "used": base.setup.perception,
        "replies": len(known),
        "low": min(known, default=None),
        "high": max(known, default=None),
    }


def _each(base: RewardReplay, values: Tensor) -> list[tuple[Recorded, float]]:
    mask = base.board.mask
    places, found = base.board.places[mask].tolist(), values[mask].tolist()
    return [(base.board.recorded[place], value) for place, value in zip(places, found, strict=True)]
