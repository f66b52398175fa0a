"""``mindgpt data images``: read a corpus."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from mindgpt_data.cli.options import ConfigOption, OverridesArgument, SeedOption, WorkOption


def add(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command()
    def images(
        overrides: OverridesArgument = None,
        work: WorkOption = Path("work"),
        path: Annotated[
            str | None, typer.Option("--images", help="Folder of pictures, manifest .jsonl, or COCO .json.")
        ] = None,
        config: ConfigOption = None,
        seed: SeedOption = 0,
    ) -> None:
        """Read a corpus and open every picture once: sizes, content hashes, and a reason for each that is left out.

        A manifest names one picture (or several) per line and what is known about it: caption(s), tags, objects with
        boxes, texts, source, split, group, video, difficulty. What boxes are is declared (images.boxes, or "boxes" in a
        line) or follows from all of them, see docs/data.md. COCO annotations are read as they are.

        Example: mindgpt data images --images photos/ --work work/
        """
        from mindgpt_data.cli.options import resolve_settings, show_progress_line
        from mindgpt_data.io.work import Work
        from mindgpt_data.steps.images import run
        from mindgpt_plugins.core.console import make_console

        resolved = resolve_settings(config, overrides, images=None if path is None else {"path": path})
        folder = Work(work)
        with show_progress_line("images") as progress:
            summary = run(folder, resolved, seed=seed, progress=progress)
        console = make_console()
        console.print(f"{summary['images']} pictures → {folder.images}", markup=False)
        for line in describe_box_conventions(summary):
            console.print(f"  {line}", markup=False)
        for reason, count in sorted(summary["dropped"].items()):
            console.print(f"  dropped {count}: {reason}", markup=False)
        if summary["dropped"]:
            console.print(f"  each with its reason in {folder.drops('images')}", markup=False)


def describe_box_conventions(summary: Mapping[str, Any]) -> list[str]:
    """Say what the boxes of a corpus were read as, from the summary of the step; nothing where there are none."""
    proof = "; no other convention fits them all"
    return [
        f"{count} boxes read as {convention}{proof if convention == summary['boxes_proven'] else ''}"
        for convention, count in sorted(summary.get("boxes", {}).items())
    ]
