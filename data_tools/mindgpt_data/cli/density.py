"""``mindgpt data density``: how much there is to ask about each picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mindgpt_data.cli.options import ConfigOption, SeedOption, resolve_settings, show_progress_line

if TYPE_CHECKING:
    from mindgpt_data.io.work import Work
    from mindgpt_data.schema.config import DataSettings


class DensityError(ValueError):
    """The arguments do not go together; the message says what to give."""


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("density")(density)


def density(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CORPUS] [KEY=VALUE]...",
            help="Folder of pictures, manifest .jsonl or COCO .json (not needed where --work has images.jsonl), then "
            "settings, e.g. density.calibrate=true.",
        ),
    ] = None,
    estimator: Annotated[
        str | None, typer.Option("--estimator", help="model-free (default), judge, pixels or a registered one.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Copy of the table: .parquet.")] = None,
    compare: Annotated[
        str | None, typer.Option("--compare", metavar="A,B", help="Score with two estimators and compare them.")
    ] = None,
    work: Annotated[
        Path | None,
        typer.Option("--work", envvar="MINDGPT_DATA_WORK", help="Work folder; default beside --out: OUT.work."),
    ] = None,
    config: ConfigOption = None,
    seed: SeedOption = 0,
) -> None:
    """Score how much there is to ask about each picture: subjects, spatial, text, knowledge (0 to 5) and ids (0 to 1).

    model-free reads text by OCR and finds subjects by colour and edges, without any model server; judge asks the MLLM
    at endpoints.judge. A run that was stopped goes on where it was; a picture that cannot be scored is listed with its
    reason in drops/density.jsonl.

    Example: mindgpt data density photos/ --estimator model-free --out density.parquet

    Example: mindgpt data density photos/ --compare model-free,judge --config data.yaml --out agreement.json
    """
    import shutil

    from mindgpt_data.steps.density import run
    from mindgpt_plugins.core.console import make_console

    corpus, overrides = _split(arguments or [])
    folder = _work(work, out)
    console = make_console(highlight=False)
    # A work folder alone knows its pictures: the settings' corpus is then only a name.
    place = corpus or (None if config else str(folder.folder))
    images = None if place is None else {"path": place}
    resolved = resolve_settings(
        config, overrides, images=images, density=estimator and {"estimator": {"name": estimator}}
    )
    if corpus or not folder.images.is_file():
        _read(folder, resolved, seed, console)
    if compare:
        _compare(folder, resolved, compare, out, seed, console)
        return
    with show_progress_line("density") as progress:
        summary = run(folder, resolved, seed=seed, progress=progress)
    console.print(f"[bold]{summary['images']}[/] pictures scored by {resolved.density.estimator.name}; means:")
    console.print("  " + " · ".join(f"{name} {value:.2f}" for name, value in summary["mean"].items()))
    _print_drops(console, summary, folder.drops("density"))
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder.density, out)
    console.print(f"written: {out or folder.density}", soft_wrap=True, markup=False)


def _split(arguments: list[str]) -> tuple[str | None, list[str]]:
    """The corpus and the settings; a path with ``=`` in it is a corpus when it exists."""
    corpora = [one for one in arguments if "=" not in one or Path(one).exists()]
    if len(corpora) > 1:
        raise DensityError(f"give one corpus, got {len(corpora)}: {', '.join(corpora)}")
    return (corpora[0] if corpora else None), [one for one in arguments if one not in corpora]


def _work(work: Path | None, out: Path | None) -> Work:
    from mindgpt_data.io.work import Work

    if work is None and out is None:
        raise DensityError("say where the result goes: --out FILE.parquet, or --work DIR for a whole pipeline")
    if work is None:
        assert out is not None
        work = out.with_name(f"{out.name}.work")
    return Work(work)


def _read(folder: Work, resolved: DataSettings, seed: int, console: Any) -> None:
    from mindgpt_data.steps import images

    if resolved.images.path == str(folder.folder):
        raise DensityError(f"{folder.images} does not exist: name a corpus, or run `mindgpt data images` first")
    with show_progress_line("images") as progress:
        summary = images.run(folder, resolved, seed=seed, progress=progress)
    _print_drops(console, summary, folder.drops("images"))


def _print_drops(console: Any, summary: dict[str, Any], path: Path) -> None:
    for reason, count in sorted(summary["dropped"].items()):
        console.print(f"  {count:>5}  left out: {reason}", markup=False)
    if summary["dropped"]:
        console.print(f"  reasons in {path}", soft_wrap=True, markup=False)


def _compare(folder: Work, resolved: DataSettings, names: str, out: Path | None, seed: int, console: Any) -> None:
    from dataclasses import asdict

    from rich.markup import escape
    from rich.table import Table

    from mindgpt_data.density.compare import COLUMNS
    from mindgpt_data.density.compare import compare_scores as compare_tables
    from mindgpt_data.io.work import Work
    from mindgpt_data.schema.config import EstimatorChoice
    from mindgpt_data.steps.density import run
    from mindgpt_plugins.core import files

    pair = [name.strip() for name in names.split(",")]
    if len(pair) != 2 or not all(pair):
        raise DensityError(f"--compare needs two estimators, e.g. model-free,judge; got {names!r}")
    if out is not None and out.suffix != ".json":
        raise DensityError(f"--compare writes JSON: --out {out.with_suffix('.json')}")
    tables = []
    for name in pair:
        own = Work(folder.folder / "compare" / name)
        files.write_text(own.images, folder.images.read_text(encoding="utf-8"))
        # Options belong to the estimator the settings name; the other one runs with its defaults.
        named = resolved.density.estimator
        update = {"estimator": named if name == named.name else EstimatorChoice(name=name)}
        chosen = resolved.model_copy(update={"density": resolved.density.model_copy(update=update)})
        with show_progress_line(name) as progress:
            summary = run(own, chosen, seed=seed, progress=progress)
        _print_drops(console, summary, own.drops("density"))
        tables.append(own.read_density())
    found = compare_tables(tables[0], tables[1])
    table = Table("", "Spearman", f"mean {pair[0]}", f"mean {pair[1]}", title=f"{found.images} pictures")
    for column in COLUMNS:
        rank = found.spearman[column]
        means = [f"{value:.2f}" for value in found.means[column]]
        table.add_row(column, "constant" if rank is None else f"{rank:.3f}", *means)
    console.print(table)
    apart = Table("picture", *pair, title="IDS furthest apart")
    for image, first, second in found.apart:
        apart.add_row(escape(image), f"{first:.2f}", f"{second:.2f}")
    console.print(apart)
    path = out or folder.folder / "compare" / "comparison.json"
    files.write_json(path, {"estimators": pair, **asdict(found)})
    console.print(f"written: {path}", soft_wrap=True, markup=False)
