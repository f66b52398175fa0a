"""Arguments several verbs share, and how settings are put together from a file and ``KEY=VALUE``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mindgpt_data.io.progress import Progress
    from mindgpt_data.schema.config import DataSettings

WorkOption = Annotated[
    Path, typer.Option("--work", envvar="MINDGPT_DATA_WORK", help="Work folder: every step's plain files.")
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", exists=True, dir_okay=False, help="YAML of data settings, or a recipe with a data stage."),
]
OverridesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Settings with dotted keys, e.g. budget.items=500."),
]
SeedOption = Annotated[int, typer.Option("--seed", help="The only source of chance.")]


def resolve_settings(config: Path | None, overrides: list[str] | None, **given: Any) -> DataSettings:
    """Settings from ``--config``, then ``KEY=VALUE``, then values the verb was given itself.

    Args:
        config: YAML with the keys of :class:`~mindgpt_data.schema.config.DataSettings`, or a recipe with one ``data``
            stage.
        overrides: ``dotted.key=value``.
        given: top-level sections the verb sets, e.g. ``images={"path": "photos"}``; ``None`` values are left out.

    Raises:
        SettingsError: unreadable, or a key or value that does not fit; every problem is named.
    """
    from mindgpt_data.steps.settings import load_data_settings

    return load_data_settings(
        config, overrides or [], {key: value for key, value in given.items() if value is not None}
    )


@contextmanager
def show_progress_line(verb: str) -> Iterator[Progress]:
    """A live line with done, failed, rate, cost and time left; plain lines when the output is no terminal."""
    from mindgpt_data.cli.display import show_updates

    with show_updates(verb) as listener:
        yield listener
