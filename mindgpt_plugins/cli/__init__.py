"""The ``mindgpt`` command: one file per verb."""

from __future__ import annotations

import os
import sys

import typer

app = typer.Typer(
    name="mindgpt",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Multimodal post-training in the spirit of MindGPT-4ov on unmodified verl and LLaMA-Factory. "
    "Start with: mindgpt run quickstart",
)


def build_cli_app() -> typer.Typer:
    """The command with every verb."""
    from mindgpt_data import cli as data

    from mindgpt_plugins.cli import (
        doctor,
        evaluate,
        explain,
        keys,
        listing,
        model,
        new_reward,
        plan,
        quantise,
        rehearse,
        report,
        rewards,
        run,
        serve,
        validate,
    )

    if not app.registered_commands:
        for verb in (
            run,
            validate,
            rehearse,
            plan,
            doctor,
            keys,
            listing,
            model,
            report,
            new_reward,
            rewards,
            explain,
            quantise,
            serve,
            evaluate,
        ):
            verb.add(app)
        app.add_typer(data.build_data_app())
        app.command(
            "llamafactory", help="Run LLaMA-Factory on your own YAML with an extra mindgpt: section: … train x.yaml."
        )(lambda: None)
    return app


def main() -> None:
    """Console entry point: runs a verb in a process of its own, under a guard that leaves no process of it behind."""
    from mindgpt_plugins.core import guard

    guard.continue_under_guard()
    guard.exit_on_signals()
    run_verb()


def run_verb() -> None:
    """Run the verb of the command line; an expected fault is one clear message and a non-zero exit."""
    from mindgpt_plugins.cli import llamafactory
    from mindgpt_plugins.core.console import print_error
    from mindgpt_plugins.core.errors import StageError
    from mindgpt_plugins.core.os_errors import describe_os_error, find_first_cause
    from mindgpt_plugins.core.registry import PluginError

    if sys.argv[1:2] == ["llamafactory"]:  # its arguments belong to the host: hand them over untouched
        llamafactory.main(sys.argv[2:])
        return
    try:
        build_cli_app()()
    except (ValueError, StageError, PluginError, OSError, RuntimeError) as raised:
        if os.environ.get("MINDGPT_TRACEBACK"):
            raise
        error = find_first_cause(raised)
        print_error(describe_os_error(error) if isinstance(error, OSError) else str(error))
        if error is not raised:
            print_error(f"and then, while that was handled: {describe_os_error(raised)}")  # type: ignore[arg-type]
        if type(error) in (ValueError, RuntimeError):  # not one of ours: perhaps a bug
            print("MINDGPT_TRACEBACK=1 shows where it came from", file=sys.stderr)
        raise SystemExit(2 if isinstance(error, (ValueError, PluginError)) else 1) from None
