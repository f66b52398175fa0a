"""``mindgpt data demo``: a small corpus with known truth, to try the other verbs on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mindgpt_data.cli.options import SeedOption


def add(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("demo")(demo)


def demo(
    folder: Annotated[Path, typer.Argument(help="Where to write the pictures and their manifest.jsonl.")],
    images: Annotated[int, typer.Option("--images", min=1, help="How many pictures.")] = 60,
    source: Annotated[
        Literal["domain", "general"], typer.Option("--source", help="domain: vehicles and road signs; general: shapes.")
    ] = "domain",
    size: Annotated[int, typer.Option("--size", min=64, help="Side of the square pictures in pixels.")] = 256,
    seed: SeedOption = 0,
) -> None:
    """Draw pictures with a manifest of what is in them (objects with boxes, texts, tags, captions).

    Then try:  mindgpt data run images.path=FOLDER/manifest.jsonl --work work
    """
    from mindgpt_data.world.folder import write_source_corpus

    manifest = write_source_corpus(folder, images, source=source, seed=seed, size=size)
    print(f"{images} pictures and {manifest}")
