r"""Finds the final answer in a reply.

What counts, the last one in the reply: ``answer: X`` (in many languages, bold, as a heading, with X on the next line),
``the answer is X``, ``\boxed{X}``, ``<answer>X</answer>``; for ``json`` the last JSON value; for ``box`` also the JSON
of a grounding model; for ``choice`` also a last line that is a letter. Never inside reasoning. Source: ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from mindgpt_plugins.answers.json_value import find_first_json, find_last_json, parse_json
from mindgpt_plugins.answers.numerals import SCALES
from mindgpt_plugins.answers.reasoning import strip_reasoning
from mindgpt_plugins.answers.unit_table import parse_unit
from mindgpt_plugins.answers.wrappers import simplify_latex, strip_wrapping

_WORDS = (
    r"answers?|antwort|lösung|réponse|reponse|respuesta|resposta|risposta|ответ|відповідь|cevap|yanıt|odpowiedź|odpověď|antwoord|svar|jawaban"
    r"|vastaus|válasz|răspuns|απάντηση|đáp án|câu trả lời|trả lời|คำตอบ|उत्तर|जवाब|الجواب|الإجابة|الاجابة|תשובה"
    r"|উত্তর|답변|정답|답|최종 답"
    r"|最终答案|最終答案|正确答案|答案|解答|答え|正解|回答|最終的な答え|答"
)
_IS = r"is|are|ist|lautet|est|es|é|è|是|为|為|は|は次の通り"
_EDGE = r"(?<![^\W\d_])"  # no word before it; Chinese and Thai have no spaces, so those may follow letters
_MARK = r"[*_`]{0,3}"
_COLON = re.compile(
    rf"(?:{_EDGE}"
    rf"|(?<=[\u3040-\u9fff\u0e00-\u0e7f\uac00-\ud7af]))(?:{_WORDS})(?:\s*\([^()\n]{{0,20}}\))?{_MARK}[ \t]*"
    rf"(?:{_IS})?[ \t]*{_MARK}[ \t]*[:：]{_MARK}[ \t]*",
    re.IGNORECASE,
)
_SENTENCE = re.compile(
    rf"{_EDGE}answers?\s+(?:to\s+(?:the|this|your)\s+(?:question|problem)\s+)?(?:is|are|would be|should be"
    rf"|must be)\s+(?:therefore\s+|thus\s+|then\s+|that\s+)?"
    rf"|{_EDGE}(?:antwort\s+(?:ist|lautet)|réponse\s+(?:finale\s+)?est|respuesta\s+(?:final\s+|correcta\s+)?es|resposta\s+(?:final\s+|correta\s+)?é|risposta\s+(?:finale\s+)?è"
    rf"|cevap\s+|jawabannya\s+adalah|đáp án là|câu trả lời là)\s+"
    r"|(?:答案|正确答案|最终答案|正解)\s*(?:应该|應該|应|就)?(?:是|为|為|选|選)\s*|(?:答え|正解|解答)は\s*"
    r"|(?:정답|답)은\s*|คำตอบคือ\s*|उत्तर है\s+|الجواب هو\s+|الإجابة هي\s+|ответ\s*[—–-]\s*|=>\s*answer\s+",
    re.IGNORECASE,
)
_HEADING = re.compile(
    rf"^[ \t]*(?:#{{1,6}}[ \t]*{_MARK}(?:final[ \t]+|the[ \t]+)?(?:{_WORDS}){_MARK}[:：]?{_MARK}"
    rf"|\*\*(?:final[ \t]+|the[ \t]+)?(?:{_WORDS})[:：]?\*\*[:：]?)[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_TAG = re.compile(r"<answer>(.*?)</answer>", re.IGNORECASE | re.DOTALL)
_TAG_END = re.compile(r"</answer>", re.IGNORECASE)
_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{")
_OPTION_IS = re.compile(r"(?<![^\W\d_])(?:correct|right|best)\s+(?:option|choice)\s+is\s*:?\s*", re.IGNORECASE)
_CHOSEN = re.compile(
    r"(?<![不没別别])"
    r"(?:故|应|應|所以|因此|答案)?[选選](?:择|擇|项|項)?\s*[:：]?\s*(?=[(（]?[A-Z][)）]?\s*(?:[.。,，;；\s]|$))"
)
#: Before a marker: it is somebody else's, or no answer.
_NOT_MINE = re.compile(
    r"(?:wrong|incorrect|not (?:the|my|an)|isn't the|another|other|previous|earlier|possible|student's|user's|his"
    r"|her|their|错误|不是)\s*$",
    re.IGNORECASE,
)
_SPECIAL = re.compile(r"<\|[^|<>]*\|>|</?s>|<eos>|<end_of_turn>|</answer>", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?](?=\s|$|[*_\"'])|[。！？]")
_JOINED = re.compile(r"\s*\$?\s*(?:,|;|\band\b|\bor\b|和|或|及)\s*(?:(?:or|and)\s+)?\$?\s*(?:[A-Za-z]\s*=\s*)?")
_LETTER_LINE = re.compile(
    r"[*_`]{0,3}[(（\[]?([A-Z])[)）\]]?(?:[.:：]|[*_`]{1,3})*(?:\s*(?<=[).:：）\]*])\s*\S[^\n]{0,80})?"
)
_SHORTENED = frozenset({"Dr", "Mr", "Mrs", "Ms", "St", "No", "approx", "vs", "ca", "Prof", "Jr", "Sr"})
_EMPTY = re.compile(r"\s*(?:[*_`]{2,}|[#-]+)?\s*")
_ITEM = re.compile(r"\s*(?:(?P<bullet>[-*•])|(?P<number>\d{1,2})[.)])\s+(?=\S)")
_MOST_LINES = 40
LONGEST = 200_000
"""Characters, from the end, that are looked at."""


def extract_answer(reply: str, answer_type: str = "text", *, lines: bool = False) -> str | None:
    """Return the final answer of a reply, or None when it states none.

    Args:
        reply: all of it. Only what follows the *last* marker counts; an empty answer is None.
        answer_type: decides what else than a marker counts, see the module.
        lines: below a marker that ends its line, the answer is all lines up to an empty one and not the first alone:
            several answers are wanted. A list with bullets or numbers is read whole in any case.
    """
    text = strip_reasoning(reply[-LONGEST:])
    if not text.strip():
        return None
    if answer_type == "json":
        return _json(text)
    found = _marked(text, answer_type, lines)
    if answer_type == "box":
        return _box(text, found)
    if found is None and answer_type == "choice":
        return _letter_line(text)
    return None if found is None else found[1]


def _marked(text: str, answer_type: str, lines: bool = False) -> tuple[int, str] | None:
    """Place and answer of the last marker."""
    # Only the last marker's answer is read, so that the time is linear in the text, whatever it is.
    found: list[tuple[int, Callable[[], str]]] = [
        (match.start(), partial(read, text, match.end()))
        for pattern, read in (
            (_COLON, partial(_rest_of_line, lines=lines)),
            (_SENTENCE, _rest_of_sentence),
            (_HEADING, partial(_rest_of_line, lines=lines)),
        )
        for match in pattern.finditer(text)
        if pattern is _HEADING or _is_mine(text, match.start())
    ]
    if answer_type == "choice":
        chosen = [m for pattern in (_CHOSEN, _OPTION_IS) for m in pattern.finditer(text)]
        found += [(m.start(), partial(_rest_of_sentence, text, m.end())) for m in chosen]
    # An opening tag or brace that nothing closes is not searched to the end.
    closed = max((m.end() for m in _TAG_END.finditer(text)), default=0)
    found += [(m.start(), partial(_inside, m.group(1))) for m in _TAG.finditer(text, 0, closed)]
    found += [(place, partial(str, inner)) for place, inner in _boxes(text, answer_type)]
    if not found:
        return None
    # `answer: \boxed{4}` has two markers; the later one is the inner one, so taking the last unwraps it.
    place, read_answer = max(found, key=lambda one: one[0])
    answer = _tidy(read_answer())
    return (place, answer) if answer else None


def _is_mine(text: str, start: int) -> bool:
    return _NOT_MINE.search(text[max(0, start - 24) : start]) is None


def _inside(content: str) -> str:
    """What a tag holds: a marker inside it is unwrapped, as models write both."""
    inner = _COLON.match(content.strip())
    if inner:
        return content.strip()[inner.end() :]
    return _list_items(content.split("\n", _MOST_LINES)) or content


def _rest_of_line(text: str, start: int, lines: bool = False) -> str:
    """The rest of the marker's line; when nothing else stands there, the next line that is not empty, or a list."""
    line, _, more = text[start:].partition("\n")
    if not _EMPTY.fullmatch(line):
        return line
    below = more.split("\n", _MOST_LINES)[:_MOST_LINES]
    for place, line in enumerate(below[:4]):
        if not _EMPTY.fullmatch(line) and not line.strip().startswith("```"):
            if items := _list_items(below[place:]):
                return items
            after = next((i for i in range(place, len(below)) if not below[i].strip()), len(below))
            return "\n".join(below[place:after]) if lines else line
    return ""


