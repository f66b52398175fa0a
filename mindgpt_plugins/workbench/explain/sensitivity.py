"""Which hyper-parameters move an advantage at all: each one changed, everything else as it is."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from mindgpt_plugins.advantage.estimators import select_accepted_settings
from mindgpt_plugins.core.registry import get_registered
from mindgpt_plugins.workbench.explain.board import RolloutBatch, sample_rollout_steps
from mindgpt_plugins.workbench.explain.replay import RewardReplay, replay_other_recipe
from mindgpt_plugins.workbench.explain.setup import Setup

FIRST_LOOK = 2000
"""Replies that are tried first; what moves there is alive, and only what does not is tried on more."""
STILL = 1e-12
"""A change of A below this is rounding."""
_NOT_ABOUT_A = ("timeout", "concurrency")
Path = tuple[str | int, ...]


def measure_sensitivity(replay: RewardReplay, most: int = 20_000) -> list[dict[str, Any]]:
    """Change every number and switch by half, up and down, and compare the advantages.

    Options that a recipe leaves at their defaults are tried too. Options of rewards that ask a server are not.

    Args:
        replay: the recipe on the replies.
        most: replies (whole steps, evenly spread) on which a parameter must have no effect to be called dead.

    Returns:
        Per parameter, dead ones first: ``path``, ``value``, ``default`` (the recipe leaves it alone), ``tried`` values,
        ``max_change`` of |A| (None: not tried), ``moved`` share of the replies whose A changed, ``replies`` looked at,
        ``dead``, ``why``.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about values of ours that nobody wants to train with
        looks = [
            _on(replay, sample_rollout_steps(replay.board, size))
            for size in dict.fromkeys((min(FIRST_LOOK, most), most))
        ]
        found = list(_rows(replay, looks))
    return sorted(found, key=lambda r: (not r["dead"], r["max_change"] is None, r["max_change"] or 0.0))


def _rows(replay: RewardReplay, looks: list[RewardReplay]) -> Iterator[dict[str, Any]]:
    for path, value, default in _parameters(replay.setup):
        row = {"path": ".".join(map(str, path)), "value": value, "default": default}
        entry = next((e for e in replay.setup.suite.entries if path[:2] == ("rewards", e.spec.name)), None)
        if entry is not None and path[2] == "options" and entry.call.is_async:
            untried: dict[str, Any] = {"tried": [], "max_change": None, "moved": None, "replies": 0, "dead": False}
            yield row | untried | {"why": "not tried: the reward asks a server"}
        else:
            yield row | _try(replay, path, value, looks)


def _try(replay: RewardReplay, path: Path, value: float, looks: list[RewardReplay]) -> dict[str, Any]:
    tried: list[float] = []
    refused = ""
    most = moved = 0.0
    replies = 0
    for look in looks:
        replies = look.board.replies
        for other in _others(value):
            data = replay.setup.plain()
            try:
                _set(data, path, other)
                setup = replay.setup.changed(data)
                changed = replay_other_recipe(replay, setup, look.board).trained
            except (ValueError, TypeError, ArithmeticError) as error:
                refused = str(error).splitlines()[0]
                continue
            if other not in tried:
                tried.append(other)
            size = (changed - look.trained).abs()
            if float(size.max()) > most:
                most, moved = float(size.max()), int((size > STILL).sum()) / replies
        if most > STILL or not tried:
            break
    dead = bool(tried) and most <= STILL
    why = _why(replay, path) if dead else f"no other value is allowed: {refused}" if not tried else ""
    return {
        "tried": tried,
        "max_change": most if tried else None,
        "moved": moved if tried else None,
        "replies": replies if tried else 0,
        "dead": dead,
        "why": why,
    }


def _on(replay: RewardReplay, board: RolloutBatch) -> RewardReplay:
    return replay if board is replay.board else replay_other_recipe(replay, replay.setup, board)


def _others(value: float) -> list[float]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        step = max(1, round(abs(value) / 2))
        return [value + step, value - step]
    return [value * 1.5, value * 0.5] if value else [0.1, -0.1]


def _parameters(setup: Setup) -> Iterator[tuple[Path, float, bool]]:
    """Path, value and whether it is a default, of every number and switch that may decide an advantage."""
    data = setup.plain()
    for name, config in data["rewards"].items():
        role = next(e.spec.role for e in setup.suite.entries if e.spec.name == name)
        options = config.pop("options")
        if role == "gate" and config["weight"] == 1.0:
            del config["weight"]  # a gate has none, and this recipe does not pretend otherwise
        for path, value in _numbers(config, ("rewards", name)):
            yield path, value, path[2] not in setup.rewards[name].model_fields_set
        yield from _options(("rewards", name, "options"), "reward", config["reward"] or name, options)
    options = data["advantage"].pop("options")
    for path, value in _numbers(data["advantage"], ("advantage",)):
        yield path, value, {"lambda": "lam"}.get(str(path[1]), path[1]) not in setup.advantage.model_fields_set
    fixed = select_accepted_settings(setup.advantage.name, {"k": 0, "lam": 0.0})
    for path, value, default in _options(("advantage", "options"), "advantage", setup.advantage.name, options):
        if path[-1] not in fixed:
            yield path, value, default


def _options(path: Path, kind: str, name: str, options: Mapping[str, Any]) -> Iterator[tuple[Path, float, bool]]:
    for own, value in _numbers(options, path):
        yield own, value, False
    for parameter in inspect.signature(get_registered(kind, name)).parameters.values():
        missing = parameter.kind is parameter.KEYWORD_ONLY and parameter.name not in options
        if missing and isinstance(parameter.default, (bool, int, float)):
            yield (*path, parameter.name), parameter.default, True


def _numbers(data: Any, path: Path) -> Iterator[tuple[Path, float]]:
    if isinstance(data, Mapping):
        for key, value in data.items():
            if key not in _NOT_ABOUT_A:
                yield from _numbers(value, (*path, key))
    elif isinstance(data, list):
        for i, value in enumerate(data):
            yield from _numbers(value, (*path, i))
    elif isinstance(data, (bool, int, float)):
        yield path, data


def _set(data: dict[str, Any], path: Path, value: float) -> None:
    target: Any = data
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value


def _why(replay: RewardReplay, path: Path) -> str:
    setup = replay.setup
    if path[0] == "advantage":
        key = {"lambda": "lam", "k": "k"}.get(str(path[1]))
        if key and not select_accepted_settings(setup.advantage.name, {key: 0}):
            return f"the advantage {setup.advantage.name!r} does not use it"
        if key == "k" and not bool((replay.advantage != 0).any()):
            return "every advantage is 0"
        return ""
    entry = next(e for e in setup.suite.entries if e.spec.name == path[1])
    tasks = [e for e in setup.suite.entries if e.spec.role == "task"]
    if entry.spec.role == "gate" and path[2] == "weight":
        return "a gate multiplies by 0 or 1 and has no weight"
    if entry.spec.role == "task" and len(tasks) == 1 and path[2] in ("weight", "schedule"):
        return "it is the only task reward: a weighted mean over one"
    if entry.spec.role == "modulator" and not bool((replay.scores.effects[entry.spec.name] != 0).any()):
        return "the reward has no effect on any right reply"
    return "the other values give these replies the same scores" if path[2] == "options" else ""
