"""What becomes of stages that make data: few pictures, and a model server that costs nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from mindgpt_plugins.workbench.rehearse.draft import Draft

PICTURES, ITEMS = 24, 40
STUB = "what the model servers answer: a server on this machine that follows the asked-for form answers in their place"


def world(draft: Draft) -> None:
    """Few pictures per source."""
    for name, one in draft.get("sets").items():
        for source, scenes in one["sources"].items():
            place = f"sets.{name}.sources.{source}"
            ratio = scenes["items"] / scenes["images"] if scenes["items"] is not None else None
            draft.most(f"{place}.images", PICTURES)
            if ratio is not None:
                draft.most(f"{place}.items", max(PICTURES, min(ITEMS, round(ratio * PICTURES))))


def data(draft: Draft, server: str | None) -> None:
    """Few questions, and another server where one is asked.

    Args:
        draft: of the stage, its pictures already few (see :func:`few_pictures`).
        server: base URL that takes the servers' place; None: they are asked themselves.
    """
    from mindgpt_data.steps.check import GATES_NEED_A_MODEL

    draft.most("budget.items", ITEMS)
    if server is None or not any(draft.get("endpoints").values()):
        return
    for role, servers in draft.get("endpoints").items():
        draft.set(f"endpoints.{role}", [stood_in(one, server) for one in servers], "stand-in", STUB)
    gates = [gate for gate in draft.get("filter.gates") if gate["name"] not in GATES_NEED_A_MODEL]
    if gates != draft.get("filter.gates"):
        draft.set(
            "filter.gates", gates, "stand-in", "the gates that ask a model: one that knows nothing drops every row"
        )


def judges(draft: Draft, server: str | None) -> None:
    """Rewards that ask a server get the other one."""
    if server is None:
        return
    for name, one in draft.get("rewards").items():
        servers = one["options"].get("endpoints")
        if servers:
            place = f"rewards.{name}.options.endpoints"
            draft.set(place, [stood_in(dict(each), server) for each in servers], "stand-in", STUB)


def asks(settings: dict[str, Any]) -> bool:
    """Does a stage, given as plain settings, ask a model server?"""
    if settings["kind"] == "data":
        return any(settings["endpoints"].values())
    return any(one["options"].get("endpoints") for one in (settings.get("rewards") or {}).values())


def stood_in(endpoint: dict[str, Any], server: str) -> dict[str, Any]:
    """An endpoint's settings with another address and without a key."""
    return {**endpoint, "base_url": server, "api_key_env": None}


def few_pictures(source: Path, target: Path) -> Path:
    """Link the first pictures of a folder or a ``.jsonl`` manifest into another folder; what to name in its place.

    A COCO file is left as it is: its annotations refer to each other.
    """
    if source.is_dir():
        from mindgpt_data.corpus.folder import SUFFIXES

        paths = [path for path in sorted(source.rglob("*")) if path.suffix.lower() in SUFFIXES][:PICTURES]
        for path in paths:
            _link(path, target / path.relative_to(source))
        return target
    if source.suffix != ".jsonl":
        return source
    lines = [line for line in source.read_text(encoding="utf-8").split("\n") if line.strip()][:PICTURES]
    for line in lines:
        named = json.loads(line).get("image") or []
        for image in [named] if isinstance(named, str) else named:
            if not os.path.isabs(image) and (source.parent / image).is_file():
                _link(source.parent / image, target / image)
    target.mkdir(parents=True, exist_ok=True)
    (target / source.name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return target / source.name


def _link(path: Path, link: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.exists():
        link.symlink_to(path.resolve())