def _list_items(lines: list[str]) -> str:
    """The items of the list that the lines begin with, one a line and without their marks; empty when none or one."""
    items: list[str] = []
    kind = ""
    for line in lines:
        if not line.strip():
            continue
        found = _ITEM.match(line)
        mark = "" if found is None else found["bullet"] or "number"
        if found is None or (items and mark != kind) or (found["number"] and int(found["number"]) != len(items) + 1):
            break
        kind = mark
        items.append(line[found.end() :])
    return "\n".join(items) if len(items) > 1 else ""


def _rest_of_sentence(text: str, start: int) -> str:
    line = _rest_of_line(text, start) if text[start : start + 1] != "\n" else ""
    end = _SENTENCE_END.search(line)
    while end is not None and _abbreviates(line, end.start()):
        end = _SENTENCE_END.search(line, end.end())
    return line if end is None else line[: end.start() + (end.group() not in ".。")]


def _abbreviates(line: str, place: int) -> bool:
    """Is the dot one of "E. coli", "Dr. Smith", "3 p.m. today"?"""
    before = line[:place].rsplit(" ", 1)[-1]
    after = line[place + 1 :].lstrip()
    return (
        line[place] == "."
        and bool(after)
        and (len(before.strip("(*\"'")) == 1 or before in _SHORTENED or re.search(r"[^\W\d_]\.", before) is not None)
    )


