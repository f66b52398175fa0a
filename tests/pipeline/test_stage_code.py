"""What a stage's processes import is part of the stage's hash: found by reading sources, nothing is imported."""

import ast
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from mindgpt_plugins.core.registry import get, names

PACKAGES = {
    name: Path(find_spec(name).origin).parent for name in ("mindgpt_plugins", "mindgpt_data", "mindgpt_patches")
}
#: What does not decide a stage's numbers. The walk stops here.
EXEMPT = {
    "mindgpt_plugins": "version and nothing else",
    "mindgpt_plugins.core.builtins": "names of files; those are looked up one by one",
    "mindgpt_plugins.cli": "messages",
    "mindgpt_plugins.core.compat": "refuses or lets pass",
    "mindgpt_plugins.core.device": "the device is part of the hash",
    "mindgpt_plugins.pipeline.preflight": "refuses or lets pass",
    "mindgpt_plugins.stages.sft.reference": "refuses or lets pass",
    "mindgpt_plugins.stages.base": "types",
    "mindgpt_plugins.recipe": "resolved settings are part of the hash",
    "mindgpt_plugins.core.registry": "finds what a name means",
    "mindgpt_plugins.workbench.report": "how a page looks",
    "mindgpt_patches": "types",
    "mindgpt_patches.catalog": "when a patch is applied; what it does is in its own file",
    "mindgpt_patches.certificate": "refuses or lets pass",
    "mindgpt_patches.guard": "refuses or lets pass",
    "mindgpt_patches.records": "writes what came of it",
}


def file_of(module: str) -> Path | None:
    head, *rest = module.split(".")
    if head not in PACKAGES or not all(part.isidentifier() for part in rest):
        return None
    base = PACKAGES[head].joinpath(*rest)
    found = (base / "__init__.py", base.with_suffix(".py"))
    return next((file for file in found if file.is_file()), None)


def named(text: str) -> str | None:
    """The module of ours that a string is, as in ``-m module``, ``module:attribute`` and ``import_module``."""
    module = text.partition(":")[0]
    return module if "." in module and file_of(module) else None


@cache
def imports(module: str) -> frozenset[str]:
    """Modules of ours that a module imports, anywhere in it, or names in a string."""
    found = set()
    for node in ast.walk(ast.parse(file_of(module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {one if file_of(one) else node.module for one in inner}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(named(node.value) or "")
    return frozenset(one for one in found if file_of(one))


def members(code: str) -> set[str]:
    """A module, or every module of a package."""
    file = file_of(code)
    assert file is not None, f"{code} is in a stage's code and does not exist"
    if file.name != "__init__.py":
        return {code}
    parts = (one.relative_to(file.parent).with_suffix("").parts for one in file.parent.rglob("*.py"))
    return {".".join((code, *part)).removesuffix(".__init__") for part in parts}


def exempt(module: str) -> bool:
    whole = EXEMPT.keys() - PACKAGES.keys()
    return module in EXEMPT or any(module.startswith(f"{one}.") for one in whole)


def uncovered(roots: tuple[str, ...], code: tuple[str, ...]) -> dict[str, str]:
    """Modules that ``roots`` reach and ``code`` does not cover → who imports them."""
    covered = set().union(*map(members, (*roots, *code)))
    reached = dict.fromkeys(covered, "")
    todo = [one for one in covered if file_of(one)]
    while todo:
        module = todo.pop()
        for one in imports(module) - reached.keys():
            if not exempt(one):
                reached[one] = module
                todo.append(one)
    # An `__init__` that only says what its package is for decides nothing.
    return {one: by for one, by in sorted(reached.items()) if one not in covered and not is_empty(one)}


def is_empty(module: str) -> bool:
    body = ast.parse(file_of(module).read_text(encoding="utf-8")).body
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)


@pytest.mark.parametrize("kind", names("stage"))
def test_a_stage_is_stamped_with_all_it_imports(kind):
    stage = get("stage", kind)
    missing = uncovered((stage.__module__,), stage.code)
    lines = "\n".join(f"  {module} (imported by {by})" for module, by in missing.items())
    assert not missing, f"a change of these would not run stage {kind!r} again; add them to its `code`:\n{lines}"


def test_the_walk_sees_what_is_imported_late_and_by_name():
    left_out = uncovered(("mindgpt_patches.verl_linear_log_probs",), ())
    assert left_out["mindgpt_patches.linear_cross_entropy"] == "mindgpt_patches.verl_linear_log_probs"
    assert left_out["mindgpt_patches.triton_softmax"] == "mindgpt_patches.row_softmax"


def test_a_stage_s_own_file_is_part_of_its_hash(tmp_path, monkeypatch):
    from mindgpt_plugins.pipeline import plan
    from mindgpt_plugins.recipe.loading import load

    seen = {}
    real = plan.stage_hash
    monkeypatch.setattr(
        plan,
        "stage_hash",
        lambda recipe, name, code, inputs: seen.update({name: set(code)}) or real(recipe, name, code, inputs),
    )
    recipe = load(Path(__file__).parents[2] / "recipes" / "quickstart.yaml")
    plan.make(recipe, tmp_path)
    for name, config in recipe.stages.items():
        assert get("stage", config.kind).__module__ in seen[name]
