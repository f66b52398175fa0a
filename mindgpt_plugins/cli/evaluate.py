"""``mindgpt evaluate``: own sets and public benchmarks for one model, through the ordinary runner."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from mindgpt_plugins.cli.options import OverridesArgument, RunsOption

SETS, BENCHMARKS = "sets", "benchmarks"
"""Names of the two stages."""


def add(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("evaluate")(evaluate)


def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            help="Run folder, a recipe's name (its latest run), a model folder or hub id, or a server's URL."
        ),
    ],
    overrides: OverridesArgument = None,
    stage: Annotated[
        str | None, typer.Option(help="Of a run: whose model; default: the last one that has one.")
    ] = None,
    benchmarks: Annotated[
        str | None, typer.Option(help="Public benchmarks, e.g. mmstar,pope; all: every one we know.")
    ] = None,
    data: Annotated[
        list[str] | None, typer.Option(metavar="NAME=FOLDER", help="Local copy of a benchmark's data set; repeatable.")
    ] = None,
    sets: Annotated[str | None, typer.Option(help="Own held-out sets, e.g. data/dev,data/test.")] = None,
    server: Annotated[
        str | None, typer.Option(help="URL of a running server that has the model, for the benchmarks.")
    ] = None,
    blank: Annotated[bool, typer.Option(help="Also ask with the pictures blanked.")] = True,
    limit: Annotated[int | None, typer.Option(min=1, help="Rows per subset of a benchmark and per own set.")] = None,
    engine: Annotated[str, typer.Option(help="auto, hf or vllm.")] = "auto",
    engine_python: Annotated[
        str | None, typer.Option(help="Interpreter that runs the model, e.g. one with vLLM; default: the current one.")
    ] = None,
    harness: Annotated[
        str | None,
        typer.Option(envvar="MINDGPT_BENCHMARK_PYTHON", help="Interpreter with EvalScope; default: the current one."),
    ] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option(min=1, help="Of a reply; default: 2048 for benchmarks, 64 for own sets.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan, run nothing.")] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Ask again, e.g. because the server has another model now.")
    ] = False,
    runs: RunsOption = Path("runs"),
) -> None:
    """Evaluate a model on public benchmarks and on your own sets; prints accuracies with 95 % intervals.

    Killed at any moment and started again with the same command, it goes on where it was. Benchmarks go through
    EvalScope, best in an interpreter of its own: extra `benchmark` with constraints/evalscope.txt; see docs/evaluate.md

    Example: mindgpt evaluate quickstart --sets runs/data/test --benchmarks mmstar,pope --data mmstar=./MMStar
    """
    from mindgpt_plugins.core import files
    from mindgpt_plugins.core.console import make_console
    from mindgpt_plugins.pipeline import display, plan, preflight_all, runner
    from mindgpt_plugins.workbench.report import build_report

    is_server = model.startswith(("http://", "https://"))
    if is_server and (server or sets):
        raise ValueError(
            "own --sets need the model itself, and a server is given once; name a folder, a run or a hub id"
        )
    found, as_trained = ({}, {}) if is_server else _model(model, stage, runs)
    server = model if is_server else server
    common: dict[str, Any] = {"engine": engine, **({"max_new_tokens": max_new_tokens} if max_new_tokens else {})}
    stages: dict[str, Any] = {}
    if sets:
        stages[SETS] = {"kind": "evaluate", **found, "sets": sets.split(","), "samples": None, "rows": limit, **common}
        stages[SETS] |= {"blank": "all" if blank else False, "python": engine_python}
    if benchmarks:
        stages[BENCHMARKS] = {"kind": "benchmark", **({"server": server} if server else found), **common}
        stages[BENCHMARKS] |= {"limit": limit, "blank": blank, "engine_python": engine_python, "data": _pairs(data)}
        stages[BENCHMARKS] |= {} if benchmarks == "all" else {"benchmarks": benchmarks.split(",")}
    if not stages:
        raise ValueError("nothing to evaluate on: give --benchmarks mmstar,pope,… (or all), or --sets FOLDER/SET,…")
    raw: dict[str, Any] = {"name": f"evaluate-{_slug(stage or model)}", "stages": stages}
    raw |= as_trained
    raw |= {"launch": {"benchmark": {"python": harness}}} if harness else {}

    console = make_console()
    planned = plan.make_run_plan(_recipe(raw, overrides or []), runs, fresh=fresh)
    display.show_plan(console, planned)
    preflight_all.check_planned_stages(planned)
    if dry_run:
        return
    folder = runner.run_plan(planned, console)
    _show(
        console,
        f"{model} {stage or ''}".strip(),
        [files.read_json(one.folder / "scores.json") for one in planned.stages],
    )
    for one in planned.stages:
        console.print(f"{one.name}: {one.folder / 'scores.json'}", soft_wrap=True, markup=False, highlight=False)
    console.print(f"report: {build_report(folder)}", soft_wrap=True, markup=False)


def _model(name: str, stage: str | None, runs: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """``{"model": reference}`` and, for a run's model, what the run's recipe says of pictures and thoughts."""
    from mindgpt_plugins.core import folders, state
    from mindgpt_plugins.core.errors import StageError

    if (Path(name) / "config.json").is_file():
        return {"model": str(Path(name).resolve())}, {}
    if "/" in name and not Path(name).exists() and not (runs / name).exists():
        return {"model": name}, {}  # a hub id
    found = folders.find_run(runs, name)
    done = {s["name"]: Path(s["folder"]) for s in state.read_manifest(found)["stages"]}
    models = {
        key: folder
        for key, folder in done.items()
        if folders.is_stage_done(folder) and "model" in folders.list_artefacts(folder)
    }
    if not models or (stage is not None and stage not in models):
        what = f"no finished stage {stage or 'with a model'}; it has: {', '.join(models) or 'none'}"
        raise StageError(f"{found} has {what}")
    folder = models[stage or list(models)[-1]]
    record = state.read_stage_record(folder)
    as_trained = {"image": record["image"], "thinking": record.get("thinking", "model")}
    return {"model": folders.require_artefact(folder, "model")}, as_trained


def _pairs(values: list[str] | None) -> dict[str, str]:
    pairs = {}
    for value in values or []:
        name, equals, folder = value.partition("=")
        if not equals:
            raise ValueError(f"--data {value}: write it as NAME=FOLDER, e.g. --data mmstar=./MMStar")
        pairs[name] = folder
    return pairs


def _slug(name: str) -> str:
    last = name.rstrip("/").rsplit("/", 1)[-1]
    return re.sub(r"[^A-Za-z0-9_.-]", "-", last).lstrip("-._") or "model"


def _recipe(raw: dict[str, Any], overrides: list[str]) -> Any:
    """The recipe that the options describe, as if it stood in a file here."""
    from omegaconf import OmegaConf

    from mindgpt_plugins.core.overrides import apply_overrides, resolve_settings
    from mindgpt_plugins.recipe.loading import RecipeError, validate_recipe

    try:
        data = resolve_settings(apply_overrides(OmegaConf.create(raw), overrides))
    except ValueError as error:
        raise RecipeError("command line", str(error).splitlines()) from None
    return validate_recipe(data, Path.cwd() / "command line")


def _show(console: Any, name: str, scores: list[dict[str, Any]]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from mindgpt_plugins.stages.evaluate.scoring import ALL

    table = Table(title=f"accuracy of {name}, %", title_justify="left")
    for column in ("set", "source", "rows", "accuracy", "95 %", "without picture", "no answer found"):
        table.add_column(column, justify="left" if column in ("set", "source") else "right")
    for one in scores:
        for cell in one["cells"]:
            if cell["capability"] != ALL or cell["source"] == ALL:
                continue
            blank = cell["blank_accuracy"]
            missing = round(cell["n"] * (1 - (cell["parsed"] or 0)))
            table.add_row(
                escape(cell["set"]),
                escape(cell["source"]),
                str(cell["n"]),
                f"{100 * cell['accuracy']:.1f}",
                f"{100 * cell['low']:.1f}–{100 * cell['high']:.1f}",
                "–" if blank is None else f"{100 * blank:.1f}",
                str(missing),
            )
    console.print(table)
