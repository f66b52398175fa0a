"""Rewards that say nothing: never scored, never firing, saturated, or alike within every group."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mindgpt_plugins.workbench.explain.algebra import convert_to_json_number
from mindgpt_plugins.workbench.explain.replay import RewardReplay

SATURATED = 0.99
"""Share of replies with one and the same value."""
LATE = 0.8
"""The last fifth of the run is looked at by itself."""


def judge_rewards(replay: RewardReplay) -> list[dict[str, Any]]:
    """Figures and a verdict for each reward, in recipe order.

    A modulator counts on right replies only: nowhere else has it an effect.

    Returns:
        Per reward ``name``, ``role``, ``scored`` (share of the replies it could count on), ``mean``, ``std``, ``low``,
        ``high``; ``most`` the most frequent value, its ``share``, and ``share_late`` in the last fifth of the run;
        ``flat`` share of groups in which it is the same for all replies; ``verdict``: never_scored, never_fires (always
        0; a gate: never shut), saturated (one value in 99 % of replies), saturates_late, no_spread (alike within every
        group), or ok; ``told``: that in words.
    """
    return [_reward(replay, entry.spec.name, entry.spec.role) for entry in replay.setup.suite.entries]


def _reward(replay: RewardReplay, name: str, role: str) -> dict[str, Any]:
    counts = replay.scores.correct if role == "modulator" else replay.board.mask
    values = replay.scores.components[name]
    known = counts & ~values.isnan()
    found: dict[str, Any] = {"name": name, "role": role, "scored": float(known.sum()) / max(1, int(counts.sum()))}
    own = values[known]
    if not len(own):
        empty = dict.fromkeys(("mean", "std", "low", "high", "most", "share", "share_late", "flat"))
        return found | empty | {"verdict": "never_scored", "told": "it scored no reply: its `when` or type fits none"}
    most, share = _mode(own)
    late = known & (replay.board.progress >= LATE).unsqueeze(1)
    share_late = float((values[late] == most).double().mean()) if bool(late.any()) else None
    flat = _flat(values, known)
    found |= {
        "mean": float(own.mean()),
        "std": float(own.std(correction=0)),
        "low": float(own.min()),
        "high": float(own.max()),
        "most": most,
        "share": share,
        "share_late": share_late,
        "flat": flat,
    }
    verdict, told = _verdict(role, found)
    return found | {"verdict": verdict, "told": told}


def _verdict(role: str, f: dict[str, Any]) -> tuple[str, str]:
    if role == "gate" and f["low"] == 1.0:
        return "never_fires", "never shut on these replies: it costs time and changes nothing"
    if role != "gate" and f["low"] == f["high"] == 0.0:
        return "never_fires", "always 0"
    if f["share"] >= SATURATED:
        return (
            "saturated",
            f"{100 * f['share']:.1f} % of the values are {f['most']:g}: next to nothing left to learn from it",
        )
    if f["flat"] == 1.0:
        return "no_spread", "the same for all replies of every group: centring removes it"
    if f["share_late"] is not None and f["share_late"] >= SATURATED:
        return "saturates_late", f"{100 * f['share_late']:.1f} % are {f['most']:g} in the last fifth of the run"
    return "ok", ""


def _mode(values: Tensor) -> tuple[float, float]:
    distinct, counts = torch.unique(values, return_counts=True)
    top = int(counts.argmax())
    return float(distinct[top]), float(counts[top]) / len(values)


def _flat(values: Tensor, known: Tensor) -> float | None:
    """Share of the groups with at least two values in which all are equal."""
    high = values.masked_fill(~known, -torch.inf).amax(dim=1)
    low = values.masked_fill(~known, torch.inf).amin(dim=1)
    several = known.sum(dim=1) > 1
    return convert_to_json_number((high == low)[several].double().mean())
