"""``mindgpt data match``."""

from __future__ import annotations

from pathlib import Path

import typer

from mindgpt_data.cli.options import (
    ConfigOption,
    OverridesArgument,
    SeedOption,
    WorkOption,
    resolve_settings,
    show_progress_line,
)


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("match")(match)


def match(
    overrides: OverridesArgument = None,
    work: WorkOption = Path("work"),
    config: ConfigOption = None,
    seed: SeedOption = 0,
) -> None:
    """Find what each image is about: at most three topics of the knowledge tree.

    Reads images.jsonl, writes matches.jsonl. Matcher text compares captions, tags and labels with topics (no model
    needed; an image without words gets no topic and a reason in drops/match.jsonl); judge lets the model at
    endpoints.judge descend the tree looking at the picture; clip uses the CLIP or SigLIP you name. With
    match.verify=true the judge checks what text or clip found.

    Example: mindgpt data match match.matcher=text match.limit=3 --config data.yaml
    """
    from mindgpt_data.io.work import Work
    from mindgpt_data.steps.match import run
    from mindgpt_plugins.core.console import make_console

    found = resolve_settings(config, overrides)
    folder = Work(work)
    with show_progress_line("match") as progress:
        summary = run(folder, found, seed=seed, progress=progress)
    console = make_console(highlight=False)
    console.print(
        f"[bold]{summary['matched']}[/] of {summary['images']} images have topics; "
        f"{summary['leaves_used']} of {summary['leaves']} leaves are used"
    )
    for leaf, images in summary["top"].items():
        console.print(f"  {images:>5}  {leaf}", markup=False)
    for reason, images in summary["dropped"].items():
        console.print(f"  {images:>5}  without a topic: {reason}", markup=False)
    console.print(f"written: {folder.matches}", markup=False)
