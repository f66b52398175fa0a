"""The options of a question: ``(A) car (B) bus``, ``A. car``, ``1) car``, ``① car``, ``А) машина``. Source: ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from mindgpt_plugins.answers.text import normalise_text

_ALPHABETS = (
    "abcdefghijklmnopqrstuvwxyz", "абвгдежзик", "αβγδεζηθ", "甲乙丙丁戊己庚辛", "가나다라마바사", "أبجدهوز", "กขคงจฉ",
    "कखगघङच",
)  # fmt: skip
_CIRCLED = "①②③④⑤⑥⑦⑧⑨⑩"
#: A label: (A)  A)  A.  A:  A．  A、  ①  **A.**  at the start of a line or after a space; then the option's text.
_LABEL = re.compile(
    r"(?:(?<=[\s,;|/。，；？?!：:（(])|^)(?:\*\*|__|[-*•]\s+)?(?:[(（\[]\s*(?P<in>[^\W_]|1\d|20)\s*[)）\]]|(?P<out>[^\W_]|1\d|20)\s*(?:[)）．、:：]|\.(?!\d))"
    rf"|(?P<circled>[{_CIRCLED}]))(?:\*\*|__)?[.:：]?[ \t]*(?=\S)"
)
_TRAILING = ",;，；|/ \t\n"
_MOST = 26


@lru_cache(maxsize=2048)
def options_of(question: str) -> Mapping[str, str]:
    """Label (lower case) → normalised text of the options that a question lists; empty when it lists none.

    Labels must come in order from the first letter or number on, and be at least two; the last such list counts.
    """
    return {label: normalise_text(text) for label, text in _listed(question)}


def list_option_texts(question: str) -> Mapping[str, str]:
    """Label (lower case) → text of the options as written."""
    return dict(_listed(question))


@lru_cache(maxsize=2048)
def _listed(question: str) -> tuple[tuple[str, str], ...]:
    labels = [(m, _label(m)) for m in _LABEL.finditer(question[:20000])]
    for order in (*_ALPHABETS, [str(i) for i in range(1, _MOST + 1)]):
        # The last place where a list begins: text before it may hold "A." too.
        for start in range(len(labels) - 1, -1, -1):
            if labels[start][1] != order[0]:
                continue
            chosen, wanted = [labels[start][0]], 1
            for match, label in labels[start + 1 :]:
                if wanted < len(order) and label == order[wanted] and _alike(match, chosen[0]):
                    chosen.append(match)
                    wanted += 1
            if len(chosen) >= 2:
                return _texts(question, chosen, order)
    return ()


def _label(found: re.Match[str]) -> str:
    if found["circled"]:
        return str(_CIRCLED.index(found["circled"]) + 1)
    return (found["in"] or found["out"]).casefold()


def _alike(one: re.Match[str], other: re.Match[str]) -> bool:
    """One list has one style: all in brackets or none, all capitals or none."""
    if bool(one["in"]) != bool(other["in"]) or bool(one["circled"]) != bool(other["circled"]):
        return False
    a, b = (m["in"] or m["out"] or "1" for m in (one, other))
    return a.isupper() == b.isupper()


def _texts(question: str, chosen: list[re.Match[str]], order: str | list[str]) -> tuple[tuple[str, str], ...]:
    found = []
    for place, match in enumerate(chosen):
        end = chosen[place + 1].start() if place + 1 < len(chosen) else len(question)
        text = question[match.end() : end]
        # What follows the last option is no part of it: a blank line, or an instruction on a line of its own.
        text = re.split(r"\n\s*\n|\n(?=\s*(?:Answer|Choose|Select|Please|Reply|Give|Respond|Output|请|回答)\b)", text)[
            0
        ]
        if "\n" in question[chosen[0].start() : chosen[1].start()]:
            text = text.split("\n")[0] if place + 1 == len(chosen) else text
        found.append((order[place], text.strip().strip("*_").strip(_TRAILING)))
    return tuple(found)
