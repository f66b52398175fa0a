"""Which source files decide what a process computes: found by reading imports, nothing is imported.

A stage is the same stage if its settings, its inputs and the code behind it are the same. The code is what its process
can reach: every import in a module, lazy and typing ones included, and every string that names a module of ours, as in
``-m module`` or ``"module:attribute"``. Files that are no Python (label trees, Hydra configurations) belong to the
package they lie in. Source: ours.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

OURS = ("mindgpt_plugins", "mindgpt_data", "mindgpt_patches")
UNDECIDING = {
    "mindgpt_plugins": "the version and nothing else",
    "mindgpt_plugins.cli.": "messages",
    "mindgpt_plugins.core.": "finds names, checks settings, writes files; the resolved settings are part of the hash",
    "mindgpt_plugins.llamafactory_ext.stopping": "when a checkpoint is saved",
    "mindgpt_plugins.guards.": "stops a run or lets it go on",
    "mindgpt_plugins.pipeline.": "decides what runs, not what it computes",
    "mindgpt_plugins.recipe.": "the resolved settings are part of the hash",
    "mindgpt_plugins.stages": "says what the folder is for",
    "mindgpt_plugins.sizing.": "counts what a run would cost",
    "mindgpt_plugins.stages.base": "types",
    "mindgpt_plugins.stages.context": "types",
    "mindgpt_plugins.stages.costing": "says what a run would cost",
    "mindgpt_plugins.stages.rehearsal": "says how a run is rehearsed",
    "mindgpt_plugins.stages.reporting": "says how a run is shown",
    "mindgpt_plugins.web.": "how a page looks",
    "mindgpt_plugins.workbench.": "looks at runs",
    "mindgpt_data.report.": "how a page looks",
    "mindgpt_patches": "types",
    "mindgpt_patches.catalog": "when a patch is applied; what it does is in its own file",
    "mindgpt_patches.certificate": "refuses or lets pass",
    "mindgpt_patches.guard": "refuses or lets pass",
    "mindgpt_patches.records": "writes what came of it",
}
"""Modules, or packages with a dot behind them, that decide no number, and why. The walk stops there."""
UNDECIDING_FILES = ("config", "job", "cost", "rehearse", "report")
"""Files of ours that decide no number in any folder: schemas, and what is said of a stage that does not run."""
DECIDING = ("mindgpt_plugins.core.schedule",)
"""Modules of an undeciding package that decide all the same."""


def find_code(roots: Iterable[str], packages: Iterable[str] = OURS) -> Mapping[str, str]:
    """Every module that ``roots`` can reach within some packages, with the digest of its files.

    Args:
        roots: dotted modules to start from; each counts itself, deciding or not.
        packages: top-level packages whose modules count.

    Returns:
        module → 16 hex digits, sorted by name.

    Raises:
        ModuleNotFoundError: a root does not exist.
    """
    inside = frozenset(packages)
    reached = set(roots)
    for root in reached:
        if _file_of(root) is None:
            raise ModuleNotFoundError(f"module {root!r} is part of a stage but cannot be found")
    todo = list(reached)
    while todo:
        for module in _imports(todo.pop()) - reached:
            if module.partition(".")[0] in inside and _decides(module):
                reached.add(module)
                todo.append(module)
    return {module: digest_module(module) for module in sorted(reached)}


@cache
def digest_module(module: str) -> str:
    """Hash of a module's source; of a package, its ``__init__`` and the files beside it that are no Python."""
    file = _file_of(module)
    assert file is not None
    files = [file]
    if file.name == "__init__.py":
        files += sorted(_data_files(file.parent))
    return digest_files(files)


@cache
def digest_source(named: str) -> str:
    """Hash of everything in a dotted module or package (imported or not), or of a ``.py`` file.

    Raises:
        ModuleNotFoundError: it does not exist.
    """
    if named.endswith(".py"):
        return digest_files([Path(named)])
    spec = importlib.util.find_spec(named)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"module {named!r} is part of a stage but cannot be found")
    origin = Path(spec.origin)
    packaged = spec.submodule_search_locations is not None
    return digest_files(sorted(p for p in origin.parent.rglob("*") if p.is_file()) if packaged else [origin])


def digest_files(files: Iterable[Path]) -> str:
    """Hash of names and contents; compiled files are left out."""
    digest = hashlib.sha256()
    for file in files:
        if "__pycache__" not in file.parts:
            digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _decides(module: str) -> bool:
    if module in DECIDING:
        return True
    if module.rpartition(".")[2] in UNDECIDING_FILES and module.partition(".")[0] in OURS:
        return False
    parents = {f"{'.'.join(module.split('.')[:i])}." for i in range(1, module.count(".") + 2)}
    return module not in UNDECIDING and not parents & UNDECIDING.keys()


def _data_files(folder: Path) -> Iterable[Path]:
    for path in folder.iterdir():
        if path.is_dir():
            if path.name != "__pycache__" and not (path / "__init__.py").is_file():
                yield from _data_files(path)
        elif path.suffix not in (".py", ".pyc"):
            yield path


@cache
def _package_folder(head: str) -> Path | None:
    spec = importlib.util.find_spec(head)  # a top-level package is located without being imported
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None


@cache
def _file_of(module: str) -> Path | None:
    head, *rest = module.split(".")
    folder = _package_folder(head) if head.isidentifier() and all(part.isidentifier() for part in rest) else None
    if folder is None:
        return None
    base = folder.joinpath(*rest)
    return next((file for file in (base / "__init__.py", base.with_suffix(".py")) if file.is_file()), None)


@cache
def _imports(module: str) -> frozenset[str]:
    """Modules that a module imports anywhere in it, or names in a string."""
    file = _file_of(module)
    assert file is not None
    head = module.partition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
                base = ".".join([*above[: len(above) - node.level + 1], *([node.module] if node.module else [])])
            inner = {f"{base}.{alias.name}" for alias in node.names}
            found |= {one if _ours(one, head) and _file_of(one) else base for one in inner}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value.partition(":")[0]
            if "." in text and _ours(text, head) and _file_of(text):
                # `-m package` runs its `__main__`.
                found |= {text, f"{text}.__main__"}
    return frozenset(one for one in found if _ours(one, head) and _file_of(one))


def _ours(module: str, head: str) -> bool:
    return module.partition(".")[0] in (*OURS, head)
