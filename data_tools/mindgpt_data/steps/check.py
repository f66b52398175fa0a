"""What can be known to be wrong with data settings before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mindgpt_data.density.score import compute_information_density
from mindgpt_data.schema.config import DataSettings
from mindgpt_data.schema.rows import SUB_SCORES
from mindgpt_data.tree.files import load_tree
from mindgpt_data.tree.model import DIMENSIONS, TreeError
from mindgpt_plugins.core import registry
from mindgpt_plugins.core.choice import find_choices
from mindgpt_plugins.core.registry import PluginError, RegistryError

MANIFESTS = (".jsonl", ".ndjson", ".json")
"""Endings of files that list a corpus; a folder of pictures has no list."""
NEEDS_A_MODEL = {"estimator": {"judge": "judge"}, "teacher": {"endpoint": "teacher"}}
GATES_NEED_A_MODEL = {"judge": "judge", "agreement": "solver", "necessity": "solver"}


class CheckError(ValueError):
    """Settings that would fail later; one line per problem."""


def require_valid_settings(settings: DataSettings) -> None:
    """Refuse settings with problems.

    Raises:
        CheckError: every problem, one per line.
    """
    if found := find_settings_problems(settings):
        raise CheckError("\n".join(found))


def find_settings_problems(settings: DataSettings) -> list[str]:
    """Unknown names and options, missing endpoints, missing files; empty when fine."""
    return [*_names(settings), *_models(settings), *_files(settings), *_labels(settings), *_focus(settings)]


def _names(settings: DataSettings) -> Iterator[str]:
    for place, choice in find_choices(settings):
        try:
            registry.check_options(choice.of, choice.name, choice.options)
        except (RegistryError, PluginError) as error:
            yield f"{place}: {error}"


def _models(settings: DataSettings) -> Iterator[str]:
    roles = {
        NEEDS_A_MODEL["estimator"].get(settings.density.estimator.name): "density.estimator",
        NEEDS_A_MODEL["teacher"].get(settings.generate.teacher.name): "generate.teacher",
        "judge" if settings.match.matcher == "judge" or settings.match.verify else None: "match",
        **{GATES_NEED_A_MODEL.get(gate.name): f"filter.gates: {gate.name}" for gate in settings.filter.gates},
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
    name = settings.budget.allocator.name
    if settings.focus is None or name not in registry.list_registered_names("allocator"):
        return
    try:
        registry.check_options("allocator", name, ["weights"])
    except RegistryError:
        yield f"focus: allocator {name!r} takes no `weights`, so it cannot follow a focus; choose density or uniform"


def _labels(settings: DataSettings) -> Iterator[str]:
    """Weights of what density is not made of, capabilities that are in no tree, and trees that are none."""
    try:
        compute_information_density(dict.fromkeys(SUB_SCORES, 0.0), settings.density.weights)
    except ValueError as error:
        yield f"density.weights: {error}"
    wanted = settings.generate.capabilities
    own = {
        one: Path(path) for one, path in settings.tree.model_dump(include={*DIMENSIONS}).items() if path != "builtin"
    }
    if not wanted and not own:
        return
    from mindgpt_data.teachers.plan import select_capabilities
    from mindgpt_data.teachers.slots import SlotError

    for dimension in DIMENSIONS:
        path = own.get(dimension)
        if path is None and not (wanted and dimension == "capability") or (path is not None and not path.exists()):
            continue  # nothing to hold it against, or told where files are looked for
        try:
            tree = load_tree(dimension, path)
            if dimension == "capability":
                select_capabilities(tree, wanted)
        except (TreeError, SlotError) as error:
            yield str(error)


def _files(settings: DataSettings) -> Iterator[str]:
    path = Path(settings.images.path).expanduser()
    if path.is_file() and path.suffix.lower() not in MANIFESTS:
        yield (
            f"images.path: {settings.images.path} is no corpus: give a folder of pictures, a manifest (.jsonl) or COCO "
            "(.json)"
        )
    for dimension in ("knowledge", "capability"):
        tree = getattr(settings.tree, dimension)
        if tree != "builtin" and not Path(tree).exists():
            yield f"tree.{dimension}: {tree} does not exist; write one with `mindgpt data tree build`, or use builtin"
    for source in settings.filter.against:
        path = Path(source).expanduser()
        if not (path.is_file() or path.with_name(f"{path.name}.jsonl").is_file()):
            yield f"filter.against: {source} is no set: give <datasets folder>/<set>, or a .jsonl or .txt of questions"
