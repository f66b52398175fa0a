"""The one way to a terminal: text that comes from users, files and servers is shown as it is."""

from __future__ import annotations

from typing import Any

from rich.console import Console


def make_console(*, stderr: bool = False, **options: Any) -> Console:
    """A console that turns no ``:x:`` of a path into a sign.

    Markup (``[bold]``) stays on for our own words; text of others is printed with ``markup=False`` or escaped.

    Args:
        stderr: whether to write to the standard error.
        options: of :class:`rich.console.Console`.
    """
    return Console(stderr=stderr, emoji=False, **options)


def print_error(text: str) -> None:
    """Print what went wrong on the standard error, as it is, ``error:`` in front."""
    console = make_console(stderr=True, soft_wrap=True, highlight=False)
    console.print("error", style="bold red", end=": ")
    console.print(text, markup=False)
