"""Nothing a label, a row or a reply holds becomes markup, on any kind of page."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from html import unescape
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import pytest
from hostile_pages import HOSTILE, KINDS
from support import chromium

from mindgpt_plugins.web.markup import HIDDEN, show_hidden
from mindgpt_plugins.web.page import make_environment

DATA_ELEMENTS = {"application/json", "text/plain"}


class Elements(HTMLParser):
    """Start tags with their attributes, and all text that a reader sees."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.comments: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)


@pytest.fixture(scope="module", params=KINDS)
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return KINDS[request.param](tmp_path_factory.mktemp(request.param))


def test_every_page_template_is_tried() -> None:
    templates = {path.name for path in (resources.files("mindgpt_plugins.web") / "templates").iterdir()}
    assert {name.removesuffix(".html") for name in templates if name.endswith(".html")} == {*KINDS, "base", "macros"}


def test_hostile_texts_are_shown_and_nothing_else(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    found = Elements(text)
    assert found.comments == []
    for tag, attributes in found.tags:
        assert tag not in ("iframe", "object", "embed", "base", "link", "textarea"), tag
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        for name in ("src", "href", "action", "formaction", "data"):
            if tag != "a" and name in attributes:
                assert attributes[name].startswith("data:image/"), (tag, attributes)
    scripts = [attributes.get("type") for tag, attributes in found.tags if tag == "script"]
    assert scripts.count(None) <= 1 and set(scripts) <= {None, *DATA_ELEMENTS}
    assert [tag for tag, _ in found.tags].count("style") == 1
    assert not HIDDEN.search(text)
    packed = "".join(gzip.decompress(base64.b64decode(c)).decode() for c in re.findall(r'class="chunk">([^<]*)<', text))
    whole = show_hidden(HOSTILE)
    assert whole in found.text or whole.replace(".", ",") in found.text
    assert page.name != "rollouts.html" or "onerror" in packed


@chromium.needed
def test_no_script_of_a_text_runs_and_ours_does(page: Path, tmp_path: Path) -> None:
    shown = chromium.open_page(page, tmp_path)
    # A script that ran would have changed the title.
    titles = [re.search("<title>(.*?)</title>", text, re.DOTALL) for text in (page.read_text("utf-8"), shown)]
    assert all(titles) and len({unescape(title[1]) for title in titles if title}) == 1
    opened = Elements(shown)
    assert not any(name.startswith("on") for _, attributes in opened.tags for name in attributes)
    classes = [attributes.get("class", "") for _, attributes in opened.tags]
    if "data-report" in classes:  # the treemap is drawn by the script
        assert "map" in classes and "inner" in classes
        assert not HIDDEN.search(shown)
    if "rollouts" in classes:
        assert "chips" in classes and "\\x1b" in opened.text and not HIDDEN.search(opened.text)


def test_the_policy_lets_only_the_pages_own_script_run() -> None:
    made = make_environment().from_string(
        '{% extends "base.html" %}{% set title = "t" %}{% set scripts = ["readout.js"] %}'
    )
    text = made.render()
    allowed = re.search(r"script-src 'sha256-([^']+)'", text)
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)
    assert allowed and script
    assert base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode() == allowed[1]
    assert (
        "default-src 'none'" in text
        and "script-src 'none'"
        in make_environment().from_string('{% extends "base.html" %}{% set title = "t" %}').render()
    )


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(Exception, match="'nothing' is undefined"):
        make_environment().from_string("{{ nothing }}").render()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc", "a\tb\nc"),
        ("\x00\x1b\r\x7f\x85", "\\x00\\x1b\\r\\x7f\\x85"),
        ("\u202eabc\u2066\udce9\u061c", "\\u202eabc\\u2066\\udce9\\u061c"),
        ("ünïcödé 图 \U0001f600", "ünïcödé 图 \U0001f600"),
    ],
)
def test_control_characters_are_spelled_out(text: str, shown: str) -> None:
    assert make_environment().from_string('{{ text }}<i title="{{ text }}">').render(text=text) == (
        f'{shown}<i title="{shown}">'
    )
