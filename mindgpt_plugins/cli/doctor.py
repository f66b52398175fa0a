"""``mindgpt doctor``: is this machine able to run what a recipe asks for, and do the hosts really load us?"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from mindgpt_plugins.core.console import make_console


def add(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("doctor")(doctor)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Versions, plugins and seams only; starts no host.")] = False,
) -> None:
    """Check versions, plugin loading in verl (a fresh process and a Ray worker), LLaMA-Factory seams and patches.

    Exits with status 1 when something is wrong; every line that is not fine says what to do.
    """
    import json

    from mindgpt_plugins.workbench import doctor as diagnosis

    findings = diagnosis.diagnose_installation(quick=quick)
    if as_json:
        typer.echo(json.dumps({"version": 1, "findings": [finding.as_dict() for finding in findings]}, indent=2))
    else:
        table = Table("check", "state", "detail")
        colours = {"ok": "green", "trouble": "bold red", "not needed": "dim", "not installed": "yellow"}
        for finding in findings:
            state = f"[{colours.get(finding.state, 'cyan')}]{finding.state}[/]"
            table.add_row(escape(finding.check), state, escape(finding.detail))
        make_console().print(table)
    if any(finding.state == "trouble" for finding in findings):
        raise SystemExit(1)
