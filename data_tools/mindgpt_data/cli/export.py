"""``mindgpt data export``."""

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
    app.command("export")(export)


def export(
    overrides: OverridesArgument = None,
    work: WorkOption = Path("work"),
    config: ConfigOption = None,
    seed: SeedOption = 0,
) -> None:
    r"""Write what the trainers load: a datasets folder with sharegpt JSON, verl parquet and, if asked, a HF folder.

    Reads kept.jsonl, writes datasets/ with the sets NAME_train, NAME_dev, NAME_test, NAME_pairs (preferences, when the
    agreement gate saw right and wrong replies) and images/ (each picture once).
    No picture, group of pictures or pair of adversarial twins is in two sets; which set it is in depends on its content
    alone, so that adding pictures later moves none. Splits that the corpus fixes are kept.

    Example: mindgpt data export export.name=signs export.dev=0.05 'export.formats=\[sharegpt,hf]' --config data.yaml

    Then, in LLaMA-Factory: dataset_dir: work/datasets, media_dir: work/datasets, dataset: signs_train; in verl:
    data.train_files=work/datasets/signs_train.parquet
    """
    from rich.table import Table

    from mindgpt_data.io.work import Work
    from mindgpt_data.steps.export import run
    from mindgpt_plugins.core.console import make_console

    found, folder = resolve_settings(config, overrides), Work(work)
    with folder.lock(), show_progress_line("export") as progress:
        summary = run(folder, found, seed=seed, progress=progress)
    table = Table("set", "items", "images", title="Datasets")
    for name, counts in summary["sets"].items():
        table.add_row(name, str(counts["items"]), str(counts["images"]))
    console = make_console()
    console.print(table)
    for reason, count in summary["dropped"].items():
        console.print(f"left out: {count} × {reason}", markup=False)
    print(f"written: {folder.datasets}")
