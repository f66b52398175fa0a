"""``mindgpt data run``: every step, in order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mindgpt_data.cli.images import describe_box_conventions
from mindgpt_data.cli.options import ConfigOption, OverridesArgument, SeedOption, WorkOption

if TYPE_CHECKING:
    from rich.console import Console

    from mindgpt_data.schema.config import DataSettings


def add(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("run")(run)


def run(
    overrides: OverridesArgument = None,
    work: WorkOption = Path("work"),
    config: ConfigOption = None,
    seed: SeedOption = 0,
    start: Annotated[
        str | None, typer.Option("--from", help="Do this step and all after it again, even when they are done.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="Stop after this step.")] = None,
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option("--engine", help="local: asyncio and processes; ray: Ray Data, for a cluster (needs ray[data])."),
    ] = "local",
    plugins: Annotated[
        list[str] | None, typer.Option("--plugin", help="Module or .py file that registers your own teacher, gate, …")
    ] = None,
    focus: Annotated[
        Path | None,
        typer.Option(
            "--focus", help="branches.json of an evaluation: matching, budget and questions go where it is weak."
        ),
    ] = None,
    target: Annotated[
        float | None,
        typer.Option(
            "--focus-target", help="A leaf is weak when its accuracy's lower bound is under this (default 0.8)."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print the weak leaves of --focus; run nothing.")
    ] = False,
) -> None:
    """Run every step: images, density, match, budget, generate, filter, export, report.

    A step that is done with the same settings and inputs is reused; a killed run goes on where it stopped; an answer
    that was paid for is never asked again. Try:  mindgpt data run images.path=photos --work work

    With --focus, the evaluation of the last model steers this round:  mindgpt data run images.path=photos --work round2
    --focus runs/stages/eval_align-HASH/branches.json --dry-run
    """
    from mindgpt_data import engines
    from mindgpt_data.cli import options
    from mindgpt_data.io.work import Work
    from mindgpt_data.steps import check, pipeline
    from mindgpt_plugins.core import registry
    from mindgpt_plugins.core.console import make_console

    console = make_console()
    registry.load_plugins(plugins or [])
    settings = options.resolve_settings(config, overrides, focus=_focus(focus, target))
    check.require_valid_settings(settings)
    show_focus(settings, console, dry_run)
    if dry_run:
        return
    folder = Work(work)

    def listen(step: str, state: str, summary: dict[str, Any] | None) -> None:
        if state == "running":
            console.print(f"[bold]{step}[/] …")
        elif summary is not None:
            console.print(f"[bold]{step}[/] {state}: {format_step_counts(summary)}")
            for line in describe_box_conventions(summary):
                console.print(f"  {line}", markup=False)

    with engines.use_engine(engine), options.show_progress_line("run") as progress:
        pipeline.run(
            folder,
            settings,
            seed=seed,
            progress=progress,
            listen=listen,
            start=start,
            until=until,
            plugins=plugins or [],
        )
    if until is None:
        from mindgpt_data.steps.report import run as write_report

        write_report(folder, settings, seed=seed)
        console.print(f"sets: {folder.datasets}\nreport: {work / 'report.html'}", markup=False)


def _focus(file: Path | None, target: float | None) -> dict[str, Any] | None:
    given = {"file": str(file.resolve()) if file else None, "target": target}
    return {key: value for key, value in given.items() if value is not None} or None


def show_focus(settings: DataSettings, console: Console, whole: bool) -> None:
    """The weak leaves as a table, or in one line.

    Raises:
        FocusError: the focus cannot be used, or nothing is weak.
        SettingsError: a table is wanted and there is no focus.
    """
    from rich.table import Table

    from mindgpt_data.focus import table, weights
    from mindgpt_data.steps.settings import SettingsError

    if settings.focus is None:
        if whole:
            raise SettingsError(
                "--dry-run shows what a focus would do: give --focus FILE (branches.json) or focus.file"
            )
        return
    focus = weights.load_run_focus(settings)
    if focus is None:
        console.print(
            f"focus: nothing in {settings.focus.file} is weak; going on without one", soft_wrap=True, markup=False
        )
        return
    rows, asked = table.list_weak_branches(focus), table.select_deepest_branches(focus.branches)
    console.print(
        f"focus: {len(rows)} of {len(asked)} leaves are weak (lower bound under {settings.focus.target}, few answers "
        f"taken with their parents'); the weakest: {rows[0]['label'] if rows else 'branches only'}",
        soft_wrap=True,
    )
    if whole:
        shown = Table("axis", "leaf", "answers", "accuracy", "low", "taken as", "weight")
        for row in rows:
            accuracy = "" if row["accuracy"] is None else f"{row['accuracy']:.2f}"
            shown.add_row(
                row["axis"], row["label"], f"{row['n']}", accuracy, f"{row['low']:.2f}", f"{row['bound']:.2f}",
                f"{row['weight']:.2f}",
            )  # fmt: skip
        console.print(shown)


def format_step_counts(summary: dict[str, Any]) -> str:
    """The counts of a step's summary in one line."""
    numbers = {k: v for k, v in summary.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}
    return ", ".join(f"{key} {value:,}" for key, value in numbers.items())
