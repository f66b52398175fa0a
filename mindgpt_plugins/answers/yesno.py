"""Answers of type ``yesno``. Abstaining (``no idea``, ``N/A``, ``yes and no``) is never right. Source: ours."""

from __future__ import annotations

import re

from mindgpt_plugins.answers.characters import fold_characters
from mindgpt_plugins.answers.errors import GoldError
from mindgpt_plugins.answers.numerals import split_words
from mindgpt_plugins.answers.wrappers import simplify_latex, strip_brackets, strip_wrapping

_YES = split_words(
    "yes true y yeah yep ja wahr oui vrai si sí verdadero cierto sim verdadeiro sì vero да верно правда evet "
    "doğru tak prawda 有 是 是的 对 对的 對 正确 正確 はい そうです 예 네 맞아요 हाँ हां جी نعم אכן כן có "
    "đúng vâng ya iya benar так правильно adevărat ใช่ จริง ναι áno ano igen da sann sant sandt jā kyllä"
)
_NO = split_words(
    "no false n nope nein falsch non faux falso não nao нет неверно ложь hayır hayir yanlış nie fałsz 没有 否 不 "
    "不是 不对 不對 错 错误 いいえ いや 違います 아니요 아니오 아뇨 नहीं لا לא không sai tidak bukan salah ไม่ "
    "ไม่ใช่ όχι ні неправильно ne nu nem nej nee nei usann ei"
)
_WORDS = {**dict.fromkeys(_YES, True), **dict.fromkeys(_NO, False)}
_LEAD = re.compile(
    r"(?:(?:the\s+)?(?:correct\s+|final\s+)?answer\s+is\s*:?\s+|it\s+is\s+|it's\s+|that\s+is\s+|that's\s+"
    r"|(?:definitely|certainly|clearly|absolutely|of course)\s*,?\s+)",
    re.IGNORECASE,
)
_HEAD = re.compile(r"([^\W_]+(?:[\u0300-\u036f\u0900-\u097f\u0e00-\u0e7f\u200d]*[^\W_]*)*)(.*)", re.DOTALL)
#: What may stand between the word and what explains it.
_BREAK = re.compile(r"\s*[,.;:!—–。、]+\s*|\s+-+\s+|\n+|\s*[(（]")
#: Without a comma: "yes it is", "no there isn't", "yes because".
_SHORT = re.compile(
    r"\s+(?:(?P<who>it|there|they|he|she|this|that|these|those|i|we|you)\s+(?P<verb>is|are|was|were"
    r"|does|do|did|has|have|can|will|would|should)(?P<not>\s*not|n't)?"
    r"|(?P<isnt>it|there|they|he|she|this|that|these|those|i|we|you)\s+(?:isn't|aren't|wasn't"
    r"|weren't|doesn't|don't|didn't|hasn't|haven't|can't|cannot|won't)"
    r"|(?:because|since|as|weil|parce|porque)\b)(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_NEGATION = re.compile(
    r"\b(?:not|no|none|never|nothing|neither|without|cannot|kein|keine|keinen|nicht|pas|aucune?"
    r"|ningún|ninguna|não|нет|не)\b|n't\b|没|不|ない|ません|없",
    re.IGNORECASE,
)
#: What goes back on the word, or asks.
_BACK = re.compile(
    r"\b(?:but|wait|actually|however|although|or|aber|doch|oder|eigentlich|mais|ou|pero|sino|mas|porém|oppure|però"
    r"|maar|eller|lub|albo|nebo|но|однако|или|але|або|чи|fakat|veya|tapi|tetapi|atau|nhưng|hoặc|lekin"
    r"|mutta|sau|αλλά|ή|אבל|או)\b|\?|但|不过|不過|しかし|でも|하지만|그러나|또는|لكن|أو|लेकिन|या(?=\s)|แต่|หรือ",
    re.IGNORECASE,
)
_ABSTAIN = re.compile(
    r"\b(?:not (?:sure|certain|clear|enough|possible|determinable|applicable|visible)|(?:can(?:not|'t| not)"
    r"|could(?:n't| not)|unable to|impossible to|hard to|difficult to)\s+"
    r"(?:be\s+)?(?:tell|say|determin\w*|know|see|answer\w*|judge|verif\w*|confirm\w*|decid\w*)"
    r"|unknown|unclear|unsure|uncertain|maybe|perhaps|possibly|might|"
    r"don't know|do not know|no idea|depends|insufficient|either way|keine ahnung|vielleicht|unklar"
    r"|je ne sais pas|peut-être|no sé|quizás|tal vez|talvez|não sei|"
    r"не знаю|может быть|bilmiyorum)\b|不知道|不确定|无法|也许|可能|わかりません|分かりません|不明|모르|불확실"
    r"|لا أعرف|ไม่ทราบ|पता नहीं"
    # The same in other languages: not to be seen, said, known or determined.
    r"|\b(?:nicht (?:zu )?(?:\w+ )?(?:erkennen|erkennbar|sagen|bestimmen|feststell\w*|sicher|klar)"
    r"|lässt sich nicht (?:\w+ )?(?:sagen|erkennen|bestimmen|feststellen|beurteilen)|weiß (?:es )?nicht"
    r"|(?:on|je) ne (?:sai[st]|peu[tx] pas (?:\w+ )?(?:dire|savoir|déterminer"
    r"|voir))|impossible (?:de|à) (?:\w+ )?(?:dire|savoir"
    r"|déterminer|voir)|indétermin\w*"
    r"|no se (?:puede|pudo) (?:saber|decir|determinar|ver|distinguir)|no se sabe"
    r"|non (?:lo so|si sa|si può (?:dire|sapere|determinare|vedere))"
    r"|não (?:se sabe|é possível (?:saber|dizer|determinar|ver)|dá para (?:saber|dizer|ver))"
    r"|niet te (?:zeggen|bepalen|zien|weten)|weet (?:ik )?(?:het )?niet|onduidelijk"
    r"|går inte att (?:säga|se|avgöra)|vet inte"
    r"|nie (?:wiem|wiadomo|(?:można|da się) (?:stwierdzić|powiedzieć|określić))"
    r"|trudno powiedzieć|nelze (?:říct|říci|určit|poznat)|nevím"
    r"|en tiedä|ei voi (?:tietää|sanoa|päätellä)"
    r"|nu (?:știu|stiu|se știe|se poate (?:spune|ști|determina))|невозможно|неизвестно"
    r"|нельзя (?:сказать|определить|понять)"
    r"|неможливо|невідомо|не ясно|δεν (?:ξέρω|μπορ\w+ να (?:πω|ξέρω))"
    r"|bilinmiyor|belli değil|belirlenem\w+|söylenem\w+"
    r"|tidak (?:tahu|dapat (?:ditentukan|dipastikan)|bisa (?:ditentukan|dipastikan)|diketahui|jelas)"
    r"|không (?:biết|rõ|thể (?:biết|xác định|nói)|xác định))\b"
    r"|不能确定|不清楚|看不出|难以|難以|没法|说不准|わからない|分からない|判断でき|言えない"
    r"|알 수 없|판단할 수 없|확인할 수 없"
    r"|لا (?:أعلم|يمكن (?:تحديد|معرفة|القول))|غير (?:واضح|معروف)|ไม่(?:รู้"
    r"|แน่ใจ|สามารถ(?:ระบุ|บอก))|नहीं पता|स्पष्ट नहीं|कह नहीं",
    re.IGNORECASE,
)


