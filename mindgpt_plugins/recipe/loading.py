"""From a YAML file and ``key=value`` overrides to a validated :class:`Recipe`, or one list of everything wrong."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar, get_args

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError
from yaml import YAMLError

from mindgpt_plugins.core.errors import InputError
from mindgpt_plugins.core.names import LONGEST_NAME, ROOM, find_name_problem, find_path_problem, shorten_text
from mindgpt_plugins.core.overrides import apply_overrides, describe_errors, resolve_settings, shorten_error
from mindgpt_plugins.core.registry import (
    PluginError,
    RegistryError,
    get_registered,
    hint_nearest,
    list_registered_names,
    load_plugins,
)
from mindgpt_plugins.core.schema import OUTSIDE, StageConfig
from mindgpt_plugins.core.yaml_limits import read_yaml_mapping
from mindgpt_plugins.recipe.schema import Recipe, RecipeHead
from mindgpt_plugins.recipe.values import find_value_problems

MOST_PARENTS = 16
"""Recipes that may extend one another, one behind the other."""
_BESIDE_HEAD = ("stages", "extends")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
Config = TypeVar("Config", bound=StageConfig)


class RecipeError(ValueError):
    """The recipe is wrong; ``problems`` holds one line per fault, each with its place and fix."""

    def __init__(self, source: str, problems: Sequence[str]):
        self.problems = list(problems)
        super().__init__("\n".join(f"{source}: {problem}" for problem in self.problems))


def find_recipe(name: str) -> Path:
    """Resolve a recipe argument: a file, or the name of a recipe that ships with the package.

    Raises:
        RecipeError: neither exists; the message lists the shipped names.
    """
    if os.path.isfile(path := os.path.expanduser(name)):  # not Path.is_file(), which raises for a name too long
        return Path(path).resolve()
    shipped = list_shipped_recipes()
    if name in shipped:
        return shipped[name]
    raise RecipeError(
        shorten_text(name),
        [f"no such recipe file{hint_nearest(name, shipped) or '.'} Shipped recipes: {', '.join(shipped) or 'none'}."],
    )


def list_shipped_recipes() -> dict[str, Path]:
    """Name (``quickstart``, ``sft/qwen3_vl_4b``) → path of every recipe in the package or the source checkout."""
    package = Path(str(resources.files("mindgpt_plugins")))
    for folder in (package / "recipes", package.parent / "recipes"):
        if folder.is_dir():
            return {str(path.relative_to(folder).with_suffix("")): path for path in sorted(folder.rglob("*.yaml"))}
    return {}


def load_recipe(name: str, overrides: Sequence[str] = ()) -> Recipe:
    """Load, merge, override, import plugins and validate.

    Args:
        name: Recipe file or shipped name.
        overrides: ``key=value`` strings with dotted keys, e.g. ``stages.rl.steps=50``.

    Raises:
        RecipeError: with every problem found, not just the first.
    """
    path = find_recipe(name)
    tree = _merge_extended(path, seen=())
    try:
        merged = apply_overrides(tree, overrides)
    except ValueError as error:
        raise RecipeError("command line", [str(error)]) from None
    try:
        data = resolve_settings(merged)
    except ValueError as error:
        raise RecipeError(str(path), str(error).splitlines()) from None
    return validate_recipe(data, path)


def find_stage(recipe: Recipe, schema: type[Config], name: str | None = None) -> Config:
    """Find the stage of a kind that a command is about.

    Args:
        recipe: a validated recipe.
        schema: the kind's settings, e.g. ``RLConfig``.
        name: of the stage; None: the only one of the kind.

    Raises:
        RecipeError: no such stage, or several to choose from; the message lists them.
    """
    stages = {key: config for key, config in recipe.stages.items() if isinstance(config, schema)}
    if name is None and len(stages) == 1:
        name = next(iter(stages))
    if name not in stages:
        (kind,) = get_args(schema.model_fields["kind"].annotation)
        known = ", ".join(stages) or f"none, it has no {kind} stage"
        raise RecipeError(str(recipe.path), [f"which {kind} stage? Give --stage, one of: {known}"])
    return stages[name]


def validate_recipe(data: dict[str, Any], path: Path) -> Recipe:
    """Validate plain data as a recipe found at ``path``.

    Raises:
        RecipeError: with every problem found.
    """
    if odd := list(find_value_problems(data)):  # first: whatever looks at such a value may fail on it
        raise RecipeError(str(path), odd)
    stages = data.pop("stages", None)
    problems: list[str] = []
    head = None
    try:
        head = RecipeHead.model_validate(data)
    except ValidationError as error:
        problems += describe_errors(error, RecipeHead, known_extra=_BESIDE_HEAD)
    if not isinstance(stages, dict) or not stages:
        raise RecipeError(str(path), [*problems, "stages: a recipe needs a mapping of stage name → settings"])
    # Plugins are imported even when another head key is wrong, so that the kinds they bring are known below.
    listed = head.plugins if head is not None else data.get("plugins") or ()
    plugins = tuple(_absolute(p, path.parent) for p in listed if isinstance(p, str))
    try:
        load_plugins(plugins)
    except PluginError as error:
        raise RecipeError(str(path), [*problems, f"plugins: {error}"]) from error
    if head is not None:
        head = head.model_copy(update={"plugins": plugins})
    configs: dict[str, StageConfig] = {}
    for name, settings in stages.items():
        if settings is None:  # how a recipe that extends another drops a stage
            continue
        if str(name) in configs:
            problems.append(f"stages.{name}: stands there twice, as a number and as text; rename one")
        config = _stage(str(name), settings, problems)
        if config is not None:
            configs[str(name)] = config
    if all(settings is None for settings in stages.values()):
        problems.append("stages: every stage is null, so nothing is left of the recipe; it needs one at least")
    if problems or head is None:
        raise RecipeError(str(path), problems)
    recipe = Recipe.model_construct(**{k: getattr(head, k) for k in RecipeHead.model_fields}, path=path, stages=configs)
    problems = [*_launch_problems(recipe), *_reference_problems(recipe)]
    problems += [
        f"report.pictures: {value!r} is no folder (relative to {recipe.folder})"
        for value in recipe.report.pictures
        if not (recipe.folder / Path(value).expanduser()).is_dir()
    ]
    if problems:
        raise RecipeError(str(path), problems)
    return recipe


def _stage(name: str, settings: Any, problems: list[str]) -> StageConfig | None:
    place = f"stages.{shorten_text(name)}"
    if (odd := find_name_problem(name, LONGEST_NAME - ROOM)) is not None:
        problems.append(f"{place}: the name of a stage becomes that of its folder, but this one {odd}")
        return None
    if not isinstance(settings, dict) or "kind" not in settings:
        problems.append(f"{place}: needs a `kind` (one of the registered stage kinds, e.g. data, sft, rl)")
        return None
    try:
        schema = get_registered("stage", str(settings["kind"])).Config
    except (RegistryError, PluginError) as error:
        problems.append(f"{place}.kind: {error}")
        return None
    try:
        config = schema.model_validate(settings)
    except ValidationError as error:
        problems += describe_errors(error, schema, place)
        return None
    assert isinstance(config, StageConfig)
    return config


def _launch_problems(recipe: Recipe) -> Iterator[str]:
    """Sides on which no stage kind runs: of the recipe first, of every kind only where that does not settle it."""
    known = {get_registered("stage", config.kind).side for config in recipe.stages.values()}
    if set(recipe.launch) <= known:
        return
    for kind in list_registered_names("stage"):
        try:
            known.add(get_registered("stage", kind).side)
        except (RegistryError, PluginError):  # a broken package of somebody else's; `mindgpt doctor` names it
            continue
    for side in recipe.launch:
        if side not in known:
            yield (
                f"launch.{side}: no stage kind runs on that side{hint_nearest(side, sorted(known)) or '.'} "
                f"Known: {', '.join(sorted(known))}."
            )


def _reference_problems(recipe: Recipe) -> list[str]:
    problems = []
    order = list(recipe.stages)
    for position, name in enumerate(order):
        for key, to, value in recipe.stages[name].located_references():
            odd = find_path_problem(value)
            found = f"{shorten_text(value)!r} {odd}" if odd else _reference_problem(recipe, order, position, to, value)
            if found is not None:
                problems.append(f"stages.{name}.{key}: {found}")
    return problems


def _reference_problem(recipe: Recipe, order: list[str], position: int, to: str, value: str) -> str | None:
    """Why a string that names something names nothing, or ``None``.

    Args:
        recipe: with the string.
        order: names of its stages.
        position: of the stage with the string.
        to: what the string names, see :class:`~mindgpt_plugins.core.schema.Reference`.
        value: the string.
    """
    earlier = order[:position]
    head, _, last = value.rpartition("/") if to == "dataset" else (value, "", "")
    if to in OUTSIDE:
        there = (recipe.folder / Path(value).expanduser()).exists()
        return None if there else f"{value!r} does not exist (relative to {recipe.folder})"
    if to == "dataset" and (not last or value in order):
        return f"{value!r} names no set; write {value.rstrip('/')}/<set>"
    if head in earlier:
        return None
    if head in order:
        return f"refers to {head!r}, which does not come before it; reorder the stages"
    if to == "dataset":
        if (recipe.folder / head).is_dir():
            return None
        return (
            f"dataset {value!r} is neither <stage>/<set> of an earlier stage nor a set in an existing "
            f"folder{hint_nearest(head, earlier)} Earlier stages: {', '.join(earlier) or 'none'}."
        )
    if to == "branches":
        if (recipe.folder / Path(value).expanduser()).is_file():
            return None
        return (
            f"focus {value!r} is neither an earlier evaluate stage nor an existing branches.json "
            f"(relative to {recipe.folder}){hint_nearest(value, earlier)}"
        )
    if to != "model":
        return f"{value!r} must name an earlier stage{hint_nearest(head, earlier)}"
    local = recipe.folder / value
    if "/" in value and local.is_dir():
        return None
    if value.startswith((".", "/", "~")):
        return f"model folder {value!r} does not exist (relative to {recipe.folder})"
    if local.is_dir():
        return f"model {value!r} is no earlier stage; for the folder beside the recipe write './{value}'"
    if _HUB_ID.fullmatch(value):
        return None
    return f"model {value!r} is no earlier stage, no folder and no hub id (owner/name){hint_nearest(value, earlier)}"


def _merge_extended(path: Path, seen: tuple[Path, ...]) -> DictConfig:
    if path in seen:
        raise RecipeError(str(path), [f"extends: goes in a circle: {' → '.join(p.name for p in (*seen, path))}"])
    if len(seen) > MOST_PARENTS:
        raise RecipeError(str(path), [f"extends: more than {MOST_PARENTS} recipes one behind the other"])
    tree = _read_tree(path)
    parent = tree.pop("extends", None)
    if parent is None:
        return tree
    base = path.parent / str(parent)
    if not os.path.isfile(base):
        shipped = list_shipped_recipes()
        if str(parent) not in shipped:
            raise RecipeError(
                str(path),
                [f"extends: {shorten_text(str(parent))!r} is neither a file next to it nor a shipped recipe"],
            )
        base = shipped[str(parent)]
    base = base.resolve()
    _check_parent(base, path)
    try:
        merged = OmegaConf.merge(_merge_extended(base, (*seen, path)), tree)
    except OmegaConfBaseException as error:
        raise RecipeError(str(path), [f"does not fit {base.name}, which it extends: {shorten_error(error)}"]) from None
    assert isinstance(merged, DictConfig)
    return merged


def _read_tree(path: Path) -> DictConfig:
    try:
        return read_yaml_mapping(path)
    except (OmegaConfBaseException, YAMLError, UnicodeDecodeError, InputError, OSError) as error:
        raise RecipeError(str(path), [f"cannot be read as YAML: {shorten_error(error)}"]) from error


def _check_parent(base: Path, path: Path) -> None:
    """Refuse to extend a file that is no recipe without a word of its content: a recipe from elsewhere may name any.

    Raises:
        RecipeError: naming the file, and of its keys only those that are nearly a recipe's.
    """
    known = [*RecipeHead.model_fields, *_BESIDE_HEAD]
    try:
        tree = _read_tree(base)
    except RecipeError:
        tree = None
    odd = None if tree is None else [str(key) for key in tree if key not in known]
    if odd == []:
        return
    # Nearer than elsewhere: a word of the file's own must not be taken for one of them.
    near = [(key, close[0]) for key in odd or () if (close := difflib.get_close_matches(key, known, n=1, cutoff=0.75))]
    hints = [f" (key {key!r}; did you mean {close!r}?)" for key, close in near]
    raise RecipeError(str(path), [f"extends: {base} is no recipe, or not YAML within its limits{''.join(hints[:1])}"])


def _absolute(plugin: str, folder: Path) -> str:
    return str((folder / plugin).resolve()) if plugin.endswith(".py") else plugin
