"""Exported functions are verb and noun and unique in their package; class names are unique in the repository."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from mindgpt_plugins.core.builtins import BUILTINS

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "mindgpt_plugins": ROOT / "mindgpt_plugins",
    "mindgpt_data": ROOT / "data_tools" / "mindgpt_data",
    "mindgpt_patches": ROOT / "patches" / "mindgpt_patches",
}
#: Found by name in modules of one kind: processes, verbs, steps and workers, patches.
PROTOCOL = {"main", "add", "run", "apply", "places", "certify", "replaced"}
#: The decorators and words of the public SDK.
SDK = {"reward", "register", "map_items"}
RECIPE_NAMES = {target.partition(":")[2] for table in BUILTINS.values() for target in table.values()}


def defined(package: str, kind: type[ast.AST] | tuple[type[ast.AST], ...]) -> Iterator[tuple[Path, str]]:
    for file in sorted(PACKAGES[package].rglob("*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, kind) and not node.name.startswith("_"):
                yield file.relative_to(ROOT), node.name


def functions(package: str) -> list[tuple[Path, str]]:
    found = defined(package, (ast.FunctionDef, ast.AsyncFunctionDef))
    # A command's function is called as the command is.
    return [
        (file, name) for file, name in found if name not in PROTOCOL | SDK | RECIPE_NAMES and "cli" not in file.parts
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_an_exported_function_has_more_than_one_word(package: str) -> None:
    assert [f"{file}: {name}" for file, name in functions(package) if "_" not in name] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_an_exported_function_is_found_by_its_name(package: str) -> None:
    counted = Counter(name for _, name in functions(package))
    assert {name: count for name, count in counted.items() if count > 1} == {}


def test_a_class_is_found_by_its_name() -> None:
    counted = Counter(name for package in PACKAGES for _, name in defined(package, ast.ClassDef))
    assert {name: count for name, count in counted.items() if count > 1} == {}
