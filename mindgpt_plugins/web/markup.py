"""How text becomes markup: escaped, with control characters made visible."""

from __future__ import annotations

import re
from typing import Any

from markupsafe import Markup, escape

DASH = Markup('<span class="soft">–</span>')
"""What a page shows in the place of a missing figure."""
HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but tab and newline, marks and overrides of the writing direction, halves of surrogate pairs.
``static/text.js`` says the same for texts that a script shows."""


def show_hidden(text: str) -> str:
    r"""Spell out what a browser would not show, or would act on: an escape character becomes ``\x1b``."""
    return HIDDEN.sub(lambda found: ascii(found[0])[1:-1], text)


def show_text(value: object) -> Markup:
    """Escape a text for any place in a page; what is markup already stays."""
    return value if isinstance(value, Markup) else escape(show_hidden(str(value)))


def make_breakable(label: str) -> Markup:
    """Let a dotted label wrap after its dots and underscores, and nowhere else."""
    return show_text(label).replace(".", Markup(".<wbr>")).replace("_", Markup("_<wbr>"))


def cut_text(value: object, longest: int = 400) -> str:
    """Shorten a text with an ellipsis."""
    text = str(value)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def make_element(tag: str, /, *content: object, **attributes: Any) -> Markup:
    """Build one element with its attributes and content escaped.

    Args:
        tag: its name.
        content: texts and elements inside; without any the element closes itself, as SVG's shapes do.
        attributes: ``class_`` stands for ``class`` and ``text_anchor`` for ``text-anchor``; floats get one decimal, and
            None leaves an attribute out.
    """
    shown = Markup().join(
        Markup(' {}="{}"').format(
            name.rstrip("_").replace("_", "-"), show_text(f"{value:.1f}" if isinstance(value, float) else value)
        )
        for name, value in attributes.items()
        if value is not None
    )
    if not content:
        return Markup("<{}{}/>").format(tag, shown)
    return Markup("<{}{}>{}</{}>").format(tag, shown, Markup().join(map(show_text, content)), tag)
