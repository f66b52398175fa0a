"""``mindgpt data budget``."""

from __future__ import annotations

from pathlib import Path

import typer

from mindgpt_data.cli.options import ConfigOption, OverridesArgument, SeedOption, WorkOption, resolve_settings


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("budget")(budget)


def budget(
    overrides: OverridesArgument = None,
    work: WorkOption = Path("work"),
    config: ConfigOption = None,
    seed: SeedOption = 0,
) -> None:
    """Spread a QA budget over images: denser images get more.

    Reads density.parquet, writes budget.parquet (QA per image and per capability family). With budget.items=N the total
    is exactly N; without it each image gets 1 + 7 x IDS. Allocators uniform and random are there to compare with.

    Example: mindgpt data budget budget.items=500 budget.n_max=8 --config data.yaml
    """
    from mindgpt_data.io.work import Work
    from mindgpt_data.steps.budget import run
    from mindgpt_plugins.core.console import make_console

    found = resolve_settings(config, overrides)
    folder = Work(work)
    summary = run(folder, found, seed=seed)
    console = make_console()
    families = ", ".join(f"{name} {count}" for name, count in summary["families"].items())
    console.print(f"[bold]{summary['items']}[/] QA over [bold]{summary['images']}[/] images ({families})")
    largest = max(summary["per_image"].values(), default=1)
    for number, images in summary["per_image"].items():
        bar = "█" * max(1, round(40 * images / largest))
        console.print(f"{number:>4} QA {bar} {images}", highlight=False)
    console.print(f"written: {folder.budget}", markup=False)
