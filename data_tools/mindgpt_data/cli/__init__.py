"""``mindgpt data``: one verb per step, one file per verb."""

from __future__ import annotations

import importlib
import importlib.util

import typer

VERBS = (
    "demo",
    "images",
    "tree",
    "density",
    "match",
    "budget",
    "preview",
    "generate",
    "filter",
    "export",
    "report",
    "run",
)


def build_data_app() -> typer.Typer:
    """The ``data`` command with every verb."""
    made = typer.Typer(
        name="data",
        no_args_is_help=True,
        help="From pictures to a balanced, dense, verified training set. Every verb reads and writes plain files in a "
        "work folder, so any step can be replaced. Start with: mindgpt data run --config data.yaml",
    )
    for verb in VERBS:
        name = f"mindgpt_data.cli.{verb}"
        if importlib.util.find_spec(name) is not None:
            importlib.import_module(name).add(made)
    return made
