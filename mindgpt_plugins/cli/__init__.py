"""The ``mindgpt`` command: one file per verb."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

app = typer.Typer(
    name="mindgpt",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Multimodal post-training in the spirit of MindGPT-4ov on unmodified verl and LLaMA-Factory. "
    "Start with: mindgpt run quickstart",
)


def main() -> None:
    """Console entry point: runs a verb; an expected fault is one clear message and a non-zero exit."""
    from mindgpt_plugins.cli import doctor, listing, llamafactory, plan, report, run, validate
    from mindgpt_plugins.pipeline.stage import StageError
    from mindgpt_plugins.recipe.loading import RecipeError
    from mindgpt_plugins.registry import PluginError, RegistryError

    if sys.argv[1:2] == ["llamafactory"]:  # its arguments belong to the host: hand them over untouched
        llamafactory.main(sys.argv[2:])
        return
    for verb in (run, validate, plan, doctor, listing, report):
        verb.add(app)
    if sys.argv[1:2] == ["data"] or len(sys.argv) < 3:  # its verbs are imported only when one of them may be meant
        from mindgpt_data import cli as data

        app.add_typer(data.app())
    app.command(
        "llamafactory", help="Run LLaMA-Factory on your own YAML with an extra mindgpt: section: … train x.yaml."
    )(lambda: None)
    try:
        app()
    except (ValueError, StageError, PluginError, FileNotFoundError, RuntimeError) as error:
        Console(stderr=True, soft_wrap=True).print(f"[bold red]error[/]: {_escape(str(error))}")
        raise SystemExit(2 if isinstance(error, (RecipeError, RegistryError, PluginError, ValueError)) else 1) from None
    except KeyboardInterrupt:
        Console(stderr=True).print("stopped; run the same command again to go on")
        raise SystemExit(130) from None


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
