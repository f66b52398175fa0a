"""``mindgpt explain``: what a recipe's rewards and advantage do with recorded rollouts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mindgpt_plugins.cli.options import OverridesArgument
from mindgpt_plugins.core.console import make_console


def add(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("explain")(explain)


def explain(
    rollouts: Annotated[
        Path,
        typer.Argument(help="JSONL of rollouts, a folder of them, or the folder of an rl stage (its rollouts/)."),
    ],
    overrides: OverridesArgument = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="Recipe (file or shipped name), or a stage.json; default: the one the rollouts' stage ran."),
    ] = None,
    against: Annotated[str | None, typer.Option(help="Another one, to compare the order of replies with.")] = None,
    stage: Annotated[str | None, typer.Option(help="The rl stage, when a recipe has several.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with charts here.")] = None,
    json_: Annotated[Path | None, typer.Option("--json", help="Write all figures here.")] = None,
    progress: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share of the run for all replies; default: from their step.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder that the lines' image names are relative to; without it, no images.")
    ] = None,
    look: Annotated[
        int, typer.Option(min=1, help="Replies on which a parameter must have no effect to be called dead.")
    ] = 20_000,
    score: Annotated[
        str,
        typer.Option(
            help="local: run the rewards of this process, take those that ask a server from the record; "
            "all: run every one; missing: run only what the record lacks."
        ),
    ] = "local",
) -> None:
    """Replay recorded rollouts through a recipe's rewards and advantage, without training, and say what they do.

    It answers: which reward pushes, and how much; which rewards are saturated or silent; how much weight a prompt gets
    by how many of its replies are right; whether a wrong reply ever beats a right one; how many tokens weigh as much as
    a point of accuracy; which hyper-parameters change nothing; and, with --against, which pairs of replies another
    recipe orders the other way round.

    A line holds at least a text; prompt_id, target, type, answer_type, source, tokens, step, group and image are used
    when there. The key=value overrides apply to --recipe only, so the recipe itself with one thing changed is:

    mindgpt explain runs/stages/rl-3f32c0d66489 --recipe quickstart --against quickstart
    stages.rl.rewards.conciseness.weight=0.4 --html explain.html
    """
    from typing import get_args

    import torch

    from mindgpt_plugins.core.registry import hint_nearest
    from mindgpt_plugins.recipe.loading import RecipeError
    from mindgpt_plugins.rewards import recorded
    from mindgpt_plugins.workbench.explain import page, text
    from mindgpt_plugins.workbench.explain.explain import explain_rollouts as findings
    from mindgpt_plugins.workbench.explain.scoring import Source
    from mindgpt_plugins.workbench.explain.setup import read_recipe_setup

    torch.set_num_threads(1)  # many small operations: threads only wait for each other
    if score not in get_args(Source):
        raise ValueError(
            f"--score {score}{hint_nearest(score, get_args(Source))} One of: {', '.join(get_args(Source))}"
        )
    where = rollouts / "rollouts" if (rollouts / "rollouts").is_dir() else rollouts
    ran = (where if where.is_dir() else where.parent).parent / "stage.json"
    if recipe is None and not ran.is_file():
        raise RecipeError(str(rollouts), [f"there is no {ran} that says what recipe these are of; give --recipe"])
    setup = read_recipe_setup(recipe or str(ran), overrides or (), stage)
    other = read_recipe_setup(against, (), stage) if against else None
    lines = recorded.read_recorded_rollouts(where, total_steps=setup.steps, progress=progress, images=images)
    data = findings(lines, setup, other, source=score, look=look)  # type: ignore[arg-type]
    text.show_explanation(make_console(), data)
    if html is not None:
        html.write_text(page.render_explain_page(data), encoding="utf-8")
        typer.echo(f"written: {html}")
    if json_ is not None:
        json_.write_text(json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
        typer.echo(f"written: {json_}")
