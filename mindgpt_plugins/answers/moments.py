"""Dates and times of day, which the types ``text`` and ``math`` compare by what they mean. Source: ours.

``12 May 2020``, ``May 12, 2020`` and ``2020-05-12`` are one date; ``2:30 pm`` and ``14:30`` are one time. A date
whose day and month cannot be told apart (``03/04/2020``) is only equal to itself as written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mindgpt_plugins.answers.characters import fold_characters

_MONTHS = (
    "january jan januar janvier enero janeiro gennaio januari января styczeń stycznia ocak januari",
    "february feb februar février fevrier febrero fevereiro febbraio februari февраля luty lutego şubat",
    "march mar märz maerz mars marzo março maart марта marzec marca mart maret",
    "april apr avril abril aprile апреля kwiecień kwietnia nisan",
    "may mai mayo maio maggio mei мая maj maja mayıs",
    "june jun juni juin junio junho giugno июня czerwiec czerwca haziran",
    "july jul juli juillet julio julho luglio июля lipiec lipca temmuz",
    "august aug août aout agosto augustus августа sierpień sierpnia ağustos agustus",
    "september sep sept septembre septiembre setembro settembre сентября wrzesień września eylül",
    "october oct oktober octobre octubre outubro ottobre октября październik października ekim",
    "november nov novembre noviembre novembro ноября listopad listopada kasım",
    "december dec dezember décembre decembre diciembre dezembro dicembre декабря grudzień grudnia aralık desember",
)
_MONTH = {word: number for number, words in enumerate(_MONTHS, 1) for word in words.split()}
_DAY_NAMES = r"(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day,?\s+)?(?:on\s+)?(?:the\s+|am\s+|le\s+|el\s+)?"
_FORMS = (
    re.compile(_DAY_NAMES + r"(?P<d>\d{1,2})(?:st|nd|rd|th|er|\.|º)?\s*(?:of\s+|de\s+)?(?P<m>[^\W\d_]{3,10})"
               r"\.?,?\s*(?:de\s+|del\s+)?(?P<y>\d{4})?(?:\s*(?:г\.|г|года|r\.))?"),
    re.compile(_DAY_NAMES + r"(?P<m>[^\W\d_]{3,10})\.?\s+(?:the\s+)?(?P<d>\d{1,2})(?:st|nd|rd|th)?"
               r"(?:,?\s+(?P<y>\d{4}))?"),
    re.compile(r"(?P<m>[^\W\d_]{3,10})\.?,?\s+(?:of\s+|de\s+)?(?P<y>\d{4})"),
    re.compile(r"(?P<y>\d{4})[-/.](?P<n>\d{1,2})[-/.](?P<d>\d{1,2})"),
    re.compile(r"(?P<y>\d{4})\s*年\s*(?P<n>\d{1,2})\s*月(?:\s*(?P<d>\d{1,2})\s*[日号])?"),
    re.compile(r"(?P<n>\d{1,2})\s*月\s*(?P<d>\d{1,2})\s*[日号]"),
    re.compile(r"(?P<y>\d{4})\s*년\s*(?P<n>\d{1,2})\s*월(?:\s*(?P<d>\d{1,2})\s*일)?"),
)  # fmt: skip
_NUMERIC = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})")
_CLOCK = re.compile(
    r"(?:at\s+|um\s+|à\s+|a las\s+)?(?P<h>\d{1,2})(?:(?:[:.h]|\s*uhr\s*|\s*h\s*)(?P<m>\d{2})(?::(?P<s>\d{2}))?)?\s*"
    r"(?P<half>a\.?m\.?|p\.?m\.?|uhr|h|o'clock(?:\s*(?P<late>a\.?m\.?|p\.?m\.?))?)?"
)
_HAN_CLOCK = re.compile(
    r"(?P<half>上午|下午|晚上|早上|凌晨|午前|午後|오전|오후)?\s*(?P<h>\d{1,2})\s*[点點时時시]\s*(?:(?P<m>\d{1,2})\s*[分분]?|(?P<mid>半|반))?(?:整)?"
)


@dataclass(frozen=True)
class Moment:
    """A date (year, month, day; None where it is not said) or a time (hours, minutes, seconds)."""

    kind: str
    parts: tuple[int | None, ...]


def read_moment(text: str) -> tuple[Moment | None, tuple[Moment, ...]]:
    """Read a date or a time that is the whole text: the reading that is taken, and those that are not."""
    text = fold_characters(text).casefold().strip(" .,")
    if len(text) > 40 or not any(c.isdigit() for c in text) and text not in ("noon", "midnight"):
        return None, ()
    if text in ("noon", "midnight"):
        return Moment("time", (12 if text == "noon" else 0, 0, 0)), ()
    numeric = _NUMERIC.fullmatch(text)
    if numeric:
        a, b, year = int(numeric[1]), int(numeric[3]), int(numeric[4])
        found = [Moment("date", (year, m, d)) for m, d in dict.fromkeys(((a, b), (b, a))) if _is_date(m, d)]
        return (found[0], ()) if len(found) == 1 else (None, tuple(found))
    for form in _FORMS:
        matched = form.fullmatch(text)
        if matched:
            parts = matched.groupdict()
            month = _MONTH.get(parts["m"]) if parts.get("m") else int(parts.get("n") or 0)
            day = int(parts["d"]) if parts.get("d") else None
            if month and _is_date(month, day):
                return Moment("date", (int(parts["y"]) if parts.get("y") else None, month, day)), ()
    return _time(text)


def _is_date(month: int, day: int | None) -> bool:
    return 1 <= month <= 12 and (day is None or 1 <= day <= 31)


def _time(text: str) -> tuple[Moment | None, tuple[Moment, ...]]:
    found = _CLOCK.fullmatch(text)
    if found and (found["m"] or found["half"]) and not (found["half"] is None and "." in text):
        half = (found["late"] or found["half"] or "").replace(".", "")
        hour, minute, second = int(found["h"]), int(found["m"] or 0), int(found["s"] or 0)
    else:
        found = _HAN_CLOCK.fullmatch(text)
        if found is None:
            return None, ()
        half = {"上午": "am", "早上": "am", "凌晨": "am", "午前": "am", "오전": "am", None: ""}.get(found["half"], "pm")
        hour, minute, second = int(found["h"]), 30 if found["mid"] else int(found["m"] or 0), 0
    if minute > 59 or second > 59 or hour > (12 if half in ("am", "pm") else 24):
        return None, ()
    if half == "pm":
        return Moment("time", (hour % 12 + 12, minute, second)), ()
    if half == "am":
        return Moment("time", (hour % 12, minute, second)), ()
    later = (Moment("time", (hour + 12, minute, second)),) if 0 < hour < 12 and not half.startswith("uhr") else ()
    return Moment("time", (hour, minute, second)), later
