r"""Reads the final answer out of a reply and compares it with the gold one.

The training reward ``accuracy`` and the evaluator share these two functions, so that a reply is right in both or in
neither. Supported endings of a reply: ``answer: X``, ``\boxed{X}`` and ``<answer>X</answer>``; the last one in the
text counts. Source: ours.
"""

from __future__ import annotations

import re
import unicodedata

_MARKER = re.compile(r"answer\s*:[ \t]*([^\n]*)", re.IGNORECASE)
_TAG = re.compile(r"<answer>(.*?)</answer>", re.IGNORECASE | re.DOTALL)
_BOXED = re.compile(r"\\boxed\s*\{")
_NUMBER = re.compile(r"[-+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:e[-+]?\d+)?", re.IGNORECASE)
# Unlike other numbers, coordinates use commas only between them.
_COORDINATE = re.compile(r"-?\d+(?:\.\d+)?")
_ARTICLES = frozenset({"a", "an", "the"})
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBER_WORDS = {word: value for value, word in enumerate(_WORDS)}
_YES, _NO = frozenset({"yes", "true", "y"}), frozenset({"no", "false", "n"})

ANSWER_TYPES = ("text", "number", "choice", "yesno", "box")
"""What ``match`` compares: words, a number, an option letter, yes/no, or a box ``[x0, y0, x1, y1]``."""
MIN_IOU = 0.5
"""Overlap from which a box is right."""


def extract_answer(text: str) -> str | None:
    """Return the final answer of a reply, stripped, or ``None`` when it states none.

    Args:
        text: the whole reply. Only what follows the *last* marker counts; an empty answer is ``None``.
    """
    found: list[tuple[int, str]] = []
    found += [(m.start(), m.group(1)) for m in _MARKER.finditer(text)]
    found += [(m.start(), m.group(1)) for m in _TAG.finditer(text)]
    for m in _BOXED.finditer(text):
        inner = _braced(text, m.end())
        if inner is not None:
            found.append((m.start(), inner))
    if not found:
        return None
    # `answer: \boxed{4}` has two markers; the later one is the inner one, so taking the last unwraps it.
    answer = max(found)[1].strip().strip("*_`$").strip()
    answer = re.sub(r"<\|.*?\|>", "", answer).strip()  # special tokens, when a reply was decoded with them
    return answer or None


def match(got: str | None, want: str, answer_type: str) -> bool:
    """Is ``got`` the answer ``want``? Ignores case, spaces, punctuation and leading articles.

    Args:
        got: an extracted answer; ``None`` is always wrong.
        want: the gold answer.
        answer_type: one of :data:`ANSWER_TYPES`. ``number`` also accepts zero…ten and a trailing unit. ``box``
            asks for an intersection over union of at least :data:`MIN_IOU`; both boxes must be in the same coordinates
            (relative 0–1000 or pixels: the row says which, and nothing is converted here).

    Raises:
        ValueError: unknown ``answer_type``.
    """
    if answer_type not in ANSWER_TYPES:
        raise ValueError(f"unknown answer_type {answer_type!r}; it must be one of: {', '.join(ANSWER_TYPES)}")
    if got is None:
        return False
    if answer_type == "number":
        a, b = parse_number(got), parse_number(want)
        if a is not None and b is not None:
            return abs(a - b) <= 1e-6 * max(1.0, abs(b))
        return False
    if answer_type == "box":
        first_box, second_box = parse_box(got), parse_box(want)
        return first_box is not None and second_box is not None and _iou(first_box, second_box) >= MIN_IOU
    if answer_type == "choice":
        return _option(got) == _option(want)
    if answer_type == "yesno":
        first = (normalise(got).split() or [""])[0]
        gold = (normalise(want).split() or [""])[0]
        return (first in _YES and gold in _YES) or (first in _NO and gold in _NO)
    return normalise(got) == normalise(want)


def normalise(text: str) -> str:
    """Lower case, no accents of width, no punctuation, single spaces, no leading article."""
    text = unicodedata.normalize("NFKC", text).casefold()
    words = re.sub(r"[^\w\s]", " ", text).split()
    while len(words) > 1 and words[0] in _ARTICLES:
        words = words[1:]
    return " ".join(words)


def parse_number(text: str) -> float | None:
    """The one number a short answer states (digits or zero…ten), ``None`` when there is none or more than one."""
    numbers = [float(n.replace(",", "")) for n in _NUMBER.findall(text)]
    numbers += [float(_NUMBER_WORDS[w]) for w in normalise(text).split() if w in _NUMBER_WORDS]
    return numbers[0] if len(numbers) == 1 else None


def parse_box(text: str) -> tuple[float, float, float, float] | None:
    """The one box ``x0, y0, x1, y1`` a short answer states, whatever brackets surround it.

    ``None`` unless there are exactly four numbers with ``x0 < x1`` and ``y0 < y1``.
    """
    numbers = [float(n) for n in _COORDINATE.findall(text)]
    if len(numbers) != 4 or not (numbers[0] < numbers[2] and numbers[1] < numbers[3]):
        return None
    return numbers[0], numbers[1], numbers[2], numbers[3]


def _iou(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


def _option(text: str) -> str:
    """``(B) red`` and ``b.`` are option b; a longer answer without a letter is compared as text."""
    m = re.match(r"^\s*\(?\s*([A-Za-z])\s*(?:[).:]|$)", text)
    return m.group(1).casefold() if m else normalise(text)


def _braced(text: str, start: int) -> str | None:
    depth = 1
    for end in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        if depth == 0:
            return text[start:end]
    return None
