"""``mindgpt data run``: every step, in order."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mindgpt_data.cli.options import ConfigOption, OverridesArgument, SeedOption, WorkOption


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
) -> None:
    """Run every step: images, density, match, budget, generate, filter, export, report.

    A step that is done with the same settings and inputs is reused; a killed run goes on where it stopped; an answer
    that was paid for is never asked again. Try:  mindgpt data run images.path=photos --work work
    """
    from rich.console import Console

    from mindgpt_data import check, engines, pipeline
    from mindgpt_data.cli import options
    from mindgpt_data.work import Work
    from mindgpt_plugins import registry

    console = Console()
    registry.load_plugins(plugins or [])
    settings = options.settings(config, overrides)
    check.require(settings)
    folder = Work(work)

    def listen(step: str, state: str, summary: dict[str, Any] | None) -> None:
        if state == "running":
            console.print(f"[bold]{step}[/] …")
        elif summary is not None:
            console.print(f"[bold]{step}[/] {state}: {pipeline_line(summary)}")

    with engines.use(engine), options.progress_line("run") as progress:
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
        console.print(f"sets: {folder.datasets}\nreport: {work / 'report.html'}")


def pipeline_line(summary: dict[str, Any]) -> str:
    """The counts of a step's summary in one line."""
    numbers = {k: v for k, v in summary.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}
    return ", ".join(f"{key} {value:,}" for key, value in numbers.items())
