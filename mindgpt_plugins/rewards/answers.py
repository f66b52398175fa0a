r"""Reads the final answer out of a reply and compares it with the gold one.

The training reward ``accuracy`` and the evaluator share these functions, so that a reply is right in both or in
neither. Supported endings of a reply: ``answer: X``, ``\boxed{X}`` and ``<answer>X</answer>``; the last one in the
text counts. Source: ours.
"""

from __future__ import annotations

import re
import unicodedata

from mindgpt_plugins.rewards.boxes import Box, overlaps, parse_boxes
from mindgpt_plugins.rewards.tolerance import EXACT, Tolerance

_MARKER = re.compile(r"answer\s*:[ \t]*([^\n]*)", re.IGNORECASE)
_TAG = re.compile(r"<answer>(.*?)</answer>", re.IGNORECASE | re.DOTALL)
_TAG_END = re.compile(r"</answer>", re.IGNORECASE)
_BOXED = re.compile(r"\\boxed\s*\{")
_NUMBER = re.compile(r"[-+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:e[-+]?\d+)?", re.IGNORECASE)
_ARTICLES = frozenset({"a", "an", "the"})
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBER_WORDS = {word: value for value, word in enumerate(_WORDS)}
_YES, _NO = frozenset({"yes", "true", "y"}), frozenset({"no", "false", "n"})

_FRACTION = re.compile(r"\s*([-+]?\d{1,15})\s*/\s*(\d{1,15})\s*")
_OPTIONS = re.compile(r"(?:^|[\s(])([A-Z])[).:]\s*(\S.*?)(?=[,;.]?\s*(?:[\s(][A-Z][).:]\s|$))", re.DOTALL)

ANSWER_TYPES = ("text", "number", "choice", "yesno", "box", "unit", "json", "math")
"""What ``match`` compares: words, a number, an option, yes/no, a box ``[x0, y0, x1, y1]``, a number with a unit, a JSON
value, or a mathematical expression."""


def extract_answer(text: str, answer_type: str = "text") -> str | None:
    """Return the final answer of a reply, stripped, or ``None`` when it states none.

    Args:
        text: the whole reply. Only what follows the *last* marker counts; an empty answer is ``None``.
        answer_type: of ``json`` the last JSON object or array counts, which needs no marker and may have many lines.
    """
    if answer_type == "json":
        from mindgpt_plugins.rewards.json_answer import last_json

        return last_json(text)
    found: list[tuple[int, str]] = []
    found += [(m.start(), m.group(1)) for m in _MARKER.finditer(text)]
    # Time linear in the text, whatever it is: an opening tag or brace that nothing closes is not searched to the end.
    closed = max((m.end() for m in _TAG_END.finditer(text)), default=0)
    found += [(m.start(), m.group(1)) for m in _TAG.finditer(text, 0, closed)]
    boxes = list(_BOXED.finditer(text))
    ends = _braces(text) if boxes else {}
    found += [(m.start(), text[m.end() : ends[m.end() - 1]]) for m in boxes if m.end() - 1 in ends]
    if not found:
        return None
    # `answer: \boxed{4}` has two markers; the later one is the inner one, so taking the last unwraps it.
    answer = max(found)[1].strip().strip("*_`$").strip()
    answer = re.sub(r"<\|.*?\|>", "", answer).strip()  # special tokens, when a reply was decoded with them
    return answer or None


