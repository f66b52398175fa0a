"""Words around a number that change nothing (``there are``) and words that change everything (``or``, ``not``).

The parsers take off the first kind and refuse a text with the second: what is left over decides. Source: ours.
"""

from __future__ import annotations

import re

from mindgpt_plugins.answers.characters import lower_in_place
from mindgpt_plugins.answers.numerals import ENGLISH, read_number_words, scan_words, split_words

_LEAD = re.compile(
    r"(?:(?:so|thus|hence|therefore|then)\b,?\s+"
    r"|(?:the|my|our|its|a|an)\s+(?=(?:final|correct|right|total|answer|result|sum|value|count|number|amount|price|cost|area|length|height"
    r"|width|distance|speed|weight|mass|volume|temperature|time|age|ratio|probability|average|mean|difference|product"
    r"|perimeter|angle|year|score|quantity|grand)\b)"
    r"|(?:final|correct|right|grand)\s+(?=(?:answer|result|total|value|count)\b)"
    r"|(?:total\s+)?(?:answer|result|total|sum|value|count|number|amount|price|cost|area|length|height|width|distance|speed|weight"
    r"|mass|volume|temperature|time|age|ratio|probability|average|mean|difference|product|perimeter|angle|score|quantity)"
    r"(?:\s+of(?:\s+[a-z]+){1,4}?)?(?:\s*(?:is|are|was|equals|comes to)\b|\s*[:=])\s*"
    r"|there\s+(?:is|are|were|was)\s+|there's\s+|it\s+(?:is|was|equals|has|shows|says|costs|takes)\s+|it's\s+"
    r"|(?:that|this|these|those)\s+(?:is|are)\s+|(?:i|we)\s+(?:can\s+)?(?:count|counted|see|get|have|find|found)\s+"
    r"|(?:a\s+)?total\s+of\s+|in\s+total,?\s+|equals?\s+|equal\s+to\s+|is\s+|are\s+"
    r"|(?:exactly|only|just|precisely|about|approximately|approx\.?|around|roughly|circa|ca\.?)\s+"
    r"|(?:in|around)\s+(?=\d{4}(?!\d))|es\s+(?:sind|gibt|ist)\s+|das\s+(?:sind|ist)\s+|(?:ungefähr|etwa|genau|nur|insgesamt|rund)\s+"
    r"|il\s+y\s+(?:en\s+)?a\s+|c'est\s+|ce\s+sont\s+|(?:environ|exactement|seulement)\s+"
    r"|(?:hay|son|es)\s+|(?:aproximadamente|exactamente|solo|sólo|unos|unas|cerca de)\s+|há\s+|são\s+|existem\s+"
    r"|ci\s+sono\s+|c'è\s+|sono\s+|(?:около|примерно|ровно|всего|примерно)\s+|er\s+zijn\s+|ada\s+|có\s+"
    r"|(?:一共|总共|總共|共|合计)?有\s*|(?:一共|总共|總共|共|大约|大概|约|約|为|是|等于)(?:是|有)?\s*|全部で|合計|모두\s*|총\s*|약\s*"
    r"|[≈~=]\s*)",
    re.IGNORECASE,
)
_EQUATION = re.compile(
    r"(?:[A-Za-zα-ωΑ-Ω](?:_?\w{1,4})?(?:\s*\(\s*\w{1,3}\s*\))?|[-\d\s+*/×÷·().^]{3,60})\s*=\s*(?=\S)"
)
#: A word after a number that makes it another number, or two, or none.
_CHANGES = frozenset(
    split_words(
        "or nor not no than but maybe perhaps possibly probably if unless versus vs until till more less fewer plus "
        "minus x power squared cubed factorial wait actually instead either neither except excluding least most "
        "almost nearly unsure unknown uncertain th st nd rd oder noch nicht mehr weniger sondern aber vielleicht kein "
        "keine ou ni pas moins mais jusqu peut hasta más mas menos pero quizás tal vez talvez até oppure più meno "
        "forse non или до не больше меньше более менее но может lub albo nie więcej mniej veya değil fazla eller inte "
        "fler sau peste або чи nebo anebo či tai vai enemmän vähemmän vähintään ή περισσότερα περισσότερο λιγότερα או "
        "vagy বা অথবা albo do bis fler hoặc không hơn atau tidak lebih kurang أو ليس أكثر أقل या नहीं अधिक หรือ ไม่"
    )
)
#: Between two numbers: and, or, to.
_BETWEEN = frozenset(
    split_words(
        "and or to und oder bis et ou à y e o u a en tot och eller til till og i lub albo do oraz ve veya ila dan atau "
        "sampai hingga và hoặc đến tới और या से तक و أو إلى และ หรือ ถึง και ή έως и или до та й або чи і nebo anebo či "
        "až și şi sau ja tai vai או עד és vagy বা এবং ও"
    )
)
#: The same without spaces, and as a letter before the word.
_BETWEEN_HAN = re.compile(r"[和与與及跟と、か〜~]\s*(?=[^\W\d_])")
_ATTACHED = ("و", "ו")
_CHANGES_HAN = re.compile(
    "或|至|到|不|没|多|以上|以下|左右|还是|也许|可能|または|から|ないし|以内|未満|또는|이상|이하|아니"
)
#: Where a reason begins that no longer changes the answer.
_REASON = re.compile(
    r"\s*[,;(]?\s*(?:\b(?:because|since|as (?:there|it|the|we|i|they|can)|given that|due to|weil|denn|parce qu"
    r"|car il|porque|perché"
    r"|потому что|так как)\b|因为|因為|なぜなら|왜냐하면).*",
    re.IGNORECASE | re.DOTALL,
)


def strip_lead(text: str) -> str:
    """Take off what merely introduces a number: ``there are``, ``x =``, ``about``, ``the total is``, ``一共有``."""
    for _ in range(6):
        found = _LEAD.match(text) or _EQUATION.match(text)
        if found is None or found.end() >= len(text):
            return text
        text = text[found.end() :]
    return text


def strip_reason(text: str) -> str:
    """Cut ``5 because two are hidden`` before the reason."""
    found = _REASON.search(text)
    return text[: found.start()] if found and found.start() else text


def changes_number(text: str) -> bool:
    """Do the words after a number make it another one: ``or``, ``more``, ``not``, a second number, ``以上``?"""
    if _CHANGES_HAN.search(text):
        return True
    small = lower_in_place(text)
    if any(word in _CHANGES or word in ENGLISH for word, _, _ in scan_words(small)):
        return True
    return _holds_number_words(small)


def _holds_number_words(text: str) -> bool:
    """Does another number stand in it, in the words of any language, where it can be no noun?

    That is behind ``and``, ``or``, ``to`` or a comma; in other scripts than Latin also at the start (``две три``). One
    is no other number: it is an article in many languages.
    """
    places = [found.end() for found in _BETWEEN_HAN.finditer(text)]
    before, end = "", 0
    for word, begin, after in scan_words(text):
        gap = text[end:begin]
        if before in _BETWEEN or "," in gap or ";" in gap or (not before and ord(word[0]) > 0x36F):
            places.append(begin)
        if word.startswith(_ATTACHED) and len(word) > 2:
            places.append(begin + 1)
        before, end = word, after
    for place in places:
        found = read_number_words(text, place)
        if found is not None and found[0] != 1:
            return True
    return False
