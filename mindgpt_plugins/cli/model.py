"""``mindgpt model``: what is known of a model, and what each stage will do with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mindgpt_plugins.core.image_size import MAX_PIXELS, MIN_PIXELS


def add(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("model")(model)


def model(
    name: Annotated[str, typer.Argument(metavar="MODEL", help="Model folder, or a hub id.")],
    thinking: Annotated[str, typer.Option(help="on, off or model, as a recipe's `thinking:`.")] = "model",
    min_pixels: Annotated[int, typer.Option(min=1, help="As a recipe's image.min_pixels.")] = MIN_PIXELS,
    max_pixels: Annotated[int, typer.Option(min=1, help="As a recipe's image.max_pixels.")] = MAX_PIXELS,
    as_json: Annotated[bool, typer.Option("--json", help="Print the facts as JSON.")] = False,
) -> None:
    """Say what a model is: family, processor, chat template, tokens of a picture, and what each stage does with it.

    No weight is loaded; of a hub id only configuration, tokenizer and processor are fetched. Exits with status 1 when
    some stage refuses the model.

    Example: mindgpt model ./Qwen3-VL-8B-Instruct --max-pixels 1048576
    """
    import json
    from typing import get_args

    from rich.markup import escape
    from rich.table import Table

    from mindgpt_plugins.core.console import make_console
    from mindgpt_plugins.families import PixelLimits, Thinking
    from mindgpt_plugins.workbench.model_facts import list_model_facts

    if thinking not in get_args(Thinking):
        raise ValueError(f"--thinking {thinking}: must be one of {', '.join(get_args(Thinking))}")
    console = make_console()
    with console.status("looking"):
        facts = list(list_model_facts(_find_folder(name), PixelLimits(min_pixels, max_pixels), thinking))  # type: ignore[arg-type]
    if as_json:
        typer.echo(json.dumps({"version": 1, "facts": [vars(fact) for fact in facts]}, indent=2, ensure_ascii=False))
    else:
        table = Table(show_header=False)
        for fact in facts:
            style = "red" if fact.refused else ""
            table.add_row(escape(fact.what), escape(fact.found), style=style)
        console.print(table)
    if any(fact.refused for fact in facts):
        raise SystemExit(1)


def _find_folder(name: str) -> Path:
    folder = Path(name)
    if (folder / "config.json").is_file():
        return folder.resolve()
    if folder.exists() or name.startswith((".", "/", "~")):
        raise ValueError(f"{name} holds no config.json; give the folder of a Hugging Face model, or a hub id")
    from huggingface_hub import snapshot_download

    # Everything but weights.
    return Path(snapshot_download(name, allow_patterns=["*.json", "*.jinja", "*.txt", "*.model", "tokenizer*"]))