def parse_gold_yesno(gold: str) -> bool:
    """Read a gold answer of type ``yesno``.

    Raises:
        GoldError: it is neither yes nor no.
    """
    found = _WORDS.get(_tidy(gold).casefold().rstrip("."))
    if found is None:
        raise GoldError(
            f"gold answer {gold!r} of answer_type 'yesno' is neither yes nor no; write yes, no, true or false"
        )
    return found


def parse_yesno(text: str) -> tuple[bool | None, bool]:
    """Read a reply's yes (True) or no (False); None when it says neither or both, and whether it was close to one.

    A word alone, or a word and an explanation that does not take it back.
    """
    text = _tidy(text)
    if len(text) > 2000:
        return None, False
    for _ in range(2):
        lead = _LEAD.match(text)
        text = text[lead.end() :] if lead and lead.end() < len(text) else text
    whole = _WORDS.get(text.casefold().rstrip(".!,;。！ "))
    if whole is not None:
        return whole, False
    head = _HEAD.match(text)
    if head is None:
        return None, False
    said, rest = _WORDS.get(head[1].casefold()), head[2]
    if said is None:
        return None, False
    if not rest.strip(" .!,;。！"):
        return said, False
    gap = _BREAK.match(rest)
    short = _SHORT.match(rest) if gap is None else _SHORT.match(" " + rest[gap.end() :])
    if gap is None and short is None:
        return None, False  # no idea, yes and no, no answer
    tail = rest[gap.end() :] if gap else rest
    if len(head[1]) == 1 and head[1].isascii() and rest[:1] in "./":
        return None, False  # N/A, n.a.
    if rest[:1] == "." and re.match(r"\s*\d", rest[1:]):
        return None, False  # No. 5
    if _ABSTAIN.search(tail) or _turns(tail, said):
        return None, False
    return (None, True) if _contradicts(short, tail, said) else (said, False)


def _tidy(text: str) -> str:
    text = strip_wrapping(simplify_latex(strip_wrapping(fold_characters(text))))
    return strip_brackets(strip_wrapping(text.rstrip(".!。 "))).strip() if text.rstrip(".!。 ") else text


def _turns(tail: str, said: bool) -> bool:
    """Does the explanation say the other word, or ask, or go back on it?"""
    if _BACK.search(tail):
        return True
    for clause in re.split(r"[,.;:!?\n/。，；]+", tail.casefold()):
        words = clause.split()
        if (
            words
            and _WORDS.get(words[0]) is (not said)
            and (len(words) == 1 or words[0] in ("yes", "true", "false", "non", "nein", "oui", "ja"))
        ):
            return True
    return False


def _contradicts(short: re.Match[str] | None, tail: str, said: bool) -> bool:
    """Do the word and the sentence disagree: "Yes, it is not", "No, it is"?"""
    if short is None or not (short["who"] or short["isnt"]):
        return bool(said and re.match(r"\s*(?:not|none|never|nothing)\b", tail, re.IGNORECASE))
    negated = bool(short["not"] or short["isnt"] or _NEGATION.search(short["rest"] or ""))
    if said:
        return negated
    return not negated and not (short["rest"] or "").strip(" .!,;)")
