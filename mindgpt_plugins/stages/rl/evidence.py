"""What the rewards of an ``rl`` stage did: on the sets' own answers beforehand, and on the rehearsal's rollouts."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindgpt_plugins.core.files import read_jsonl
from mindgpt_plugins.stages.rehearsal import Finding

if TYPE_CHECKING:
    from mindgpt_plugins.rewards.recorded import Recorded
    from mindgpt_plugins.rewards.trial import ScoredSample

SPREAD = "rehearsed_spread"
"""The reward that a rehearsal adds, see :mod:`.rehearsed`."""
ASKING = ("judge", "diversity_embedding")
"""Rewards that may ask a server, which checking the recipe must not."""


def check_gold_answers(stage: str, config: Any, folder: Path, names: Iterable[str]) -> list[Finding]:
    """Score the sets' own answers in this process: a right answer must be right, and no reward may break on a source.

    Args:
        stage: name of the ``rl`` stage.
        config: its settings.
        folder: datasets folder with ``<set>.jsonl``.
        names: sets in it.
    """
    from mindgpt_plugins.rewards.sdk import RewardError
    from mindgpt_plugins.rewards.suite import Suite
    from mindgpt_plugins.rewards.trial import score_recorded_rollouts

    rewards = {n: c for n, c in config.rewards.items() if (c.reward or n) not in ASKING and n != SPREAD}
    try:
        suite = Suite(rewards)
    except RewardError as error:
        return [Finding(stage, "rewards", "noted", f"not tried on the sets' answers: without those that ask, {error}")]
    scored = score_recorded_rollouts(suite, [one for name in names for one in _gold_replies(folder, name)])
    found = [*_failures(stage, scored), *_wrong_answers(stage, scored)]
    if not found and scored:
        found.append(Finding(stage, "rewards", "proven", f"right on the sets' own answers ({len(scored)} rows)"))
    return found


def _gold_replies(folder: Path, name: str) -> list[Recorded]:
    """The supervised reply of each row of a set, or its bare answer, as if the policy had given it at the run's end."""
    from mindgpt_data.export import read_set

    from mindgpt_plugins.rewards.recorded import Recorded
    from mindgpt_plugins.rewards.rows import make_image_loader, make_rollout_from_row

    found = []
    for row in read_set(folder, name) if (folder / f"{name}.jsonl").is_file() else []:
        data = row.to_json()
        text = row.response or f"answer: {row.answer}"
        rollout = make_rollout_from_row(data, text, step=1, progress=1.0, load_images=make_image_loader(folder, data))
        found.append(Recorded(rollout, row.uid, {}, ()))
    return found


def _failures(stage: str, scored: Sequence[ScoredSample]) -> list[Finding]:
    errors: dict[str, list[str]] = defaultdict(list)
    for one in scored:
        if one.error:
            errors[one.recorded.rollout.source].append(one.error)
    return [
        Finding(
            stage,
            "rewards",
            "failed",
            f"source {source!r}: {len(messages)} of its rows cannot be scored. {messages[0]}",
        )
        for source, messages in errors.items()
    ]


def _wrong_answers(stage: str, scored: Sequence[ScoredSample]) -> list[Finding]:
    wrong = []
    for one in scored:
        accuracy = one.components.get("accuracy")
        if accuracy is not None and accuracy < 1 and one.recorded.rollout.type == "verifiable":
            wrong.append(one.recorded.rollout)
    if not wrong:
        return []
    text = (
        f"accuracy gives {len(wrong)} of {len(scored)} of the sets' own answers less than 1, e.g. {wrong[0].uid!r} "
        f"({wrong[0].answer_type}): {wrong[0].text[-80:]!r} against target {wrong[0].target!r}"
    )
    # Some may be mistakes in the data; most are a reward that does not fit the data.
    return [Finding(stage, "rewards", "failed" if 2 * len(wrong) > len(scored) else "noted", text)]


def check_rollouts(stage: str, folder: Path) -> list[Finding]:
    """Judge the components that the run's own dump holds, over all replies and per source.

    Args:
        stage: name of the ``rl`` stage.
        folder: its folder.
    """
    replies = list(_replies(folder / "rollouts"))
    if not replies:
        return [Finding(stage, "rollouts", "failed", f"no replies in {folder / 'rollouts'}")]
    found = []
    sources = sorted({str(r.get("source")) for r in replies})
    for name in replies[0]["components"]:
        values = [(str(r.get("source")), r["components"].get(name)) for r in replies]
        found.append(_component(stage, name, values))
        errors = [r["log"][f"{name}.error"] for r in replies if f"{name}.error" in r.get("log", {})]
        if errors:
            text = f"{name}: failed on {len(errors)} of {len(replies)} replies (on_error: none). {errors[0]}"
            found.append(Finding(stage, "rollouts", "failed", text))
    spread = [r["advantage"] for r in replies if isinstance(r.get("advantage"), (int, float))]
    text = (
        f"{len(replies)} replies to {len({r['row'] for r in replies})} prompts of {', '.join(sources)}; advantages "
        f"{min(spread, default=0):.2g} to {max(spread, default=0):.2g}"
    )
    state = "proven" if spread and min(spread) < max(spread) else "failed"
    return [Finding(stage, "rollouts", state, text), *found]  # type: ignore[arg-type]


def _component(stage: str, name: str, values: list[tuple[str, float | None]]) -> Finding:
    scored = [(source, float(v)) for source, v in values if v is not None]
    bad = sorted({source for source, v in scored if not math.isfinite(v)})
    if bad:
        return Finding(stage, "rollouts", "failed", f"{name}: not finite on replies of source {', '.join(bad)}")
    if not scored:
        return Finding(stage, "rollouts", "noted", f"{name}: scored no reply; no row is of a type it scores")
    by: Mapping[str, list[float]] = defaultdict(list)
    for source, value in scored:
        by[source].append(value)
    told = ", ".join(f"{source} {sum(own) / len(own):.3g}" for source, own in sorted(by.items()))
    distinct = {value for _, value in scored}
    if len(distinct) == 1:
        text = f"{name}: always {distinct.pop():.3g} on {len(scored)} replies; random replies do not move it"
        return Finding(stage, "rollouts", "noted", text)
    return Finding(stage, "rollouts", "proven", f"{name}: scored {len(scored)} of {len(values)}; mean {told}")


def _replies(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("*.jsonl")):
        yield from (reply for _, reply in read_jsonl(path))
