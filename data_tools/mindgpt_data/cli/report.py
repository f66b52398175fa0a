"""``mindgpt data report``: the page of a work folder."""

from __future__ import annotations

from pathlib import Path

import typer

from mindgpt_data.cli.options import ConfigOption, OverridesArgument, SeedOption, WorkOption


def add(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command()
    def report(
        overrides: OverridesArgument = None,
        work: WorkOption = Path("work"),
        config: ConfigOption = None,
        seed: SeedOption = 0,
    ) -> None:
        """Write report.html and report.json: label tree, density, budget, gates, look-alikes, answers, cost, items.

        One file that opens without a server or a network, at any time: steps that have not run are marked. Give the
        run's --config (or tree.knowledge=FILE) when it used its own label tree.

        Example: mindgpt data report --work work/
        """
        from mindgpt_data.cli.options import resolve_settings
        from mindgpt_data.io.work import Work
        from mindgpt_data.steps.report import run
        from mindgpt_plugins.core.console import make_console

        # Where the pictures came from is in images.jsonl: without a config, any path will do.
        resolved = resolve_settings(config, overrides, images=None if config else {"path": str(work)})
        made = run(Work(work), resolved, seed=seed)
        console = make_console()
        console.print(f"report → {made['page']} ({made['bytes'] / 1e6:.1f} MB, {made['seconds']:.1f} s)", markup=False)
        if made["missing"]:
            console.print(f"  not run yet: {', '.join(made['missing'])}")
