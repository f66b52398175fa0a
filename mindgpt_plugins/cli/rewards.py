"""``mindgpt rewards``: try rewards on recorded rollouts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mindgpt_plugins.cli.options import OverridesArgument
from mindgpt_plugins.core.console import make_console

if TYPE_CHECKING:
    from mindgpt_plugins.rewards.suite import Suite
    from mindgpt_plugins.rewards.trial import ScoredSample


def add(app: typer.Typer) -> None:
    """Register the verbs."""
    verbs = typer.Typer(no_args_is_help=True, help="Debug rewards without training.")
    verbs.command("try")(try_rewards)
    app.add_typer(verbs, name="rewards")


def try_rewards(
    recipe: Annotated[
        str, typer.Argument(help="Recipe (file or shipped name), or the settings.json of an rl stage's folder.")
    ],
    on: Annotated[
        Path, typer.Option("--on", help="JSONL of rollouts, or a folder of them such as <stage folder>/rollouts.")
    ],
    overrides: OverridesArgument = None,
    stage: Annotated[str | None, typer.Option(help="The rl stage, when the recipe has several.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write every reply with its components and logs as JSONL.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Replies shown.")] = 20,
    group: Annotated[str | None, typer.Option(help="Score only this group.")] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder that the lines' image names are relative to; without it, no images.")
    ] = None,
    progress: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share of the run for all replies; default: from their step.")
    ] = None,
) -> None:
    """Score recorded rollouts offline with a recipe's rewards: components of each reply, groups, and each reward.

    A line holds at least a text; prompt_id, target, prompt, type, answer_type, source, tokens, step, group and image
    are used when there. The exit status is 1 when a reward failed on any reply.

    Example: mindgpt rewards try my_recipe.yaml --on rollouts.jsonl stages.rl.rewards.judge.weight=0.5 --out a.jsonl
    """
    from mindgpt_plugins.rewards import recorded, trial

    suite, steps = _suite(recipe, overrides or [], stage)
    lines = recorded.read_recorded_rollouts(on, total_steps=steps, progress=progress, images=images)
    if group is not None:
        known = [one.group for one in lines]
        lines = [one for one in lines if one.group == group]
        if not lines:
            raise recorded.RecordedError(f"{on}: no group {group!r}; there are {', '.join(dict.fromkeys(known))[:400]}")
    found = trial.score_recorded_rollouts(suite, lines)
    console = make_console()
    _show(console, suite, found, limit)
    for name in ("answer_type", "type", "length"):
        without = sum(name in one.guessed for one in lines)
        if without:
            default = {"answer_type": "text", "type": "verifiable", "length": "its number of words"}[name]
            console.print(f"{without} lines have no {name}: taken as {default}", style="yellow")
    floats = sum(one.float_target for one in lines)
    if floats:
        console.print(f"{floats} targets are floats of whole numbers (5.0): compared as the number", style="yellow")
    if out is not None:
        out.write_text(
            "".join(json.dumps(one.as_row(), ensure_ascii=False, default=str) + "\n" for one in found), "utf-8"
        )
        console.print(f"written: {out}", soft_wrap=True, markup=False)
    failed = [one for one in found if one.error]
    if failed:
        console.print(f"[bold red]{len(failed)} of {len(found)} replies failed[/]; training would stop. The first:")
        console.print(failed[0].error, soft_wrap=True, markup=False)
        raise typer.Exit(1)


def _suite(recipe: str, overrides: Sequence[str], stage: str | None) -> tuple[Suite, int]:
    """The rewards of a recipe's rl stage, or of a settings file, and the steps of the run."""
    from mindgpt_plugins.core.registry import load_plugins
    from mindgpt_plugins.recipe.loading import find_stage, load_recipe
    from mindgpt_plugins.rewards.suite import Suite
    from mindgpt_plugins.stages.rl.config import RLConfig

    if recipe.endswith(".json"):
        from mindgpt_plugins.verl_ext.settings import read_settings_file

        settings = read_settings_file(Path(recipe))
        load_plugins(settings.plugins)
        return Suite(settings.rewards), 1
    config = find_stage(load_recipe(recipe, overrides), RLConfig, stage)
    return Suite(config.rewards), config.steps


def _show(console: Console, suite: Suite, found: Sequence[ScoredSample], limit: int) -> None:
    from mindgpt_plugins.rewards.recorded import group_recorded_rollouts
    from mindgpt_plugins.rewards.trial import count_ambiguous_verdicts

    if limit:
        console.print(_replies_table(suite, found[:limit]))
        if len(found) > limit:
            console.print(f"… {len(found) - limit} more; --limit shows more, --out writes all", style="dim")
        groups = [[found[i] for i in own] for own in group_recorded_rollouts([one.recorded for one in found])]
        console.print(_groups_table(groups[:limit]))
        if len(groups) > limit:
            console.print(f"… {len(groups) - limit} more groups", style="dim")
    console.print(_rewards_table(suite, found))
    scores = [one.score for one in found if one.score is not None]
    console.print(f"{len(found)} replies, mean r {_number(_mean(scores))}, correct {_correct(scores)}")
    for name, count in count_ambiguous_verdicts(found).items():
        console.print(
            f"{name}: {count} verdicts are ambiguous ({100 * count / len(found):.1f} %): wrong as they are read, right "
            "under another reading of the answers",
            style="yellow",
        )


def _replies_table(suite: Suite, found: Sequence[ScoredSample]) -> Table:
    table = Table("group", "sample", "r", "g", *map(escape, suite.names()), title="Replies")
    table.columns[1].no_wrap = True
    table.add_column("reply", no_wrap=True, min_width=24)
    for one in found:
        values = [_number(one.components.get(name)) for name in suite.names()]
        reply = one.error or " ".join(one.recorded.rollout.text.split())
        shown = [one.recorded.group, one.recorded.rollout.uid, _number(one.score), _number(one.modulated), *values]
        table.add_row(*map(escape, shown), escape(reply[:120]), style="red" if one.error else None)
    return table


def _groups_table(groups: Sequence[Sequence[ScoredSample]]) -> Table:
    table = Table("group", "replies", "correct", "mean r", "mean g", "spread of g", "tokens", title="Groups")
    for members in groups:
        scores = [m.score for m in members if m.score is not None]
        modulated = [m.modulated for m in members if m.modulated is not None]
        table.add_row(
            escape(members[0].recorded.group),
            str(len(members)),
            _correct(scores),
            _number(_mean(scores)),
            _number(_mean(modulated)),
            _number(max(modulated) - min(modulated) if modulated else None),
            _number(_mean([float(m.recorded.rollout.length) for m in members])),
        )
    return table


def _rewards_table(suite: Suite, found: Sequence[ScoredSample]) -> Table:
    from mindgpt_plugins.rewards.trial import summarise_components

    table = Table("reward", "role", "scored", "mean", "std", "min", "max", "failed", "differs", title="Rewards")
    for c in summarise_components(suite, found):
        figures = [_number(value) for value in (c.mean, c.std, c.low, c.high)]
        table.add_row(escape(c.name), c.role, f"{c.scored}/{len(found)}", *figures, str(c.errors), str(c.changed))
    return table


def _correct(scores: Sequence[float]) -> str:
    from mindgpt_plugins.rewards.sdk import CORRECT

    return str(sum(score >= CORRECT for score in scores))


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
