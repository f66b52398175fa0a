"""What the tests of the documentation share: its pages, and the fenced blocks, links and headings in them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "patches" / "PATCHES.md", *sorted(DOCS.rglob("*.md"))]
_FENCED = re.compile(r"^```[^\n]*\n.*?^```$", re.DOTALL | re.MULTILINE)


def read_blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}[^\n]*\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def write_files(page: Path, folder: Path) -> dict[str, Path]:
    """Write every block that is a file: its first line is ``# name.ext``, or the name stands behind the language."""
    written = {}
    text = page.read_text(encoding="utf-8")
    for name, content in re.findall(r"^```\w+ ?([^\n]*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        first = re.match(r"# (\w+\.\w+)\n", content)
        if name or first:
            path = folder / (name or first[1])
            assert path.name not in written, f"{page.name} shows two files {path.name}"
            path.write_text(content, encoding="utf-8")
            written[path.name] = path
    return written


def read_prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCED.sub("", page.read_text(encoding="utf-8"))


def read_links(page: Path) -> list[str]:
    """Targets of all links and pictures."""
    return re.findall(r"\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)", read_prose(page))


def read_anchors(page: Path) -> set[str]:
    """What ``#…`` may name in a page, as GitHub makes it from the headings."""
    anchors: set[str] = set()
    for heading in re.findall(r"^#{1,6} (.+)$", read_prose(page), re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", shown).replace(" ", "-")
        number = 0
        while (name := slug + (f"-{number}" if number else "")) in anchors:
            number += 1
        anchors.add(name)
    return anchors
