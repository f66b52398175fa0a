"""Where the config, tokenizer and processor of a recipe's models are on this machine; weights are not needed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from mindgpt_plugins.recipe.schema import Recipe
from mindgpt_plugins.workbench.rehearse.checks import run_check_process
from mindgpt_plugins.workbench.rehearse.shrink import ShrinkError, Shrunk, shrink_model

_NEEDED = ("config.json", "tokenizer_config.json")


class ModelNotHere(ValueError):
    """A model's config and tokenizer are not on this machine; the message names each one and the fix."""


def list_outside_models(recipe: Recipe) -> list[str]:
    """Model references that are no stages: hub ids and folders, in order of first use."""
    found = [
        value
        for config in recipe.stages.values()
        for to, value in config.references()
        if to == "model" and value not in recipe.stages
    ]
    return list(dict.fromkeys(found))


def find_model_folders(recipe: Recipe, given: Mapping[str, Path]) -> dict[str, Path]:
    """Model reference → folder with its config, tokenizer and processor.

    Args:
        recipe: whose models are looked for.
        given: ``--model`` options, hub id or folder of the recipe → folder.

    Raises:
        ModelNotHere: naming every model that is neither given, nor a folder, nor in the local Hugging Face cache.
    """
    wanted = list_outside_models(recipe)
    if unknown := [reference for reference in given if reference not in wanted]:
        raise ModelNotHere(
            f"--model {unknown[0]}=…: the recipe uses no such model; it uses: {', '.join(wanted) or 'its own stages'}"
        )
    found, lines = {}, []
    for reference in wanted:
        folder = given.get(reference) or _folder(recipe, reference) or _cached(reference)
        if folder is None:
            lines.append(
                f"model {reference}: neither a folder nor in the local Hugging Face cache ({_hub()}). Its small files "
                f"are enough: hf download {reference} --include '*.json' '*.jinja' '*.txt' --local-dir FOLDER, then "
                f"--model {reference}=FOLDER"
            )
        elif missing := [name for name in _NEEDED if not (folder / name).is_file()]:
            lines.append(f"model {reference}: {folder} has no {' and no '.join(missing)}")
        else:
            found[reference] = folder.resolve()
    if lines:
        raise ModelNotHere("\n".join(lines))
    return found


def locate_model_copy(reference: str, folder: Path) -> Path:
    """Where the shrunken copy of a model lies under the rehearsal's folder; one folder per reference."""
    name = "".join(c if c.isalnum() or c in "-_." else "_" for c in reference.strip("./"))
    return folder / "models" / f"{name}-{hashlib.sha256(reference.encode()).hexdigest()[:6]}"


def _folder(recipe: Recipe, reference: str) -> Path | None:
    path = recipe.folder / Path(reference).expanduser()
    return path if path.is_dir() else None


def _hub() -> Path:
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    return Path(os.environ.get("HF_HUB_CACHE", home / "hub"))


def _cached(reference: str) -> Path | None:
    """Newest snapshot of a hub id that has a config."""
    snapshots = _hub() / f"models--{reference.replace('/', '--')}" / "snapshots"
    whole = [path.parent for path in snapshots.glob("*/config.json")]
    return max(whole, key=lambda path: path.stat().st_mtime, default=None)


def make_model_copy(source: Path, target: Path) -> Shrunk:
    """:func:`~mindgpt_plugins.workbench.rehearse.shrink.shrink_model` in a process like a stage's.

    The command line's own may be unable to import the model: CPU wheels need what stages get in their environment.

    Raises:
        ShrinkError: as there, or transformers could not make the copy.
    """
    status, said = run_check_process(["-m", "mindgpt_plugins.workbench.rehearse.shrink", str(source), str(target)])
    if status not in (0, 1) or "Traceback" in said:
        raise ShrinkError(f"{source}: no copy could be made: {said.strip().splitlines()[-1]}")
    return shrink_model(source, target)  # finds it, or says why there is none
