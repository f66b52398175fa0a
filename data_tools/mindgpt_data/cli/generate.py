"""``mindgpt data generate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mindgpt_data.cli.options import (
    ConfigOption,
    OverridesArgument,
    SeedOption,
    WorkOption,
    resolve_settings,
    show_progress_line,
)

if TYPE_CHECKING:
    from rich.console import Console

    from mindgpt_data.client.spend import Estimate


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("generate")(generate)


def generate(
    overrides: OverridesArgument = None,
    work: WorkOption = Path("work"),
    config: ConfigOption = None,
    seed: SeedOption = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the estimate and send nothing.")] = False,
    batch_out: Annotated[
        Path | None, typer.Option("--batch-out", help="Write the requests as OpenAI Batch JSONL here; send nothing.")
    ] = None,
    batch_in: Annotated[
        Path | None, typer.Option("--batch-in", help="Read answers (*.jsonl there, or one file) into the store first.")
    ] = None,
) -> None:
    """Have a teacher write the budgeted question-answer pairs.

    Teacher annotations writes them from the corpus' own objects, texts and captions (exact, free); teacher endpoint
    asks the OpenAI-compatible server at endpoints.teacher, one request per image, in structured output. Answers are
    stored as they come: a killed run goes on where it stopped and pays for nothing twice. Writes candidates.jsonl.

    Example: mindgpt data generate generate.teacher=endpoint --config data.yaml --dry-run

    Offline: --batch-out batch, then `vllm run-batch -i batch/generate-00000.jsonl -o batch/answers/0.jsonl --model …`,
    then --batch-in batch/answers.
    """
    from mindgpt_data.io.work import Work
    from mindgpt_data.steps import generate as step
    from mindgpt_plugins.core.console import make_console

    found, folder, console = resolve_settings(config, overrides), Work(work), make_console(highlight=False)
    if batch_out is not None:
        paths = step.export_batch(folder, found, batch_out, seed=seed)
        for path in paths:
            console.print(f"written: {path}", markup=False)
        if not paths:
            console.print("every request already has its answer in the store")
        return
    if batch_in is not None:
        files = sorted(batch_in.glob("*.jsonl")) if batch_in.is_dir() else [batch_in]
        home = batch_in if (batch_in / "generate.tasks.jsonl").is_file() else batch_in.parent
        files = [file for file in files if not file.name.startswith("generate")]
        got = step.import_batch(folder, found, files, home)
        console.print(
            f"read {got.done} answers ({got.failed} failed, {got.known} known, {got.missing} missing, "
            f"{len(got.unknown)} unknown)"
        )
    expected = step.estimate_first_requests(folder, found, seed=seed)
    if expected is not None:
        show_estimate(console, expected)
    if dry_run:
        console.print("nothing was sent")
        return
    with show_progress_line("generate") as progress:
        summary = step.run(folder, found, seed=seed, progress=progress)
    console.print(f"[bold]{summary['items']}[/] of {summary['asked']} QA about {summary['images']} images")
    for line in summary.get("usage", []):
        console.print(
            f"  {line['model']}: {line['prompt_tokens']} + {line['completion_tokens']} tokens, cost {line['cost']:.4f}"
        )
    for reason, number in summary["dropped"].items():
        console.print(f"  {number:>5}  {reason}", markup=False)
    console.print(f"written: {folder.candidates}", markup=False)


def show_estimate(console: Console, expected: Estimate) -> None:
    """What the first round takes, in one line."""
    minutes = expected.seconds / 60
    console.print(
        f"estimate: {expected.requests} requests, {expected.prompt_tokens} + {expected.completion_tokens} tokens, "
        f"cost {expected.cost:.2f}, {minutes:.1f} minutes at 5 s per answer (answers in the store are free)"
    )
