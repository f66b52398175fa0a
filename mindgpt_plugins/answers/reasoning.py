"""Where a reply's reasoning ends: an answer inside ``<think>…</think>``, finished or not, is none. Source: ours."""

from __future__ import annotations

import re

_NAMES = r"(?:think|thinking|thought|thoughts|reasoning|scratchpad)"
_OPEN = re.compile(rf"<{_NAMES}>|\[THINK\]|◁think▷|<\|begin_of_thought\|>", re.IGNORECASE)
_CLOSE = re.compile(rf"</{_NAMES}>|\[/THINK\]|◁/think▷|<\|end_of_thought\|>", re.IGNORECASE)


def strip_reasoning(text: str) -> str:
    """Return what a reply says after its reasoning.

    That is what follows the last closing tag (the opening one may stand in the prompt). A reply whose reasoning was
    begun and not finished says nothing: the empty text.
    """
    if "<" not in text and "◁" not in text and "[" not in text:
        return text
    end = 0
    for found in _CLOSE.finditer(text):
        end = found.end()
    return "" if _OPEN.search(text, end) else text[end:]
