"""One spelling for characters that mean the same: digits of all scripts, minus signs, superscripts, spaces, quotes.

Every parser of this package reads folded text. Folding never changes what an answer says: combining marks (the vowels
of Thai and Devanagari) and symbols stay, and a superscript becomes ``^2`` instead of the digit that NFKC makes of it.
Source: ours.
"""

from __future__ import annotations

import re
import unicodedata

_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ", "0123456789-+n", strict=True))
_SUPERSCRIPT_RUN = re.compile(f"[{''.join(_SUPERSCRIPTS)}]+")
_FRACTION = re.compile(r"(\d?)([½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞⅐⅑⅒])")
#: Characters that NFKC leaves apart, or folds into something that means another thing.
_SAME = str.maketrans(
    {
        **dict.fromkeys("\u2212\u2010\u2011\u2012\u2013\ufe63\uff0d", "-"),  # minus, hyphens, en dash, full width
        **dict.fromkeys("‘’‚‛ʼ′´＇", "'"),
        **dict.fromkeys("“”„‟″«»＂", '"'),
        **dict.fromkeys("\u2215\u2044∕", "/"),
        **dict.fromkeys("∗✕✖⨯", "×"),
        **dict.fromkeys("⋅∙•‧・", "·"),
        "µ": "μ", "\u2126": "Ω", "º": "°", "˚": "°", "∶": ":", "٫": ".", "٬": ",", "٪": "%", "﹪": "%", "،": ",",
        "؛": ";",
        "㎡": "m^2", "㎥": "m^3", "㎢": "km^2", "㎠": "cm^2", "㎤": "cm^3", "㎜": "mm", "㎝": "cm", "㎞": "km",
        "㎏": "kg",
        "。": ".", "、": ",",
    }
)  # fmt: skip
#: Zero width space, marks of direction, soft hyphen, byte-order mark. The joiners stay: scripts and emoji need them.
_INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
_SPACES = re.compile(r"[^\S\n]+")
_PLAIN = re.compile(r"[\x21-\x5f\x61-\x7e]+(?: [\x21-\x5f\x61-\x7e]+)*\Z")


def fold_characters(text: str) -> str:
    """Return the text in NFKC with ASCII digits, one minus sign, plain spaces, and ``^2`` for a superscript.

    ``−５ m²`` becomes ``-5 m^2``, ``2½`` becomes ``2 1/2``, ``٣٫٥`` becomes ``3.5``. Line breaks stay.
    """
    if _PLAIN.match(text):  # most answers: nothing to do, in a twentieth of the time
        return text
    text = _SUPERSCRIPT_RUN.sub(lambda m: "^" + "".join(_SUPERSCRIPTS[c] for c in m.group()), text)
    text = _FRACTION.sub(lambda m: f"{m[1]} {_vulgar(m[2])}" if m[1] else _vulgar(m[2]), text)
    text = unicodedata.normalize("NFKC", text.translate(_SAME)).translate(_SAME)
    text = "".join(_digit(c) for c in text) if not text.isascii() else text
    return _SPACES.sub(" ", _INVISIBLE.sub("", text)).strip(" ")


def fold_case(text: str) -> str:
    """Return the text in one case, with the ``İ`` of Turkish as ``i``: case folding alone leaves a dot above it."""
    return text.replace("İ", "i").casefold()


def lower_in_place(text: str) -> str:
    """Return the text in lower case, character for character: of all letters, only ``İ`` would become two."""
    return text.replace("İ", "i").lower()


def _vulgar(character: str) -> str:
    return unicodedata.normalize("NFKC", character).replace("\u2044", "/")


def _digit(character: str) -> str:
    """The ASCII digit of a decimal digit of any script (Arabic, Devanagari, Thai …); anything else as it is."""
    if character.isascii() or unicodedata.category(character) != "Nd":
        return character
    return str(unicodedata.decimal(character))
