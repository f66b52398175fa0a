"""``mindgpt data preview``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mindgpt_data.cli.options import ConfigOption, OverridesArgument, SeedOption, WorkOption, resolve_settings

if TYPE_CHECKING:
    from rich.console import Console

    from mindgpt_data.steps.preview import Shown


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("preview")(preview)


def preview(
    number: Annotated[int, typer.Argument(metavar="N", min=1, help="How many images.")] = 5,
    overrides: OverridesArgument = None,
    work: WorkOption = Path("work"),
    config: ConfigOption = None,
    seed: SeedOption = 0,
    ask: Annotated[
        bool, typer.Option("--ask", help="Really ask the model about these; generate will not pay for them again.")
    ] = False,
) -> None:
    """Show what generation would ask about N images, spread over the density range, before spending anything.

    For each: the sub-scores, the topics, which capability, topic, type and difficulty each QA will have, and the exact
    prompt. The same with pictures is written to preview.html in the work folder. Needs images, density, match, budget.

    Example: mindgpt data preview 5 --config data.yaml --ask
    """
    from mindgpt_data.io.work import Work
    from mindgpt_data.steps import preview as previewing
    from mindgpt_plugins.core.console import make_console

    folder, console = Work(work), make_console(highlight=False)
    shown = previewing.preview_generation(folder, resolve_settings(config, overrides), number, seed=seed, ask=ask)
    for one in shown:
        _print(console, one)
    path = folder.folder / "preview.html"
    previewing.write_preview_page(shown, path)
    console.print(f"written: {path}" + ("" if ask else " (nothing was sent)"), markup=False)


def _print(console: Console, one: Shown) -> None:
    from rich.markup import escape
    from rich.panel import Panel

    job = one.job
    scores = "  ".join(f"{name} {value:.1f}" for name, value in job.sub_scores.items())
    lines = [f"ids {job.ids:.2f}  {scores}  →  {job.items} QA", ""]
    lines += [f"topic {topic.path} ({job.evidence[topic.leaf]})" for topic in job.topics] or ["no topic"]
    for slot in job.slots:
        about = slot.knowledge or "no topic"
        lines.append(f"slot {slot.number + 1}: {slot.capability}, {about}, {slot.type}, difficulty {slot.level}")
    lines += [f"Q {c.question}  A {c.answer}  ({c.capability})" for c in one.candidates]
    lines += [f"refused: {problem}" for problem in one.problems]
    for role, text in one.messages:
        lines += ["", f"── {role}", text]
    console.print(Panel(escape("\n".join(lines)), title=escape(job.record.image), title_align="left"))
