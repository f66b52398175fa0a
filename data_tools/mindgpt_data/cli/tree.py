"""``mindgpt data tree``: build, expand, import, look at and export label trees."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mindgpt_data.cli.options import ConfigOption, OverridesArgument, show_progress_line

if TYPE_CHECKING:
    from mindgpt_data.tree.model import Tree

HELP = """Label trees: what questions are about (knowledge) and what answering takes (capability), three levels each.

A tree is data: YAML, JSON, CSV, indented text, a folder with a file per domain, or the Parquet file these commands
write; each is accepted as `tree.knowledge=FILE`. Without a file the shipped seeds are meant.

mindgpt data tree show --depth 2
mindgpt data tree import topics.csv --out tree.parquet
mindgpt data tree expand tree.parquet --under automotive --config data.yaml --out big.parquet
"""


class Dimension(StrEnum):
    """The two trees."""

    knowledge = "knowledge"
    capability = "capability"


FileArgument = Annotated[Path | None, typer.Argument(metavar="[TREE]", help="A tree; default: the shipped seeds.")]
DimensionOption = Annotated[Dimension, typer.Option("--dimension", "-d", help="Which of the two trees.")]
OutOption = Annotated[Path, typer.Option("--out", "-o", help=".parquet, .yaml, .json or .csv")]


def add(app: typer.Typer) -> None:
    """Add the verb."""
    made = typer.Typer(no_args_is_help=True, help=HELP)
    for name, command in (("build", build), ("expand", expand), ("show", show), ("stats", stats)):
        made.command(name)(command)
    made.command("import")(import_)
    made.command("export")(export)
    app.add_typer(made, name="tree")


def build(
    files: Annotated[list[Path] | None, typer.Argument(metavar="[TREE]...", help="Trees to put together.")] = None,
    out: OutOption = Path("tree.parquet"),
    dimension: DimensionOption = Dimension.knowledge,
    seeds: Annotated[bool, typer.Option(help="Put the shipped seeds first; off when files are given.")] = False,
) -> None:
    """Check trees and compile them into one file. Example: mindgpt data tree build --seeds farm.yaml -o tree.parquet.

    Each file brings its own level-1 nodes. Orphans, cycles, duplicates and labels without leaves are refused.
    """
    from mindgpt_data.tree.files import SEEDS, merge_trees

    parts = [*([SEEDS[dimension.value]] if seeds or not files else []), *(files or [])]
    _save(merge_trees(dimension.value, parts), out)


def import_(
    file: Annotated[Path, typer.Argument(help="Your tree: .csv, .json, .yaml or indented .txt")],
    out: OutOption = Path("tree.parquet"),
    dimension: DimensionOption = Dimension.knowledge,
    unfinished: Annotated[bool, typer.Option(help="Accept labels without leaves, to be expanded next.")] = False,
) -> None:
    """Read your own tree. CSV: l1,l2,l3[,definition,exclusions,exemplars,density], a line per leaf; text: indented.

    Every complaint names the line. Example: mindgpt data tree import topics.txt -o tree.parquet
    """
    from mindgpt_data.tree.files import merge_trees

    _save(merge_trees(dimension.value, [file], whole=not unfinished), out)


def export(
    file: FileArgument = None,
    out: OutOption = Path("tree.yaml"),
    dimension: DimensionOption = Dimension.knowledge,
) -> None:
    """Write a tree for people or programs; every format loads again. Example: mindgpt data tree export -o t.csv."""
    _save(_load(file, dimension), out)


def expand(
    file: Annotated[Path | None, typer.Argument(metavar="[TREE]", help="Default: the shipped seeds.")] = None,
    overrides: OverridesArgument = None,
    config: ConfigOption = None,
    out: OutOption = Path("tree.parquet"),
    under: Annotated[list[str] | None, typer.Option("--under", help="Only below this label; repeatable.")] = None,
    levels: Annotated[str, typer.Option("--levels", help="3: leaves; 2,3: level 2 and then its leaves.")] = "3",
    cap: Annotated[int | None, typer.Option("--cap", min=1, help="Children per label, tree.expand.cap.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what the first round will take.")] = False,
    dimension: DimensionOption = Dimension.knowledge,
) -> None:
    """Let a teacher grow a tree: mindgpt data tree expand seeds.yaml --under food --config data.yaml -o big.parquet.

    endpoints.teacher proposes, endpoints.judge checks; keys of tree.expand set thresholds. Beside OUT lie
    OUT.answers.sqlite (answers that were paid for: run the same command again after a kill) and OUT.drops.jsonl
    (every proposal that was not taken, and why). To add a domain later, use the same OUT and a longer seed tree:
    nothing else changes.
    """
    from mindgpt_data.cli.generate import show_estimate
    from mindgpt_data.cli.options import resolve_settings
    from mindgpt_data.tree.files import load_tree
    from mindgpt_data.tree.growing import estimate_first_round, grow_tree
    from mindgpt_data.tree.model import TreeError
    from mindgpt_plugins.core.console import make_console
    from mindgpt_plugins.core.files import write_jsonl

    console = make_console()
    if file is not None and not file.exists() and "=" in str(file):  # KEY=VALUE without a tree
        file, overrides = None, [str(file), *(overrides or [])]
    if file is not None and file.resolve() == out.resolve():
        raise TreeError(f"--out must be another file than the tree it grows from ({file}): a killed run starts from it")
    if not levels.replace(",", "").isdigit():
        raise TreeError(f"--levels {levels}: give 3, or 2,3")
    wanted = [int(level) for level in levels.split(",")]
    more = [f"tree.expand.cap={cap}"] if cap else []
    given = resolve_settings(config, [*(overrides or []), *more], images={"path": "."})  # pictures are not needed here
    tree = load_tree(dimension.value, file, whole=False)
    console.print(f"first of at most {given.tree.expand.rounds} rounds, without the critic:")
    show_estimate(console, estimate_first_round(tree, given, under=under or (), levels=wanted))
    if dry_run:
        console.print("nothing was sent")
        return
    with show_progress_line("tree") as progress:
        store = out.with_name(f"{out.name}.answers.sqlite")
        grown = grow_tree(tree, given, store, under=under or (), levels=wanted, progress=progress)
    write_jsonl(out.with_name(f"{out.name}.drops.jsonl"), (vars(drop) for drop in grown.drops))
    _save(grown.tree, out)
    counts = grown.summary
    console.print(f"{counts['accepted']} new labels of {counts['proposed']} proposed in {counts['requests']} requests")
    if counts["failed"]:
        console.print(f"[yellow]{counts['failed']} requests failed: run the same command again to retry only them")
    for reason, number in counts["dropped"].most_common():
        console.print(f"  {number:6d}  {reason}", markup=False)


def show(
    file: FileArgument = None,
    depth: Annotated[int, typer.Option("--depth", min=1, max=3, help="Levels to print.")] = 2,
    under: Annotated[str | None, typer.Option("--under", help="Only below this label.")] = None,
    search: Annotated[str | None, typer.Option("--search", help="Only labels whose text contains this.")] = None,
    dimension: DimensionOption = Dimension.knowledge,
) -> None:
    """Print a tree. Example: mindgpt data tree show --under automotive --depth 3, or --search brake."""
    from mindgpt_data.tree.printing import render_rich_tree
    from mindgpt_plugins.core.console import make_console

    # Ids are longer than a narrow terminal; a pipe gets whole lines.
    console = make_console(width=None if make_console().is_terminal else 200)
    console.print(render_rich_tree(_load(file, dimension), depth, under, search))


def stats(
    file: FileArgument = None,
    rows: Annotated[Path | None, typer.Option("--rows", help="Rows to measure coverage by, e.g. kept.jsonl.")] = None,
    embedder_: Annotated[str, typer.Option("--embedder", help="static, or a local model's folder.")] = "static",
    similarity: Annotated[float, typer.Option("--similarity", help="Cosine from which siblings overlap.")] = 0.88,
    dimension: DimensionOption = Dimension.knowledge,
) -> None:
    """Size, sibling overlap; with --rows, coverage and evenness. Example: mindgpt data tree stats --rows kept.jsonl."""
    from mindgpt_data.embed import load_embedder
    from mindgpt_data.tree.printing import make_domain_table
    from mindgpt_data.tree.stats import count_leaf_items, count_tree_nodes, measure_sibling_overlap
    from mindgpt_plugins.core.console import make_console

    tree, console = _load(file, dimension), make_console()
    found = count_tree_nodes(tree)
    console.print(make_domain_table(found["domains"]))
    console.print(f"level 1: {found['levels'][0]}, level 2: {found['levels'][1]}, leaves: {found['levels'][2]}")
    near = measure_sibling_overlap(tree, load_embedder(embedder_), similarity)
    console.print(f"siblings at cosine ≥ {similarity}: {near['rate']:.2%} of leaves; mean highest {near['mean']:.2f}")
    console.print(
        "closest: " + ", ".join(f"{leaf} {cosine:.2f}" for leaf, cosine in near["worst"][:4]), highlight=False
    )
    if rows is not None:
        counts = count_leaf_items(rows, dimension.value)
        cover = tree.coverage(counts)
        unknown = sum(number for leaf, number in counts.items() if leaf not in tree.row_of)
        console.print(f"covered: {cover['covered']:.1%} of leaves; normalised entropy {cover['entropy']:.3f}")
        if unknown:
            console.print(f"[yellow]{unknown} items have a label that is not in this tree")


def _load(file: Path | None, dimension: Dimension) -> Tree:
    from mindgpt_data.tree.files import load_tree

    return load_tree(dimension.value, file, whole=False)


def _save(tree: Tree, out: Path) -> None:
    from mindgpt_data.tree.exporting import write_tree

    write_tree(tree, out)
    levels = [int((tree.columns.levels == level).sum()) for level in (1, 2, 3)]
    typer.echo(f"{out}: {levels[0]} domains, {levels[1]} at level 2, {levels[2]} leaves ({tree.dimension})")
