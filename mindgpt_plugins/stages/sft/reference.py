"""Can a reference model be compared with the policy? Seen from their folders, before anything is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mindgpt_plugins.core.files import read_json


def find_reference_problem(key: str, reference: str | None, model: str) -> str | None:
    """Why the distributions of two models cannot be compared; None when they can or when one is not a local folder.

    Args:
        key: recipe key of the reference, for the message.
        reference: folder or hub id; None for the model itself.
        model: the policy's.
    """
    if reference is None or reference == model:
        return None
    mine, theirs = (_kind(Path(folder)) for folder in (model, reference))
    if mine is None or theirs is None:
        return None
    if mine["architecture"] != theirs["architecture"]:
        return f"{key}: {reference} is {theirs['architecture']}, the model {mine['architecture']}; name one of its kind"
    if mine["vocabulary"] and theirs["vocabulary"] and mine["vocabulary"] != theirs["vocabulary"]:
        return f"{key}: {reference} has another tokenizer than the model, so their distributions are over other tokens"
    return None


def _kind(folder: Path) -> dict[str, Any] | None:
    if not (folder / "config.json").is_file():  # a hub id, or made by a stage that has not run yet
        return None
    config = read_json(folder / "config.json")
    tokenizer = folder / "tokenizer.json"
    loaded = read_json(tokenizer) if tokenizer.is_file() else {}
    return {"architecture": config.get("model_type"), "vocabulary": loaded.get("model", {}).get("vocab")}
