"""From a YAML file and ``key=value`` overrides to a validated :class:`Recipe`, or one list of everything wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar, get_args

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError
from yaml import YAMLError

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
from mindgpt_plugins.recipe.schema import Recipe, RecipeHead

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
    path = Path(name).expanduser()
    if path.is_file():
        return path.resolve()
    shipped = list_shipped_recipes()
    if name in shipped:
        return shipped[name]
    raise RecipeError(
        name,
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
    """Validate plain data as a recipe found at ``path``."""
    stages = data.pop("stages", None)
    problems: list[str] = []
    head = None
    try:
        head = RecipeHead.model_validate(data)
    except ValidationError as error:
        problems += describe_errors(error, RecipeHead, known_extra=["stages", "extends"])
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
        config = _stage(str(name), settings, problems)
        if config is not None:
            configs[str(name)] = config
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
    place = f"stages.{name}"
    if not isinstance(settings, dict) or "kind" not in settings:
        problems.append(f"{place}: needs a `kind` (one of the registered stage kinds, e.g. data, sft, rl)")
        return None
    if "/" in name:
        problems.append(f"{place}: a stage name cannot contain '/', which separates stage and dataset in references")
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
        for to, value in recipe.stages[name].references():
            head = value.rpartition("/")[0] if to == "dataset" else value
            place = f"stages.{name}"
            if to in OUTSIDE:
                if not (recipe.folder / Path(value).expanduser()).exists():
                    problems.append(f"{place}: {value!r} does not exist (relative to {recipe.folder})")
                continue
            if head in order[:position]:
                continue
            if head in order:
                problems.append(f"{place}: refers to {head!r}, which does not come before it; reorder the stages")
            elif to == "dataset" and not (recipe.folder / head).is_dir():
                problems.append(
                    f"{place}: dataset {value!r} is neither <stage>/<set> of an earlier stage nor a set in an existing "
                    f"folder{hint_nearest(head, order[:position])} "
                    f"Earlier stages: {', '.join(order[:position]) or 'none'}."
                )
            elif to == "branches":
                if not (recipe.folder / Path(value).expanduser()).is_file():
                    problems.append(
                        f"{place}: focus {value!r} is neither an earlier evaluate stage nor an existing branches.json "
                        f"(relative to {recipe.folder}){hint_nearest(value, order[:position])}"
                    )
            elif to not in ("dataset", "model"):
                problems.append(f"{place}: {value!r} must name an earlier stage{hint_nearest(head, order[:position])}")
            elif to == "model" and value.startswith((".", "/")) and not (recipe.folder / value).is_dir():
                problems.append(f"{place}: model folder {value!r} does not exist (relative to {recipe.folder})")
            elif to == "model" and "/" not in value:
                problems.append(
                    f"{place}: model {value!r} is no earlier stage, no folder and no hub id (owner/name)"
                    f"{hint_nearest(value, order[:position])}"
                )
    return problems


def _merge_extended(path: Path, seen: tuple[Path, ...]) -> DictConfig:
    if path in seen:
        raise RecipeError(str(path), [f"extends: goes in a circle: {' → '.join(p.name for p in (*seen, path))}"])
    try:
        tree = OmegaConf.load(path)
    except (OmegaConfBaseException, YAMLError, UnicodeDecodeError, OSError) as error:
        raise RecipeError(str(path), [f"cannot be read as YAML: {shorten_error(error)}"]) from error
    if not isinstance(tree, DictConfig):
        raise RecipeError(str(path), ["a recipe is a mapping of keys, not a list or a single value"])
    parent = tree.pop("extends", None)
    if parent is None:
        return tree
    base = path.parent / str(parent)
    if not base.is_file():
        shipped = list_shipped_recipes()
        if str(parent) not in shipped:
            raise RecipeError(
                str(path), [f"extends: {str(parent)!r} is neither a file next to it nor a shipped recipe"]
            )
        base = shipped[str(parent)]
    merged = OmegaConf.merge(_merge_extended(base.resolve(), (*seen, path)), tree)
    assert isinstance(merged, DictConfig)
    return merged


def _absolute(plugin: str, folder: Path) -> str:
    return str((folder / plugin).resolve()) if plugin.endswith(".py") else plugin
