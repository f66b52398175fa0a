"""Answers of type ``choice``: one or several of a question's options, by label or by text. Source: ours.

``B``, ``(b)``, ``Option B``, ``B. a bus`` and ``a bus`` are one answer when the question lists ``(B) bus``; several
options are a set (``A, C`` is ``C and A`` and ``AC``). A label with another option's text, ``B or D`` and ``not B`` are
none. Without listed options a single letter is a label, and words stand for themselves (left, right).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mindgpt_plugins.answers.characters import fold_characters
from mindgpt_plugins.answers.errors import GoldError
from mindgpt_plugins.answers.options import options_of
from mindgpt_plugins.answers.phrases import strip_reason
from mindgpt_plugins.answers.text import compare_texts, normalise_text
from mindgpt_plugins.answers.wrappers import simplify_latex, strip_brackets, strip_wrapping

_WORD = (
    r"(?:(?:the\s+)?(?:correct\s+|right\s+|best\s+)?(?:answer|options?|choices?|letters?)(?:\s+(?:is|are))?|antwort|réponse|opción|opción|opção"
    r"|respuesta|вариант|ответ|选项|選項|选|選|答案是|選択肢|정답은|보기|seçenek|şık|lựa chọn|đáp án|pilihan|ข้อ"
    r"|विकल्प|الخيار)"
)
_INTRO = re.compile(rf"(?:it(?:'s| is)\s+|is\s+|{_WORD}\s*[:：]?\s*)", re.IGNORECASE)
_LABEL = r"[A-Za-zА-Яа-яΑ-Ωα-ω甲乙丙丁戊己庚辛가-힣أ-يก-ฮक-ह]|\d{1,2}"
_ONE = re.compile(rf"[(（\[]?\s*({_LABEL})\s*[)）\]]?[.:：]?")
#: A label, a mark, and the option's text: `B. bus`, `(B) bus`, `B: bus`, `B - bus`, `B (bus)`.
_WITH_TEXT = re.compile(
    rf"(?:[(（\[]\s*(?P<a>{_LABEL})\s*[)）\]][.:：]?\s*|(?P<b>{_LABEL})\s*(?:[).:：、）]|\s-|\s—|,)\s*|(?P<c>{_LABEL})\s*(?=[(（]))(?P<text>\S.*)",
    re.DOTALL,
)
_JOIN = re.compile(
    r"\s*(?:,\s*and\b|,|;|/|\+|&|\band\b|\bund\b|\bet\b|\by\b|\be\b|\bи\b|\bve\b|\bvà\b|\bdan\b|和|与|及|、|と|와|과|그리고|\s)\s*",
    re.IGNORECASE,
)
_EITHER = re.compile(
    r"\b(?:or|oder|ou|или|o|veya|hoặc|atau|not|nicht|pas|neither|nor|except|maybe|unless)\b|或|还是|不是|または|또는",
    re.IGNORECASE,
)
_PRAISE = re.compile(r"\s+is\s+(?:the\s+)?(?:correct|right|best)(?:\s+(?:answer|option|choice))?$", re.IGNORECASE)
_NUMBERED = re.compile(r"\d{1,2}")


@dataclass(frozen=True)
class ChosenOptions:
    """What an answer chooses.

    Attributes:
        labels: of the options, in lower case; empty when it is a text that is no listed option.
        text: the whole answer, normalised.
        marked: a single label that stands before a text which could not be checked, as no options are listed.
        initial: that label may as well be the text's own first letter, as in ``E. coli``.
    """

    labels: frozenset[str]
    text: str
    marked: bool = False
    initial: bool = False


def parse_gold_choice(gold: str, question: str = "") -> ChosenOptions:
    """Read a gold answer of type ``choice``.

    Raises:
        GoldError: the question lists options and this is none of them.
    """
    found = parse_choice(gold, question)
    options = options_of(question) if question else {}
    if options and not found.labels:
        listed = ", ".join(f"{label.upper()}: {text}" for label, text in options.items())
        raise GoldError(
            f"gold answer {gold!r} of answer_type 'choice' is none of the options in the question ({listed}); write "
            "a letter, letters separated by commas, or one option's text"
        )
    if not found.labels and not found.text:
        raise GoldError(f"gold answer {gold!r} of answer_type 'choice' is empty; write a letter or an option's text")
    return found


def parse_choice(text: str, question: str = "") -> ChosenOptions:
    """Read which options a short answer chooses."""
    options = options_of(question) if question else {}
    text = strip_wrapping(simplify_latex(strip_wrapping(fold_characters(text))))
    whole = normalise_text(text)
    if options:
        return ChosenOptions(_listed_labels(text, whole, options), whole)
    bare = _bare(text)
    single = _ONE.fullmatch(bare)
    if single and not _NUMBERED.fullmatch(single[1]):
        return ChosenOptions(frozenset({single[1].casefold()}), whole)
    several = _several(bare, None)
    if several:
        return ChosenOptions(several, whole)
    with_text = _WITH_TEXT.fullmatch(text)
    if with_text and not _EITHER.search(text):
        label = with_text["a"] or with_text["b"] or with_text["c"]
        initial = bool(with_text["b"]) and text[with_text.end("b") :].startswith(".")
        return ChosenOptions(frozenset({label.casefold()}), whole, marked=True, initial=initial)
    return ChosenOptions(frozenset(), whole)


def _bare(text: str) -> str:
    text = _INTRO.sub("", text, count=1) if _INTRO.match(text) else text
    text = _PRAISE.sub("", text.strip().rstrip(".!。,;").strip())
    return strip_brackets(strip_wrapping(text))


def _listed_labels(text: str, whole: str, options: Mapping[str, str]) -> frozenset[str]:
    by_text = _by_text(options)
    # An option's own text first: it may begin with a letter and hold commas.
    if whole in by_text:
        # "2" may be the label of one option and the text of another; the label is what was asked for.
        label = _ONE.fullmatch(text)
        if label is None or label[1].casefold() not in options:
            return frozenset({by_text[whole]})
    bare = _bare(text)
    for candidate in dict.fromkeys((bare, _bare(strip_reason(text)))):
        found = _labels(candidate, options, by_text)
        if found:
            return found
    close = [label for label, option in options.items() if compare_texts(bare, option)[0]]
    return frozenset(close) if len(close) == 1 else frozenset()


def _labels(bare: str, options: Mapping[str, str], by_text: Mapping[str, str]) -> frozenset[str]:
    single = _ONE.fullmatch(bare)
    if single:
        label = single[1].casefold()
        return frozenset({label}) if label in options else frozenset()
    whole = normalise_text(bare)
    if whole in by_text:
        return frozenset({by_text[whole]})
    with_text = _WITH_TEXT.fullmatch(bare)
    if with_text:
        label = (with_text["a"] or with_text["b"] or with_text["c"]).casefold()
        own = options.get(label)
        if own is not None and own == normalise_text(with_text["text"]):
            return frozenset({label})
    spaced = re.fullmatch(rf"({_LABEL})\s+(\S.*)", bare, re.DOTALL)
    if spaced and options.get(spaced[1].casefold()) == normalise_text(spaced[2]):
        return frozenset({spaced[1].casefold()})
    if _EITHER.search(bare) or re.search(r"\bor\b", bare):
        return frozenset()
    return _several(bare, options) or _several_texts(bare, options, by_text)


def _several(bare: str, options: Mapping[str, str] | None) -> frozenset[str]:
    """Labels in a row: `A, C`, `A and C`, `AC`; empty when it is something else."""
    bare = re.sub(r"^(?:both|all of|sowohl|les deux)\s+", "", bare, flags=re.IGNORECASE)
    if re.fullmatch(r"[A-ZА-Я]{2,10}", bare) and len(set(bare)) == len(bare):
        letters = bare.casefold()
        known = (
            all(c in options for c in letters)
            if options is not None
            else letters == "".join(sorted(letters)) and letters[-1] <= "j"
        )
        if known:
            return frozenset(letters)
    parts = [part for part in _JOIN.split(bare) if part]
    if len(parts) < 2:
        return frozenset()
    found = []
    for part in parts:
        single = _ONE.fullmatch(part)
        if single is None:
            return frozenset()
        label = single[1]
        if (options is None and not (label.isupper() or len(parts) == bare.count(",") + 1)) or (
            options is not None and label.casefold() not in options
        ):
            return frozenset()
        found.append(label.casefold())
    if options is None and any(part.isdigit() for part in found):
        return frozenset()
    return frozenset(found) if len(set(found)) == len(found) else frozenset()


def _several_texts(bare: str, options: Mapping[str, str], by_text: Mapping[str, str]) -> frozenset[str]:
    """`A. cat, C. dog`, `cat and dog`: every part must be an option."""
    parts = [
        part
        for part in re.split(r"\s*(?:\n|;|,\s*and\b|,|\b(?:and|und|et|y|e|и|ve|và|dan)\b|和|、|と|와|과)\s*", bare)
        if part
    ]
    if not 2 <= len(parts) <= len(options):
        return frozenset()
    found = []
    for part in parts:
        label = by_text.get(normalise_text(part))
        with_text = _WITH_TEXT.fullmatch(part)
        if label is None and with_text:
            named = (with_text["a"] or with_text["b"] or with_text["c"]).casefold()
            label = named if options.get(named) == normalise_text(with_text["text"]) else None
        single = _ONE.fullmatch(part)
        if label is None and single and single[1].casefold() in options:
            label = single[1].casefold()
        if label is None:
            return frozenset()
        found.append(label)
    return frozenset(found) if len(set(found)) == len(found) else frozenset()


def _by_text(options: Mapping[str, str]) -> dict[str, str]:
    """Text → label; two options with the same text cannot be told apart by it."""
    texts = list(options.values())
    return {text: label for label, text in options.items() if text and texts.count(text) == 1}


def compare_choices(
    got: ChosenOptions, want: ChosenOptions, got_text: str = "", want_text: str = ""
) -> tuple[bool, bool]:
    """Do two answers choose the same options, and if not, would they under another reading?"""
    if want.labels and not want.marked:
        return got.labels == want.labels, False
    if want.marked and got.marked:
        return compare_texts(got_text, want_text)[0], False
    if want.marked and got.labels:  # "(B) bus" and "B"; but of "E. coli" the E is no answer
        same = got.labels == want.labels
        return same and not want.initial, same
    return compare_texts(got_text, want_text)