def _tidy(answer: str) -> str:
    answer = _SPECIAL.sub("", answer).strip()
    for mark in ("**", "__"):
        if answer.count(mark) % 2:  # `**Answer: 7**`: the other one stands before the marker
            answer = answer[: -len(mark)] if answer.endswith(mark) else answer.removeprefix(mark)
            answer = answer.strip()
    answer = answer.replace("**.", ".").strip() if answer.count("**") % 2 else answer
    return strip_wrapping(answer)


def _boxes(text: str, answer_type: str) -> list[tuple[int, str]]:
    r"""Places and contents of all ``\boxed{…}``; several that ``and``, ``or`` or a comma joins are one answer."""
    opened = list(_BOXED.finditer(text))
    if not opened:
        return []
    ends = _braces(text)
    whole = [(m.start(), m.end(), ends[m.end() - 1]) for m in opened if m.end() - 1 in ends]
    found: list[tuple[int, str]] = []
    before_end = -1
    for start, begin, end in whole:
        inner = text[begin:end]
        joint = _JOINED.fullmatch(text, before_end, start) if found and 0 <= before_end <= start else None
        if joint:
            found[-1] = (start, f"{found[-1][1]} {joint.group().strip(' $') or ','} {inner}")
        else:
            found.append((start, inner))
        before_end = end + 1
        found[-1] = (
            found[-1][0],
            _with_tail(found[-1][1], text[end + 1 : end + 61], text[max(0, start - 3) : start], answer_type),
        )
    return found


def _with_tail(inner: str, tail: str, head: str, answer_type: str) -> str:
    r"""Add the unit or scale that stands outside the box: ``\boxed{3} million``, ``\boxed{5}\text{ m}``."""
    if answer_type not in ("number", "unit"):
        return inner
    money = re.search(r"(?:\\?\$|[€£¥₹])\s*$", head)
    if money and money.group().strip() != "$":
        inner = money.group().strip().lstrip("\\") + inner
    plain = simplify_latex(re.split(r"[.,;:!?\n]\s|[.,;:!?]?$|[。，]", tail.replace("$", " "), maxsplit=1)[0]).strip(
        " )\\"
    )
    first = plain.split(" ", 1)[0].casefold() if plain else ""
    if first in SCALES or first in ("%", "percent", "per"):
        return f"{inner} {plain}" if parse_unit(plain) or first in SCALES else f"{inner}%"
    return f"{inner} {plain}" if plain and answer_type == "unit" and parse_unit(plain) else inner


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


def _json(text: str) -> str | None:
    """The JSON after the last marker, else the last one of the text, else a marker's scalar."""
    markers = [m.end() for m in _COLON.finditer(text)]
    if markers and (after := find_first_json(text[markers[-1] :])) is not None:
        return after
    found = find_last_json(text)
    if found is not None:
        return found
    scalar = _marked(text, "json")
    return scalar[1] if scalar and parse_json(scalar[1]) else None


def _box(text: str, found: tuple[int, str] | None) -> str | None:
    if found is not None:
        # The JSON of a marker may go on over many lines.
        if _is_open(found[1]):
            place = text.find(found[1][:1], found[0]) if not found[1].startswith("```") else text.find("```", found[0])
            return find_first_json(text[place:]) or found[1]
        return found[1]
    if '"bbox' in text:  # grounding models answer in JSON over many lines
        return find_last_json(text)
    tagged = re.findall(r"<box>(.*?)</box>|<\|box_start\|>(.*?)<\|box_end\|>", text, re.DOTALL) if "box" in text else []
    return "; ".join(a or b for a, b in tagged) or None


def _is_open(line: str) -> bool:
    """Does a fence or a bracket of JSON begin on this line and not end on it?"""
    return line.startswith("```") or (
        line[:1] in "[{" and sum(line.count(c) for c in "[{") > sum(line.count(c) for c in "]}")
    )


def _letter_line(text: str) -> str | None:
    lines = [line.strip() for line in _SPECIAL.sub("", text).split("\n") if line.strip()]
    return strip_wrapping(lines[-1]) if lines and _LETTER_LINE.fullmatch(lines[-1]) else None