def match(got: str | None, want: str, answer_type: str, tolerance: Tolerance = EXACT, *, question: str = "") -> bool:
    """Is ``got`` the answer ``want``? Ignores case, spaces, punctuation and leading articles.

    Args:
        got: an extracted answer; ``None`` is always wrong.
        want: the gold answer.
        answer_type: one of :data:`ANSWER_TYPES`. ``number`` also accepts the words zero…ten, a fraction and a trailing
            unit, ``unit`` converts the unit. ``box`` asks for an intersection over union; both boxes must be in the
            same coordinates (nothing is converted here, see the reward ``accuracy``). ``math`` needs ``math-verify``.
        tolerance: how far off is still right.
        question: of ``choice``: its options, as in ``(A) car (B) bus``, let the text of an option stand for its letter.

    Raises:
        ValueError: unknown ``answer_type``, or a gold answer that is none of its type.
        RuntimeError: ``math`` without ``math-verify``.
    """
    if answer_type not in ANSWER_TYPES:
        raise ValueError(f"unknown answer_type {answer_type!r}; it must be one of: {', '.join(ANSWER_TYPES)}")
    if got is None:
        return False
    if answer_type == "number":
        a, b = parse_number(got), parse_number(want)
        return a is not None and b is not None and tolerance.close(a, b)
    if answer_type == "box":
        mine, gold = parse_boxes(got), parse_boxes(want)
        return bool(mine and gold) and all(value >= tolerance.iou for value in overlaps(mine or [], gold or []))
    if answer_type == "choice":
        return _same_option(got, want, question)
    if answer_type == "yesno":
        first, wanted = ((normalise(text).split() or [""])[0] for text in (got, want))
        return (first in _YES and wanted in _YES) or (first in _NO and wanted in _NO)
    # The rest is imported when it is used.
    if answer_type == "unit":
        from mindgpt_plugins.rewards.units import same_quantity

        return same_quantity(got, want, tolerance)
    if answer_type == "json":
        from mindgpt_plugins.rewards.json_answer import same_json

        return same_json(got, want, tolerance)
    if answer_type == "math":
        from mindgpt_plugins.rewards.math_answer import same_expression

        return same_expression(got, want)
    words, gold_words = normalise(got), normalise(want)
    if words == gold_words:
        return bool(words) or got.strip() == want.strip()  # "+" is not "-", though both are only punctuation
    return tolerance.similarity < 1 and similarity(words, gold_words) >= tolerance.similarity


def similarity(a: str, b: str) -> float:
    """1 - edit distance / longer length, in [0, 1]; of the first 256 characters."""
    a, b = a[:256], b[:256]
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return 1.0 - row[-1] / max(len(a), len(b), 1)


def normalise(text: str) -> str:
    """Lower case, no accents of width, no punctuation, single spaces, no leading article."""
    text = unicodedata.normalize("NFKC", text).casefold()
    words = re.sub(r"[^\w\s]", " ", text).split()
    start = 0
    while start < len(words) - 1 and words[start] in _ARTICLES:
        start += 1
    return " ".join(words[start:])


def parse_number(text: str) -> float | None:
    """The one number a short answer states (digits, a fraction, zero…ten); ``None`` for none or more than one."""
    fraction = _FRACTION.fullmatch(text)
    if fraction and int(fraction[2]):
        return int(fraction[1]) / int(fraction[2])
    numbers = [float(n.replace(",", "")) for n in _NUMBER.findall(text)]
    numbers += [float(_NUMBER_WORDS[w]) for w in normalise(text).split() if w in _NUMBER_WORDS]
    return numbers[0] if len(numbers) == 1 else None


def parse_box(text: str) -> Box | None:
    """The one box ``x0, y0, x1, y1`` a short answer states, whatever brackets surround it.

    ``None`` unless there are exactly four numbers with ``x0 < x1`` and ``y0 < y1``.
    """
    found = parse_boxes(text)
    return found[0] if found is not None and len(found) == 1 else None


def options_of(question: str) -> dict[str, str]:
    """Letter (lower case) → normalised text of the options a question lists: ``(A) car (B) bus``, ``A. car``."""
    found = [(letter.casefold(), normalise(text)) for letter, text in _OPTIONS.findall(question)]
    return dict(found) if [letter for letter, _ in found] == list("abcdefghijklmnopqrstuvwxyz"[: len(found)]) else {}


def _same_option(got: str, want: str, question: str) -> bool:
    mine, gold = _option(got), _option(want)
    if mine == gold:
        return True
    options = options_of(question) if question else {}
    # Two options with the same text cannot be told apart by it.
    letters = {text: letter for letter, text in options.items() if list(options.values()).count(text) == 1}
    return bool(options) and letters.get(mine, mine) == letters.get(gold, gold)


def _option(text: str) -> str:
    """``(B) red`` and ``b.`` are option b; a longer answer without a letter is compared as text."""
    m = re.match(r"^\s*\(?\s*([A-Za-z])\s*(?:[).:]|$)", text)
    return m.group(1).casefold() if m else normalise(text)


def _braces(text: str) -> dict[int, int]:
    """Place of every opening brace that is closed → place of its closing one."""
    opened: list[int] = []
    found = {}
    for m in re.finditer(r"[{}]", text):
        if m.group() == "{":
            opened.append(m.start())
        elif opened:
            found[opened.pop()] = m.start()
    return found
