"""Numbers written as words: ``twenty-one``, ``two and a half``, ``einundzwanzig``, ``二十一``, ``three quarters``.

A phrase is read from its start, as far as it is a number; the caller decides by what is left over. English has the
whole grammar up to trillions. German, Dutch and Italian write compounds, which are built here; French, Spanish,
Portuguese, Russian, Turkish, Polish, Indonesian and Vietnamese share a grammar of tens, connectors and units; Chinese,
Japanese and Sino-Korean have places. Other languages have their words up to ten or twenty. Source: ours.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import lru_cache

Value = int | float | Fraction


def split_words(words: str) -> list[str]:
    """Return the words of a table that is written as one text, for shortness."""
    return words.split()


_EN = split_words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_EN_TENS = split_words("twenty thirty forty fifty sixty seventy eighty ninety")
_DE = split_words(
    "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn "
    "siebzehn achtzehn neunzehn"
)
_DE_TENS = split_words("zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig")
_NL = split_words(
    "nul een twee drie vier vijf zes zeven acht negen tien elf twaalf dertien veertien vijftien zestien "
    "zeventien achttien negentien"
)
_NL_TENS = split_words("twintig dertig veertig vijftig zestig zeventig tachtig negentig")
_IT = split_words(
    "zero uno due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici quindici "
    "sedici diciassette diciotto diciannove"
)
_IT_TENS = split_words("venti trenta quaranta cinquanta sessanta settanta ottanta novanta")
#: Words from zero on, then "tens" from twenty on; what has a comma has several forms.
_SIMPLE: tuple[tuple[str, str], ...] = (
    ("zéro un,une deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize dix-sept "
     "dix-huit dix-neuf",
     "vingt trente quarante cinquante soixante septante huitante,quatre-vingt,quatre-vingts nonante"),
    ("cero uno,una,un dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis "
     "diecisiete dieciocho diecinueve", "veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa"),
    ("zero um,uma dois,duas três quatro cinco seis sete oito nove dez onze doze treze quatorze,catorze quinze "
     "dezesseis,dezasseis dezessete,dezassete dezoito dezenove,dezanove",
     "vinte trinta quarenta cinquenta sessenta setenta oitenta noventa"),
    ("ноль,нуль один,одна,одно два,две три четыре пять шесть семь восемь девять десять одиннадцать двенадцать "
     "тринадцать четырнадцать пятнадцать шестнадцать семнадцать восемнадцать девятнадцать",
     "двадцать тридцать сорок пятьдесят шестьдесят семьдесят восемьдесят девяносто"),
    # In capitals and lowered without knowing the language, ı is i: ALTI, KIRK.
    ("sıfır,sifir bir iki üç dört beş altı,alti yedi sekiz dokuz on",
     "yirmi otuz kırk,kirk elli altmış,altmiş yetmiş seksen doksan"),
    ("zero jeden,jedna,jedno dwa,dwie trzy cztery pięć sześć siedem osiem dziewięć dziesięć jedenaście dwanaście "
     "trzynaście czternaście piętnaście szesnaście siedemnaście osiemnaście dziewiętnaście",
     "dwadzieścia trzydzieści czterdzieści pięćdziesiąt sześćdziesiąt siedemdziesiąt osiemdziesiąt dziewięćdziesiąt"),
    ("нуль один,одна,одне два,дві три чотири п'ять шість сім вісім дев'ять десять одинадцять дванадцять тринадцять "
     "чотирнадцять п'ятнадцять шістнадцять сімнадцять вісімнадцять дев'ятнадцять",
     "двадцять тридцять сорок п'ятдесят шістдесят сімдесят вісімдесят дев'яносто"),
    ("nula jeden,jedna,jedno dva,dvě tři čtyři pět šest sedm osm devět deset jedenáct dvanáct třináct čtrnáct patnáct "
     "šestnáct sedmnáct osmnáct devatenáct", "dvacet třicet čtyřicet padesát šedesát sedmdesát osmdesát devadesát"),
    ("zero unu,una doi,două trei patru cinci șase,şase șapte,şapte opt nouă zece unsprezece doisprezece,douăsprezece "
     "treisprezece paisprezece cincisprezece șaisprezece,şaisprezece șaptesprezece,şaptesprezece optsprezece "
     "nouăsprezece", "douăzeci treizeci patruzeci cincizeci șaizeci,şaizeci șaptezeci,şaptezeci optzeci nouăzeci"),
    ("nolla yksi kaksi kolme neljä viisi kuusi seitsemän kahdeksan yhdeksän kymmenen yksitoista kaksitoista "
     "kolmetoista neljätoista viisitoista kuusitoista seitsemäntoista kahdeksantoista yhdeksäntoista",
     "kaksikymmentä kolmekymmentä neljäkymmentä viisikymmentä kuusikymmentä seitsemänkymmentä kahdeksankymmentä "
     "yhdeksänkymmentä"),
    ("nol,kosong satu dua tiga empat lima enam tujuh delapan sembilan sepuluh sebelas", ""),
    ("không một,mốt hai ba bốn,tư năm,lăm sáu bảy tám chín mười", ""),
    ("noll,nul en,ett,et två,to tre fyra,fire fem sex,seks sju,syv åtta,otte,åtte nio,ni tio,ti elva,elleve tolv",
     "tjugo trettio fyrtio femtio sextio sjuttio åttio nittio"),
    ("μηδέν ένα,ένας,μία δύο τρία,τρεις τέσσερα,τέσσερις πέντε έξι επτά,εφτά οκτώ,οχτώ εννέα,εννιά δέκα", ""),
    ("शून्य एक दो तीन चार पाँच,पांच छह,छः,छे सात आठ नौ दस ग्यारह बारह तेरह चौदह पंद्रह,पन्द्रह सोलह सत्रह अठारह उन्नीस",
     "बीस तीस चालीस पचास साठ सत्तर अस्सी नब्बे"),
    ("صفر واحد,واحدة اثنان,اثنين,اثنتان,اثنتين ثلاثة,ثلاث أربعة,أربع,اربعة خمسة,خمس ستة,ست سبعة,سبع ثمانية,ثمان "
     "تسعة,تسع عشرة,عشر", ""),
    ("ศูนย์ หนึ่ง สอง สาม สี่ ห้า หก เจ็ด แปด เก้า สิบ สิบเอ็ด สิบสอง", "ยี่สิบ สามสิบ สี่สิบ ห้าสิบ หกสิบ เจ็ดสิบ แปดสิบ เก้าสิบ"),
    ("영,공 하나,한 둘,두 셋,세 넷,네 다섯 여섯 일곱 여덟 아홉 열", "스물,스무 서른 마흔 쉰 예순 일흔 여든 아흔"),
    ("אפס אחד,אחת שניים,שתיים,שני,שתי שלושה,שלוש ארבעה,ארבע חמישה,חמש שישה,שש שבעה,שבע שמונה תשעה,תשע עשרה,עשר", ""),
    ("শূন্য এক দুই তিন চার পাঁচ ছয় সাত আট নয় দশ", ""),
)  # fmt: skip
#: Words that multiply what stands before them.
SCALES: Mapping[str, int] = {
    **dict.fromkeys(("hundred", "hundreds", "hundert", "honderd", "cento", "cent", "cents", "cem", "сто", "sto",
                     "sută", "sute", "sata", "sataa", "yüz",
    "ratus", "trăm", "सौ",
                     "ร้อย"), 100),
    **dict.fromkeys(("thousand", "thousands", "tausend", "duizend", "mille", "mila", "mil", "тысяча", "тысячи",
    "тысяч", "bin", "ribu",
                     "nghìn", "ngàn", "tysiąc", "tysiące", "tysięcy", "हज़ार", "हजार", "พัน", "천", "ألف", "آلاف",
                     "тисяча", "тисячі", "tisíc", "tisíce", "mii", "tuhat", "tuhatta",
                     "k"), 1000),
    **dict.fromkeys(("million", "millions", "millionen", "mio", "miljoen", "millón", "millones", "milhão", "milhões",
    "milione",
                     "milioni", "миллион", "миллиона", "миллионов", "milyon", "juta", "triệu", "milion", "miliony",
                     "milionów",
                     "мільйон", "мільйони", "мільйонів", "milionů", "milioane", "miljoona", "miljoonaa",
                     "ล้าน", "百万", "mln", "مليون"), 10**6),
    **dict.fromkeys(("billion", "billions", "milliard", "milliards", "milliarden", "milliarde", "mrd", "miljard",
    "миллиард",
                     "миллиарда", "миллиардов", "milyar", "miliar", "tỷ", "bn", "مليار"), 10**9),
    **dict.fromkeys(("trillion", "trillions", "triliun", "trilyon"), 10**12),
    **dict.fromkeys(("dozen", "dozens", "dutzend", "douzaine", "douzaines", "docena", "docenas", "dúzia", "dúzias",
    "dozzina"), 12),
    **dict.fromkeys(("lakh", "lakhs", "लाख"), 10**5),
    **dict.fromkeys(("crore", "crores", "करोड़"), 10**7),
}  # fmt: skip
_AND = frozenset({"and", "y", "e", "und", "et", "en", "og", "och", "i", "và", "și", "şi"})
_WHOLE_HUNDREDS = {
    "двести": 200, "триста": 300, "четыреста": 400, "пятьсот": 500, "шестьсот": 600, "семьсот": 700, "восемьсот": 800,
    "девятьсот": 900, "doscientos": 200, "doscientas": 200, "trescientos": 300, "cuatrocientos": 400, "quinientos": 500,
    "seiscientos": 600, "setecientos": 700, "ochocientos": 800, "novecientos": 900, "cien": 100, "ciento": 100,
    "duzentos": 200, "trezentos": 300, "quatrocentos": 400, "quinhentos": 500, "seratus": 100, "seribu": 1000,
    "dwieście": 200, "trzysta": 300, "pięćset": 500, "مئة": 100, "مائة": 100, "백": 100,
}  # fmt: skip
_SPANISH_TWENTIES = split_words(
    "veintiuno veintidós veintitrés veinticuatro veinticinco veintiséis veintisiete veintiocho veintinueve"
)
_PARTS = {
    "half": 2, "halves": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fourth": 4, "fourths": 4, "fifth": 5,
    "fifths": 5, "sixth": 6, "sixths": 6, "seventh": 7, "sevenths": 7, "eighth": 8, "eighths": 8, "ninth": 9,
    "ninths": 9, "tenth": 10, "tenths": 10, "hundredth": 100, "hundredths": 100,
}  # fmt: skip
ENGLISH: frozenset[str] = frozenset({*_EN, *_EN_TENS, "hundred", "thousand", "million", "billion", "trillion", "dozen"})
"""Words that are numbers wherever they stand in an English phrase."""

_HAN = {c: i for i, c in enumerate("零一二三四五六七八九")} | {
    "〇": 0, "两": 2, "兩": 2, "壹": 1, "贰": 2, "叁": 3, "壱": 1, "弐": 2, "参": 3,
}  # fmt: skip
_HAN_PLACES = {"十": 10, "百": 100, "千": 1000, "拾": 10, "佰": 100}
_HAN_SCALES = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8, "兆": 10**12}
_HANGUL = {c: i for i, c in enumerate("영일이삼사오육칠팔구")} | {"공": 0}
_HANGUL_PLACES, _HANGUL_SCALES = {"십": 10, "백": 100, "천": 1000}, {"만": 10**4, "억": 10**8}
_HAN_RUN = re.compile(f"[{''.join([*_HAN, *_HAN_PLACES, *_HAN_SCALES])}]+")
_HANGUL_RUN = re.compile(f"[{''.join([*_HANGUL, *_HANGUL_PLACES, *_HANGUL_SCALES])}]+(?![가-힣])")
DIGIT_SCALES = {**_HAN_SCALES, **_HANGUL_SCALES, "千": 1000, "百": 100, "천": 1000, "百万": 10**6, "千万": 10**7}
"""What follows digits directly in Chinese, Japanese and Korean: ``3万``, ``1.5亿``."""


def scan_words(text: str, start: int = 0) -> Iterator[tuple[str, int, int]]:
    """Yield each word of letters and combining marks with its start and end; the regex class drops the marks."""
    place, size = start, len(text)
    while place < size:
        if not is_letter(text[place]):
            place += 1
            continue
        end = place + 1
        while end < size and is_letter(text[end]):
            end += 1
        yield text[place:end], place, end
        place = end


def is_letter(character: str) -> bool:
    """Is it a letter, or a mark that belongs to one (vowels of Thai and Devanagari, accents, joiners)?"""
    return character.isalpha() or (
        not character.isascii() and (unicodedata.category(character)[0] == "M" or character in "\u200c\u200d")
    )


@lru_cache(maxsize=1)
def _words() -> dict[str, int]:
    """Number word → value below a hundred, and whole hundreds and compounds of languages that have them."""
    found: dict[str, int] = {}
    for small, tens in _SIMPLE:
        _add(found, small.split(), tens.split())
    _add(found, _EN, _EN_TENS)
    for small_words, tens_words, joint, hundred in (
        (_DE, _DE_TENS, "und", "hundert"),
        (_NL, _NL_TENS, "en", "honderd"),
        (_IT, _IT_TENS, "", "cento"),
    ):
        below = {word: value for value, word in enumerate(small_words)}
        for place, ten in enumerate(tens_words, 2):
            below[ten] = 10 * place
            for unit in range(1, 10):
                word = small_words[unit]
                if joint:
                    word = "ein" if word == "eins" else word
                    made = f"{word}{'ën' if joint == 'en' and word.endswith('e') else joint}{ten}"
                else:
                    made = (ten[:-1] if word[0] in "uo" else ten) + word
                below[made] = 10 * place + unit
        found |= below
        for unit in range(1, 10):
            word = "" if unit == 1 else small_words[unit]
            for head in {word + hundred, *({"einhundert"} if (hundred, unit) == ("hundert", 1) else ())}:
                found[head] = 100 * unit
                found |= {head + rest: 100 * unit + value for rest, value in below.items() if value}
    # Written without a space: 스물셋, สามสิบห้า, yirmibeş.
    for tens_joined, units_joined in (
        ("열 스물 서른 마흔 쉰 예순 일흔 여든 아흔", "하나,한 둘,두 셋,세 넷,네 다섯 여섯 일곱 여덟 아홉"),
        ("สิบ ยี่สิบ สามสิบ สี่สิบ ห้าสิบ หกสิบ เจ็ดสิบ แปดสิบ เก้าสิบ", "เอ็ด สอง สาม สี่ ห้า หก เจ็ด แปด เก้า"),
        (
            "kymmenen kaksikymmentä kolmekymmentä neljäkymmentä viisikymmentä kuusikymmentä seitsemänkymmentä "
            "kahdeksankymmentä yhdeksänkymmentä",
            "yksi kaksi kolme neljä viisi kuusi seitsemän kahdeksan yhdeksän",
        ),
        ("on yirmi otuz kırk elli altmış yetmiş seksen doksan", "bir iki üç dört beş altı yedi sekiz dokuz"),
    ):
        for place, ten in enumerate(tens_joined.split(), 1):
            for unit, forms in enumerate(units_joined.split(), 1):
                found |= {ten + form: 10 * place + unit for form in forms.split(",")}
    found |= {"ein": 1, "eine": 1, "einen": 1, "einer": 1, "een": 1, "één": 1, "zwo": 2, "dreissig": 30, "ventitré": 23}
    found |= {word: 21 + place for place, word in enumerate(_SPANISH_TWENTIES)} | {"veintiún": 21, "veintidos": 22}
    for word in ("en", "e", "y", "i", "a", "k", "ni", "set", "do"):
        found.pop(word, None)  # articles and connectors first of all
    return found | _WHOLE_HUNDREDS


def _add(found: dict[str, int], small: list[str], tens: list[str]) -> None:
    for value, forms in enumerate(small):
        found |= dict.fromkeys(forms.split(","), value)
    for place, forms in enumerate(tens, 2):
        found |= dict.fromkeys(forms.split(","), 10 * place)


def read_number_words(text: str, start: int = 0) -> tuple[Value, int] | None:
    """Read the number that the words at ``start`` are; return its value and where it ends, or None.

    ``text`` is in lower case. The longest reading counts: of ``two hundred cars`` it is 200, and ``cars`` is left.
    """
    if start < len(text) and not text[start].isascii():
        for run, digits, places, scales in (
            (_HAN_RUN, _HAN, _HAN_PLACES, _HAN_SCALES),
            (_HANGUL_RUN, _HANGUL, _HANGUL_PLACES, _HANGUL_SCALES),
        ):
            found = run.match(text, start)
            if found and (value := _places(found.group(), digits, places, scales)) is not None:
                return _han_decimal(text, found.end(), value)
    tokens = _tokens(text, start)
    if not tokens:
        return None
    return _fractional(tokens, _whole(tokens))


def _tokens(text: str, start: int) -> list[tuple[str, int]]:
    """Words from ``start`` on with their ends, as long as only a space or hyphen stands between them; at most 12."""
    found: list[tuple[str, int]] = []
    place = start
    for word, begin, end in scan_words(text, start):
        if text[place:begin] not in ("", " ", "-", "'") or (begin > start and not found) or len(found) == 12:
            break
        if found and found[-1][0] == "dix" and word in ("sept", "huit", "neuf"):
            found[-1] = (f"dix-{word}", end)
        elif found and text[place:begin] == "'":  # of Ukrainian: п'ять
            found[-1] = (f"{found[-1][0]}'{word}", end)
        else:
            found.append((word, end))
        place = end
    return found


def _whole(tokens: list[tuple[str, int]]) -> tuple[int, int, int] | None:
    """Value, end and number of tokens of the longest whole number at the start."""
    words, total, current, used, last = _words(), 0, 0, 0, 0  # last: the place value that may still be filled
    seen = False
    best: tuple[int, int, int] | None = None
    smallest = 10**15
    while used < len(tokens):
        word, end = tokens[used]
        following = tokens[used + 1][0] if used + 1 < len(tokens) else ""
        if (
            word in ("a", "an")
            and not seen
            and SCALES.get(following, 0) >= 12
            and following not in ("cent", "k", "bin", "mil")
        ):
            current, seen = 1, True
        elif word in _AND and seen and following in words:
            pass
        elif word == "vingt" and current % 100 == 4 and tokens[used - 1][0] == "quatre":
            current, last = current - 4 + 80, 80  # quatre-vingt
            best = (total + current, end, used + 1)
        elif word == "vingts" and current == 4:
            current, last = 80, 80
            best = (total + current, end, used + 1)
        elif (
            word in SCALES
            and word != "k"
            and (scale := SCALES[word])
            and (seen or (scale in (100, 1000) and not word.endswith("s")))
        ):
            if scale == 100 or scale == 12:
                if current > 99 or (seen and not current):
                    break
                current, last = (current or 1) * scale, 100
            else:
                if scale >= smallest or (seen and not current):
                    break
                total, current, last, smallest = total + (current or 1) * scale, 0, 1000, scale
            seen = True
            best = (total + current, end, used + 1)
        elif word in ("puluh", "mươi", "สิบ") and 0 < current % 100 < 10:
            current, last = current + 9 * (current % 10), 10
            best = (total + current, end, used + 1)
        elif word == "belas" and 0 < current % 100 < 10:
            current, last = current + 10, 1
            best = (total + current, end, used + 1)
        elif word in words:
            value = words[word]
            if not _fits(value, current, seen, last):
                break
            # Turkish and Vietnamese set twelve as ten and two: on iki, mười hai.
            current, last, seen = current + value, 10 if word in ("on", "mười") else _room(value), True
            best = (total + current, end, used + 1)
        else:
            break
        used += 1
    return best


def _fits(value: int, current: int, seen: bool, last: int) -> bool:
    """May ``value`` follow what has been read? Units follow tens, tens follow hundreds; French adds ten to sixty."""
    if not seen or last == 1000:
        return not current
    if last in (60, 80):
        return 0 < value < 20
    if last == 10:
        return 0 < value < 10
    return last == 100 and 0 < value < 100


def _room(value: int) -> int:
    if value >= 100:
        return 100 if value % 100 == 0 else 1
    if value in (60, 80):
        return value
    return 10 if value >= 20 and value % 10 == 0 else 1


def _fractional(tokens: list[tuple[str, int]], whole: tuple[int, int, int] | None) -> tuple[Value, int] | None:
    """Halves, thirds and the like, alone or after a whole number, and ``point five``."""
    words = [word for word, _ in tokens]
    if whole is None:
        if words[0] in ("half", "halb", "media", "medio", "metà", "половина", "yarım", "demi", "半"):
            return Fraction(1, 2), tokens[0][1]
        if (
            words[0] in ("a", "an")
            and len(words) > 1
            and words[1] in ("half", "third", "quarter", "fourth", "fifth", "tenth")
        ):
            return Fraction(1, _PARTS[words[1]]), tokens[1][1]
        return None
    value, end, used = whole
    rest = words[used:]
    if rest[:1] and rest[0] in _PARTS and (rest[0].endswith("s") or rest[0] == "half" or value == 1):
        return Fraction(value, _PARTS[rest[0]]), tokens[used][1]
    if rest[:3] in (["and", "a", "half"], ["and", "a", "quarter"], ["and", "a", "third"]):
        return value + Fraction(1, _PARTS[rest[2]]), tokens[used + 2][1]
    if rest[:2] == ["and", "half"] or rest[:2] in (
        ["y", "media"],
        ["y", "medio"],
        ["et", "demi"],
        ["et", "demie"],
        ["e", "meia"],
    ):
        return value + Fraction(1, 2), tokens[used + 1][1]
    if rest[:1] == ["and"] and (inner := _whole(tokens[used + 1 :])) is not None:
        after = words[used + 1 + inner[2] :]
        if after[:1] and after[0] in _PARTS and inner[0] < _PARTS[after[0]]:
            return value + Fraction(inner[0], _PARTS[after[0]]), tokens[used + 1 + inner[2]][1]
    if rest[:1] and rest[0] in ("point", "komma", "virgule", "coma", "vírgula", "virgola"):
        digits = ""
        place = used + 1
        while place < len(words) and (digit := _words().get(words[place], 10)) < 10:
            digits, place = digits + str(digit), place + 1
        if digits:
            return value + Fraction(int(digits), 10 ** len(digits)), tokens[place - 1][1]
    return value, end


def _places(run: str, digits: Mapping[str, int], places: Mapping[str, int], scales: Mapping[str, int]) -> int | None:
    """The number that a run of Chinese, Japanese or Korean numerals is; None when it is none (十百, 二二百)."""
    if len(run) > 1 and all(c in digits for c in run):  # 二〇二四, a year
        return int("".join(str(digits[c]) for c in run)) if len(run) > 2 else None
    total, section, digit = 0, 0, None
    place, scale_before = 10**4, 10**16
    for c in run:
        if c in digits:
            if digit:
                return None
            digit = digits[c]
        elif c in places:
            if places[c] >= place or digit == 0:
                return None
            section, place, digit = section + (digit or 1) * places[c], places[c], None
        else:
            section += digit or 0
            if scales[c] >= scale_before or not section:
                return None
            total, section, digit, place, scale_before = total + section * scales[c], 0, None, 10**4, scales[c]
    return total + section + (digit or 0)


def _han_decimal(text: str, end: int, value: int) -> tuple[Value, int]:
    """三点五 is 3.5, 三分之一 is 1/3, 三个半 is left to the caller."""
    if text.startswith("分之", end) and (above := _HAN_RUN.match(text, end + 2)) and value:
        upper = _places(above.group(), _HAN, _HAN_PLACES, _HAN_SCALES)
        if upper is not None:
            return Fraction(upper, value), above.end()
    if text[end : end + 1] in ("点", "點"):
        digits = re.compile(f"[{''.join(_HAN)}]+").match(text, end + 1)
        if digits:
            tail = "".join(str(_HAN[c]) for c in digits.group())
            return value + Fraction(int(tail), 10 ** len(tail)), digits.end()
    return value, end
