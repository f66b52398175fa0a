"""What can be known to be wrong with data settings before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mindgpt_data.schema.config import DataSettings
from mindgpt_plugins.core import registry
from mindgpt_plugins.core.registry import PluginError, RegistryError

NEEDS_A_MODEL = {"estimator": {"judge": "judge"}, "teacher": {"endpoint": "teacher"}}
GATES_NEED_A_MODEL = {"judge": "judge", "agreement": "solver", "necessity": "solver"}


class CheckError(ValueError):
    """Settings that would fail later; one line per problem."""


def require(settings: DataSettings) -> None:
    """Refuse settings with problems.

    Raises:
        CheckError: every problem, one per line.
    """
    if found := problems(settings):
        raise CheckError("\n".join(found))


def problems(settings: DataSettings) -> list[str]:
    """Unknown names and options, missing endpoints, missing files; empty when fine."""
    return [*_names(settings), *_models(settings), *_files(settings), *_focus(settings)]


def _names(settings: DataSettings) -> Iterator[str]:
    density, generate, filter_ = settings.density, settings.generate, settings.filter
    wanted = [
        ("estimator", density.estimator, density.options, "density.options"),
        ("allocator", settings.budget.allocator, {}, "budget"),
        ("teacher", generate.teacher, generate.options, "generate.options"),
        *(("gate", gate, filter_.options.get(gate, {}), f"filter.options.{gate}") for gate in filter_.gates),
    ]
    for kind, name, options, place in wanted:
        try:
            registry.check_options(kind, name, options)
        except (RegistryError, PluginError) as error:
            yield f"{place}: {error}"
    for gate in filter_.options:
        if gate not in filter_.gates:
            yield f"filter.options.{gate}: this gate is not in filter.gates ({', '.join(filter_.gates)})"


def _models(settings: DataSettings) -> Iterator[str]:
    roles = {
        NEEDS_A_MODEL["estimator"].get(settings.density.estimator): "density.estimator",
        NEEDS_A_MODEL["teacher"].get(settings.generate.teacher): "generate.teacher",
        "judge" if settings.match.matcher == "judge" or settings.match.verify else None: "match",
        **{GATES_NEED_A_MODEL.get(gate): f"filter.gates: {gate}" for gate in settings.filter.gates},
    }
    for role, place in roles.items():
        if role is not None:
            try:
                settings.endpoints_for(role)
            except ValueError as error:
                yield f"{place}: {error}"
    if settings.match.matcher == "clip" and settings.match.clip is None:
        yield "match.clip: matcher clip needs the path or hub id of a CLIP or SigLIP model"


def _focus(settings: DataSettings) -> Iterator[str]:
    name = settings.budget.allocator
    if settings.focus is None or name not in registry.names("allocator"):
        return
    try:
        registry.check_options("allocator", name, ["weights"])
    except RegistryError:
        yield f"focus: allocator {name!r} takes no `weights`, so it cannot follow a focus; choose density or uniform"


def _files(settings: DataSettings) -> Iterator[str]:
    for dimension in ("knowledge", "capability"):
        tree = getattr(settings.tree, dimension)
        if tree != "builtin" and not Path(tree).is_file():
            yield f"tree.{dimension}: {tree} does not exist; write one with `mindgpt data tree build`, or use builtin"
    for source in settings.filter.against:
        path = Path(source).expanduser()
        if not (path.is_file() or path.with_name(f"{path.name}.jsonl").is_file()):
            yield f"filter.against: {source} is no set: give <datasets folder>/<set>, or a .jsonl or .txt of questions"
