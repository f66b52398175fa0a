"""The pages hold together: links lead somewhere, what they name exists, and a stranger finds things in two hops."""

from __future__ import annotations

import ast
import importlib.util
import re
import tomllib
from pathlib import Path

import markdown_pages as pages
import pytest
import typer

from mindgpt_plugins import cli

README = pages.ROOT / "README.md"
ARCHITECTURE = pages.DOCS / "architecture.md"


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: str(page.relative_to(pages.ROOT)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    dead = []
    for link in pages.read_links(page):
        target, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", target):
            continue  # outside; nothing here is fetched
        path = (page.parent / target).resolve() if target else page
        if not path.exists() or (anchor and anchor not in pages.read_anchors(path)):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: str(page.relative_to(pages.ROOT)))
def test_paths_and_modules_that_are_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    folders = "mindgpt_plugins|data_tools|patches|tests|benchmarks|recipes|constraints"
    named = re.findall(rf"(?<![\w/.-])((?:{folders})/[\w/.-]*\w)(?![\w/.-]*[{{<*])", text)
    missing = [path for path in named if not (pages.ROOT / path).exists()]
    for module in re.findall(r"(?<![\w/.])(mindgpt_(?:plugins|data|patches)(?:\.\w+)+)", text):
        file, rest = _file_of(module.split("."))
        if rest and not re.search(rf"\b{rest[0]}\b", file.read_text(encoding="utf-8")):
            missing.append(module)
    assert missing == []


def _file_of(parts: list[str]) -> tuple[Path, list[str]]:
    """The file of the longest part of a dotted name that is a module, and what is left: a class or function in it."""
    head = importlib.util.find_spec(parts[0])
    assert head is not None and head.origin is not None
    for end in range(len(parts), 1, -1):
        base = Path(head.origin).parent.joinpath(*parts[1:end])
        for file in (base / "__init__.py", base.with_suffix(".py")):
            if file.is_file():
                return file, parts[end:]
    return Path(head.origin), parts[1:]


def test_the_readme_fits_on_one_screen_and_a_map() -> None:
    assert len(README.read_text(encoding="utf-8").split()) <= 900


def test_every_page_is_reached_from_the_index() -> None:
    index = pages.DOCS / "README.md"
    reached, todo = {index}, [index]
    while todo:
        page = todo.pop()
        linked = {(page.parent / link.partition("#")[0]).resolve() for link in pages.read_links(page)}
        new = {path for path in linked if path.suffix == ".md" and path.is_file()} - reached
        reached |= new
        todo += sorted(new)
    assert [page for page in pages.PAGES if page not in reached] == []
    directly = {(pages.DOCS / link.partition("#")[0]).resolve() for link in pages.read_links(index)}
    assert [page.name for page in pages.DOCS.glob("*.md") if page not in directly and page != index] == []


def test_the_page_of_the_verbs_names_every_verb() -> None:
    def walk(app: typer.core.TyperGroup, words: tuple[str, ...]) -> list[str]:
        found = []
        for name, command in app.commands.items():
            if command.hidden:  # an old name, which says the new one
                continue
            below = getattr(command, "commands", None)
            found += walk(command, (*words, name)) if below else [" ".join((*words, name))]
        return found

    text = (pages.DOCS / "cli.md").read_text(encoding="utf-8")
    verbs = walk(typer.main.get_command(cli.build_cli_app()), ("mindgpt",))
    assert len(verbs) > 25
    assert [verb for verb in verbs if not re.search(rf"`{verb}\b", text)] == []


def test_the_tree_has_a_line_for_every_folder() -> None:
    (tree,) = [block for block in pages.read_blocks(ARCHITECTURE, "") if block.startswith("mindgpt_plugins/\n")]
    for package in ("mindgpt_plugins", "data_tools/mindgpt_data", "patches/mindgpt_patches"):
        folders = [path.parent.name for path in (pages.ROOT / package).glob("*/__init__.py")]
        own = tree[tree.index(f"{package}/") :]
        missing = [name for name in folders if f"{name}/" not in own and name != "pictures"]
        assert folders and missing == [], package


def test_the_floors_are_those_that_are_enforced() -> None:
    contracts = tomllib.loads((pages.ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (floors,) = [one["layers"] for one in contracts if one["id"] == "floors"]
    (shown,) = pages.read_blocks(ARCHITECTURE, "floors")
    assert shown.splitlines() == [layer.replace("mindgpt_plugins.", "") for layer in floors]


def test_the_walks_name_what_the_files_define() -> None:
    text = ARCHITECTURE.read_text(encoding="utf-8")
    walks = text[text.index("## Three walks") : text.index("## The run folder")]
    named = re.findall(r"\]\((\.\./[^)]+\.py)\):? `([A-Za-z_]\w*(?:\.\w+)?)`", walks)
    named += [
        (link, name)
        for link, rest in re.findall(r"\]\((\.\./[^)]+\.py)\)([^\n]*)", walks)
        for name in re.findall(r"`([A-Z]\w+\.\w+)`", rest.split("](")[0])
    ]
    assert len(named) > 25
    missing = [f"{link} {name}" for link, name in named if name not in _defined((pages.DOCS / link).resolve())]
    assert missing == []


def _defined(path: Path) -> set[str]:
    """Functions, classes, methods and names that a file defines or imports at its top."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        for inner in node.body if isinstance(node, ast.ClassDef) else []:
            if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef)):
                found.add(f"{node.name}.{inner.name}")
    return found


@pytest.mark.parametrize(
    ("page", "says", "file"),
    [
        ("docs/architecture.md", "the weight enters", "mindgpt_plugins/rewards/algebra.py"),
        ("docs/stages/rejection_sampling.md", "`keep_per_prompt`", "mindgpt_plugins/stages/rejection_sampling/run.py"),
        ("docs/architecture.md", "new gate goes to", "data_tools/mindgpt_data/gates"),
        ("docs/extending.md", "new gate of ours goes to", "data_tools/mindgpt_data/teachers/base.py"),
    ],
)
def test_what_a_stranger_looks_for_is_two_hops_from_the_readme(page: str, says: str, file: str) -> None:
    first = {(pages.ROOT / link.partition("#")[0]).resolve() for link in pages.read_links(README)}
    assert (pages.ROOT / page).resolve() in first
    assert says in " ".join((pages.ROOT / page).read_text(encoding="utf-8").split())
    linked = {((pages.ROOT / page).parent / link).resolve() for link in pages.read_links(pages.ROOT / page)}
    assert (pages.ROOT / file).resolve() in linked


def test_the_glossary_says_one_thing_of_each_word() -> None:
    text = (pages.DOCS / "README.md").read_text(encoding="utf-8")
    words = re.findall(r"^\| \*\*([^*]+)\*\*([^|]*)\|", text[text.index("## Glossary") :], re.MULTILINE)
    names = [word + rest.strip() for word, rest in words]
    assert len(names) > 60 and len(set(names)) == len(names)
