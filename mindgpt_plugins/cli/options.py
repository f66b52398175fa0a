"""Arguments several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RecipeArgument = Annotated[
    str, typer.Argument(help="Recipe file, or the name of a shipped one (mindgpt list recipes).")
]
OverridesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Overrides with dotted keys, e.g. stages.rl.steps=50 seed=1."),
]
RunsOption = Annotated[Path, typer.Option("--runs", envvar="MINDGPT_RUNS", help="Folder for all runs.")]
