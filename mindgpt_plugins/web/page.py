"""Renders the templates: every text is escaped, an unknown name is an error, nothing is loaded from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from functools import cache, wraps
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Undefined
from markupsafe import Markup

from mindgpt_plugins.web import charts, markup, numbers


def render_page(template: str, **context: Any) -> str:
    """Render a page that is one file and needs nothing else.

    Args:
        template: a file of ``templates/``.
        context: what the template names; texts, not markup, unless they are of type ``Markup``.

    Raises:
        jinja2.UndefinedError: the template uses something that is not there.
    """
    return make_environment().get_template(template).render(context) + "\n"


@cache
def make_environment() -> Environment:
    """Make the one environment of all pages."""
    made = Environment(
        loader=PackageLoader("mindgpt_plugins.web"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        points=_or_dash(numbers.format_points),
        percent=_or_dash(numbers.format_percent),
        count=_or_dash(numbers.format_count),  # Jinja's own `count` is another name of `length`
        number=_or_dash(numbers.format_number),
        duration=_or_dash(numbers.format_duration),
        breakable=markup.make_breakable,
        cut=markup.cut_text,
    )
    made.globals.update(
        dash=markup.DASH,
        colours=charts.COLOURS,
        draw_lines=charts.draw_lines,
        draw_places=charts.draw_places,
        draw_histogram=charts.draw_histogram,
        style=_asset("style.css"),
        script=lambda names: Markup().join(map(_asset, names)),
        digest=lambda text: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode(),
    )
    # JSON in a page keeps its order and other scripts' letters; Jinja escapes what could end a script element.
    made.policies["json.dumps_function"] = _dump_json
    made.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    return made


def _finalize(value: object) -> object:
    """What Jinja does to every value that a template writes; an unknown name stays one, and is an error."""
    if isinstance(value, Undefined):
        return value
    return "–" if value is None else markup.show_text(value)


def _dump_json(value: object, **options: Any) -> str:
    """JSON in which characters that a browser acts on, or does not show, are escaped; a script reads the same value."""
    return markup.HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, **options))


def _or_dash(formatter: Callable[..., str | None]) -> Callable[..., str]:
    @wraps(formatter)
    def shown(value: Any, *rest: Any, **options: Any) -> str:
        return markup.DASH if value is None else formatter(value, *rest, **options) or markup.DASH

    return shown


def _asset(name: str) -> Markup:
    """Read a file of ``static/``, which is ours: it goes into the page as it is."""
    return Markup((resources.files("mindgpt_plugins.web") / "static" / name).read_text(encoding="utf-8"))
