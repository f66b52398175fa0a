"""Expansion with real model servers: the teacher proposes, the judge checks, every answer is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mindgpt_data.client.request import Done, Failed, Task
from mindgpt_data.client.run import ask_all
from mindgpt_data.client.spend import Estimate, estimate_spend
from mindgpt_data.io.progress import Progress, ignore_update
from mindgpt_data.schema.config import DataSettings
from mindgpt_data.tree.expand import Ask, Expansion, expand_tree
from mindgpt_data.tree.model import Tree


def grow_tree(
    tree: Tree,
    settings: DataSettings,
    store: Path,
    *,
    under: Sequence[str] = (),
    levels: Sequence[int] = (3,),
    progress: Progress = ignore_update,
) -> Expansion:
    """Grow a tree with the endpoints of ``settings``.

    Args:
        tree: where to start; the same tree, settings and store give the same result without a request.
        settings: ``endpoints.teacher``, ``endpoints.judge`` (default: the teacher) and ``tree.expand``.
        store: SQLite file of answers.
        under: see :func:`mindgpt_data.tree.expand.expand_tree`.
        levels: likewise.
        progress: told about requests.

    Raises:
        TreeError: an unknown label or level.
        ValueError: no teacher is configured.
        EndpointError: no request can succeed.
    """

    def asking(role: str) -> Ask:
        endpoints = settings.endpoints_for(role)
        step = f"tree {tree.dimension} {role}"
        return lambda tasks, total: ask_all(
            tasks, step=step, store=store, endpoints=endpoints, progress=progress, total=total
        )

    wanted, teacher = settings.tree.expand, asking("teacher")
    return expand_tree(tree, wanted, teacher, asking("judge") if wanted.critic else None, under=under, levels=levels)


def estimate_first_round(
    tree: Tree, settings: DataSettings, *, under: Sequence[str] = (), levels: Sequence[int] = (3,)
) -> Estimate:
    """What the first proposals for every node that is there will take; sends nothing.

    There are at most ``tree.expand.rounds`` of these per node, each followed by a shorter request to the critic.
    """
    endpoints = settings.endpoints_for("teacher")
    found: list[Task[Any]] = []
    expand_tree(tree, settings.tree.expand, _listening(found.extend), under=under, levels=levels)
    return estimate_spend(found, len(found), endpoints)


def _listening(note: Callable[[Sequence[Task[Any]]], None]) -> Ask:
    def ask(tasks: Iterable[Task[Any]], total: int) -> Iterator[Done[Any] | Failed]:
        listed = list(tasks)
        note(listed)
        return iter([Failed(task.key, "not asked", 0) for task in listed])

    return ask
