"""Units: a table of factors to SI base units, names in several languages, and the grammar of their products.

A table instead of a library: it must not cost an import in every reward worker, and it holds what answers are about.
Source: SI brochure, 9th edition.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache

_PREFIXES = {
    "p": 1e-12, "n": 1e-9, "μ": 1e-6, "u": 1e-6, "m": 1e-3, "c": 1e-2, "d": 1e-1, "h": 1e2, "k": 1e3, "M": 1e6,
    "G": 1e9,
    "T": 1e12,
}  # fmt: skip
_WORD_PREFIXES = {
    "nano": 1e-9, "micro": 1e-6, "milli": 1e-3, "centi": 1e-2, "deci": 1e-1, "hecto": 1e2, "kilo": 1e3, "mega": 1e6,
    "giga": 1e9, "tera": 1e12, "mili": 1e-3, "mikro": 1e-6, "chilo": 1e3, "quilo": 1e3, "zenti": 1e-2, "centy": 1e-2,
    "santi": 1e-2, "senti": 1e-2, "sentti": 1e-2,
    "кило": 1e3, "санти": 1e-2, "милли": 1e-3, "микро": 1e-6, "мега": 1e6, "кіло": 1e3, "мілі": 1e-3, "мікро": 1e-6,
    "キロ": 1e3, "センチ": 1e-2, "ミリ": 1e-3, "デシ": 1e-1, "マイクロ": 1e-6, "メガ": 1e6,
    "킬로": 1e3, "센티": 1e-2, "밀리": 1e-3, "데시": 1e-1, "마이크로": 1e-6, "메가": 1e6,
    "كيلو": 1e3, "سنتي": 1e-2, "ميلي": 1e-3, "مللي": 1e-3, "ملي": 1e-3,
    "किलो": 1e3, "सेंटी": 1e-2, "मिली": 1e-3, "मिलि": 1e-3, "กิโล": 1e3, "เซนติ": 1e-2, "มิลลิ": 1e-3,
    "χιλιό": 1e3, "ki-lô-": 1e3, "xăng-ti-": 1e-2, "mi-li-": 1e-3, "קילו": 1e3, "מילי": 1e-3, "毫": 1e-3, "厘": 1e-2,
}  # fmt: skip
# unit → (factor to the SI base, powers of metre, kilogram, second, ampere, kelvin, mole, candela, bit, currency)
_SI: dict[str, tuple[float, str]] = {
    "m": (1, "m"), "g": (1e-3, "kg"), "s": (1, "s"), "A": (1, "A"), "K": (1, "K"), "mol": (1, "mol"), "cd": (1, "cd"),
    "N": (1, "m kg s-2"), "J": (1, "m2 kg s-2"), "W": (1, "m2 kg s-3"), "Pa": (1, "m-1 kg s-2"), "Hz": (1, "s-1"),
    "V": (1, "m2 kg s-3 A-1"), "C": (1, "s A"), "F": (1, "m-2 kg-1 s4 A2"), "Ω": (1, "m2 kg s-3 A-2"),
    "T": (1, "kg s-2 A-1"), "H": (1, "m2 kg s-2 A-2"), "Wb": (1, "m2 kg s-2 A-1"), "lm": (1, "cd"), "lx": (1, "m-2 cd"),
    "L": (1e-3, "m3"), "l": (1e-3, "m3"), "B": (8, "bit"), "bit": (1, "bit"), "eV": (1.602176634e-19, "m2 kg s-2"),
    "cal": (4.184, "m2 kg s-2"), "bar": (1e5, "m-1 kg s-2"), "Wh": (3600, "m2 kg s-2"), "t": (1e3, "kg"),
    "M": (1e3, "m-3 mol"), "bps": (1, "s-1 bit"), "Sv": (1, "m2 s-2"),
}  # fmt: skip
_FOOT, _INCH, _POUND = 0.3048, 0.0254, 0.45359237
_PLAIN: dict[str, tuple[float, str]] = {
    "min": (60, "s"), "h": (3600, "s"), "hr": (3600, "s"), "d": (86400, "s"), "day": (86400, "s"),
    "week": (604800, "s"), "wk": (604800, "s"), "year": (31557600, "s"), "yr": (31557600, "s"), "month": (2629800, "s"),
    "decade": (315576000, "s"), "century": (3155760000, "s"), "centurie": (3155760000, "s"),
    "in": (_INCH, "m"), "inch": (_INCH, "m"), "inche": (_INCH, "m"), '"': (_INCH, "m"), "ft": (_FOOT, "m"),
    "foot": (_FOOT, "m"), "feet": (_FOOT, "m"), "'": (_FOOT, "m"), "yd": (0.9144, "m"), "yard": (0.9144, "m"),
    "mi": (1609.344, "m"), "mile": (1609.344, "m"), "nmi": (1852, "m"), "au": (1.495978707e11, "m"),
    "ly": (9.4607304725808e15, "m"), "Å": (1e-10, "m"), "å": (1e-10, "m"), "lb": (_POUND, "kg"), "pound": (_POUND,
    "kg"),
    "oz": (_POUND / 16, "kg"), "ounce": (_POUND / 16, "kg"), "stone": (14 * _POUND, "kg"), "ha": (1e4, "m2"),
    "hectare": (1e4, "m2"), "acre": (4046.8564224, "m2"), "sqm": (1, "m2"), "sqft": (_FOOT**2, "m2"), "cc": (1e-6,
    "m3"),
    "gal": (3.785411784e-3, "m3"), "gallon": (3.785411784e-3, "m3"), "quart": (9.46352946e-4, "m3"),
    "pint": (4.73176473e-4, "m3"), "cup": (2.365882365e-4, "m3"), "tbsp": (1.478676478125e-5, "m3"),
    "tablespoon": (1.478676478125e-5, "m3"), "tsp": (4.92892159375e-6, "m3"), "teaspoon": (4.92892159375e-6, "m3"),
    "mph": (0.44704, "m s-1"), "kph": (1 / 3.6, "m s-1"), "kmh": (1 / 3.6, "m s-1"), "kmph": (1 / 3.6, "m s-1"),
    "knot": (1852 / 3600, "m s-1"), "kn": (1852 / 3600, "m s-1"), "rpm": (1 / 60, "s-1"), "bpm": (1 / 60, "s-1"),
    "atm": (101325, "m-1 kg s-2"), "mmhg": (133.322387415, "m-1 kg s-2"), "psi": (6894.757293168, "m-1 kg s-2"),
    "hp": (745.6998715822702, "m2 kg s-3"), "%": (0.01, ""), "percent": (0.01, ""), "‰": (0.001, ""), "ppm": (1e-6, ""),
    "rad": (1, ""), "radian": (1, ""), "°": (math.pi / 180, ""), "deg": (math.pi / 180, ""),
    "degree": (math.pi / 180, ""), "tonne": (1e3, "kg"), "ton": (1e3, "kg"), "ohm": (1, "m2 kg s-3 A-2"),
    "byte": (8, "bit"), "KM": (1e3, "m"), "Km": (1e3, "m"), "KG": (1, "kg"), "Kg": (1, "kg"), "CM": (1e-2, "m"),
    "KB": (8e3, "bit"), "Mbps": (1e6, "s-1 bit"), "Gbps": (1e9, "s-1 bit"), "kbps": (1e3, "s-1 bit"),
    "kcal": (4184, "m2 kg s-2"), "ML": (1e3, "m3"),
    "Nm": (1, "m2 kg s-2"), "kNm": (1e3, "m2 kg s-2"), "Ws": (1, "m2 kg s-2"), "VA": (1, "m2 kg s-3"),
    "kVA": (1e3, "m2 kg s-3"), "Ah": (3600, "s A"), "mAh": (3.6, "s A"), "Ns": (1, "m kg s-1"),
    # Money: no rate converts one into another. ``$`` is taken for the US dollar, ``¥`` for the yen.
    "$": (1, "usd"), "us$": (1, "usd"), "usd": (1, "usd"), "dollar": (1, "usd"), "buck": (1, "usd"), "¢": (0.01, "usd"),
    "cent": (0.01, "usd"), "€": (1, "eur"), "eur": (1, "eur"), "euro": (1, "eur"), "£": (1, "gbp"), "gbp": (1, "gbp"),
    "¥": (1, "jpy"), "jpy": (1, "jpy"), "yen": (1, "jpy"), "円": (1, "jpy"), "元": (1, "cny"), "cny": (1, "cny"),
    "rmb": (1, "cny"), "yuan": (1, "cny"), "₹": (1, "inr"), "inr": (1, "inr"), "rupee": (1, "inr"), "rs": (1, "inr"),
    "₩": (1, "krw"), "krw": (1, "krw"), "won": (1, "krw"), "원": (1, "krw"), "₽": (1, "rub"), "rub": (1, "rub"),
    "chf": (1, "chf"), "a$": (1, "aud"), "aud": (1, "aud"), "c$": (1, "cad"), "cad": (1, "cad"), "zł": (1, "pln"),
    "pln": (1, "pln"), "sek": (1, "sek"), "dkk": (1, "dkk"), "nok": (1, "nok"), "brl": (1, "brl"), "r$": (1, "brl"),
    "₺": (1, "try"), "₫": (1, "vnd"), "฿": (1, "thb"), "baht": (1, "thb"), "บาท": (1, "thb"), "₪": (1, "ils"),
    "рубль": (1, "rub"), "рубля": (1, "rub"), "рублей": (1, "rub"), "руб": (1, "rub"),
}  # fmt: skip
_WORDS = {
    "meter": "m", "metre": "m", "gram": "g", "gramme": "g", "second": "s", "sec": "s", "minute": "min", "hour": "h",
    "liter": "L", "litre": "L", "newton": "N", "joule": "J", "watt": "W", "pascal": "Pa", "hertz": "Hz", "volt": "V",
    "ampere": "A", "amp": "A", "kelvin": "K", "mole": "mol", "calorie": "cal", "coulomb": "C", "farad": "F",
    "tesla": "T",
    "kilo": "kg", "molar": "M", "watt-hour": "Wh", "henry": "H", "lumen": "lm", "lux": "lx", "candela": "cd",
    "electronvolt": "eV", "micron": "μm", "pounds-force": "lbf",
    # Other languages.
    "mètre": "m", "metro": "m", "kilometer": "km", "kilomètre": "km", "kilómetro": "km", "quilômetro": "km",
    "chilometro": "km", "chilometri": "km", "metri": "m", "zentimeter": "cm", "centimètre": "cm", "centímetro": "cm",
    "centimetro": "cm", "centimetri": "cm", "millimètre": "mm", "milímetro": "mm", "gramm": "g", "kilogramm": "kg",
    "kilogramo": "kg", "quilograma": "kg", "kilogramme": "kg", "chilogrammi": "kg", "gramo": "g", "grama": "g",
    "stunde": "h", "stunden": "h", "std": "h", "heure": "h", "hora": "h", "ora": "h", "ore": "h", "uur": "h",
    "minuten": "min", "minuto": "min", "minuti": "min", "sekunde": "s", "sekunden": "s", "seconde": "s", "segundo": "s",
    "secondi": "s", "tag": "day", "tage": "day", "jour": "day", "día": "day", "dia": "day", "giorno": "day",
    "giorni": "day", "woche": "week", "wochen": "week", "semaine": "week", "semana": "week", "jahr": "year",
    "jahre": "year", "an": "year", "année": "year", "año": "year", "ano": "year", "anni": "year", "prozent": "%",
    "pourcent": "%", "grad": "°", "degré": "°", "grado": "°", "grau": "°", "litro": "L", "litri": "L",
    "метр": "m", "метра": "m", "метров": "m", "м": "m", "км": "km", "см": "cm", "мм": "mm", "кг": "kg", "г": "g",
    "километр": "km", "километра": "km", "километров": "km", "сантиметр": "cm", "сантиметра": "cm", "сантиметров": "cm",
    "килограмм": "kg", "килограмма": "kg", "килограммов": "kg", "грамм": "g", "граммов": "g", "час": "h", "часа": "h",
    "часов": "h", "минута": "min", "минуты": "min", "минут": "min", "мин": "min", "секунда": "s", "секунды": "s",
    "секунд": "s", "литр": "L", "литра": "L", "литров": "L", "день": "day", "дня": "day", "дней": "day", "год": "year",
    "года": "year", "лет": "year", "процент": "%", "процента": "%", "процентов": "%", "км/ч": "km/h", "м/с": "m/s",
    "米": "m", "公尺": "m", "厘米": "cm", "公分": "cm", "毫米": "mm", "千米": "km", "公里": "km", "克": "g",
    "千克": "kg", "公斤": "kg",
    "吨": "t", "秒": "s", "秒钟": "s", "分钟": "min", "分": "min", "小时": "h", "时": "h", "個小時": "h",
    "个小时": "h", "天": "day", "日": "day",
    "年": "year", "周": "week", "升": "L", "毫升": "mL", "度": "°", "平方米": "m^2", "立方米": "m^3",
    "平方厘米": "cm^2", "平方公里": "km^2",
    "块": "元", "块钱": "元", "人民币": "元", "美元": "$", "欧元": "€", "日元": "円", "ドル": "$", "メートル": "m",
    "センチ": "cm", "キロ": "km",
    "時間": "h", "分間": "min", "グラム": "g", "キログラム": "kg", "リットル": "L", "미터": "m", "킬로미터": "km",
    "센티미터": "cm", "시간": "h", "분": "min",
    "초": "s", "그램": "g", "킬로그램": "kg", "달러": "$", "리터": "L", "퍼센트": "%", "mét": "m", "giờ": "h",
    "phút": "min", "giây": "s",
    "saat": "h", "dakika": "min", "saniye": "s", "metrov": "m", "jam": "h", "menit": "min", "detik": "s", "เมตร": "m",
    "กิโลเมตร": "km",
    "เซนติเมตร": "cm", "กิโลกรัม": "kg", "กรัม": "g", "ชั่วโมง": "h", "นาที": "min", "वर्ष": "year", "मीटर": "m",
    "किलोमीटर": "km", "घंटे": "h",
    "मिनट": "min", "रुपये": "₹", "متر": "m", "كيلومتر": "km", "ساعة": "h", "دقيقة": "min", "كيلوغرام": "kg",
    "godzin": "h", "godziny": "h",
    "metrów": "m", "timmar": "h", "meter per second": "m/s",
    # Forms that stand after a number, and abbreviations; prefixes are taken off before (see _WORD_PREFIXES).
    "метры": "m", "грамма": "g", "литры": "L", "ватт": "W", "вольт": "V", "ватта": "W", "мг": "mg", "мл": "mL",
    "л": "L", "кВт": "kW",
    "метри": "m", "метрів": "m", "грам": "g", "грами": "g", "грама": "g", "грамів": "g", "літр": "L", "літри": "L",
    "літрів": "L", "година": "h", "години": "h", "годин": "h", "хвилина": "min", "хвилини": "min", "хвилин": "min",
    "секунди": "s", "роки": "year", "років": "year", "рік": "year", "дні": "day", "днів": "day", "відсоток": "%",
    "відсотки": "%", "відсотків": "%",
    "metr": "m", "metra": "m", "metry": "m", "metrů": "m", "gramy": "g", "gramów": "g", "gramů": "g", "litr": "L",
    "litra": "L", "litry": "L", "litrów": "L", "litrů": "L", "godzina": "h", "hodina": "h", "hodiny": "h", "hodin": "h",
    "minuta": "min", "minuty": "min", "minut": "min", "sekunda": "s", "sekundy": "s", "sekund": "s", "dni": "day",
    "rok": "year", "lata": "year", "procent": "%", "procenta": "%", "procento": "%",
    "μέτρα": "m", "μετρα": "m", "μετρο": "m", "χιλιοστά": "mm", "χιλιοστό": "mm",
    "μέτρο": "m", "χλμ": "km", "εκατοστά": "cm", "εκατοστό": "cm", "γραμμάρια": "g", "κιλά": "kg",
    "κιλό": "kg", "λίτρα": "L", "λίτρο": "L", "ώρα": "h", "ώρες": "h", "λεπτό": "min", "λεπτά": "min",
    "δευτερόλεπτα": "s", "τοις εκατό": "%",
    "timme": "h", "timer": "h", "minuter": "min", "minutter": "min", "sekunder": "s", "minuut": "min", "seconden": "s",
    "dagen": "day", "dagar": "day", "dage": "day", "jaar": "year",
    "metru": "m", "grame": "g", "oră": "h", "secunde": "s", "metriä": "m", "grammaa": "g", "tuntia": "h",
    "tunti": "h", "minuuttia": "min", "sekuntia": "s", "litraa": "L", "prosenttia": "%",
    "ग्राम": "g", "लीटर": "L", "सेमी": "cm", "किग्रा": "kg", "सेकंड": "s", "घंटा": "h", "दिन": "day", "प्रतिशत": "%",
    "غرام": "g", "جرام": "g", "لتر": "L", "مليمتر": "mm", "كم": "km", "سم": "cm", "كغ": "kg", "ساعات": "h",
    "دقائق": "min", "ثانية": "s", "ثوان": "s", "ثواني": "s", "يوم": "day", "أيام": "day",
    "ลิตร": "L", "วินาที": "s", "วัน": "day", "ปี": "year", "เปอร์เซ็นต์": "%", "กม": "km", "ซม": "cm", "กก": "kg",
    "ワット": "W", "パーセント": "%", "와트": "W", "gam": "g", "lít": "L", "ngày": "day", "phần trăm": "%",
    "hari": "day", "tahun": "year", "persen": "%", "מטר": "m", "גרם": "g", "ליטר": "L", "שעה": "h", "שעות": "h",
    "דקות": "min", "שניות": "s",
}  # fmt: skip
#: Words before a unit that raise it to a power.
_POWERS = {"square": 2, "squared": 2, "sq": 2, "cubic": 3, "cu": 3, "quadrat": 2, "kubik": 3}
#: Temperatures have an offset; only alone, never inside a product.
TEMPERATURES: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("°c", "degc", "celsius", "degreescelsius", "degreecelsius", "gradcelsius", "摄氏度", "度c",
    "degréscelsius",
                     "gradoscelsius", "degreescentigrade", "centigrade", "℃"), (1.0, 273.15)),
    **dict.fromkeys(("°f", "degf", "fahrenheit", "degreesfahrenheit", "degreefahrenheit", "华氏度"), (5 / 9,
    459.67 * 5 / 9)),
}  # fmt: skip
CURRENCY_SIGNS = "$€£¥₹₩₽₺₫฿₪¢"
_FACTOR = re.compile(
    r"([^\W\d_]+(?:-[^\W\d_]+)*|[°%‰$€£¥₹₩₽¢₺₫฿₪円]|[\"'](?!\d))\.?(?:\s*\^\s*\(?([-+]?\d{1,2})\)?|([-+]?\d{1,2})(?!\w))?"
)
_PER = re.compile(r"\b(?:per|pro|par|por)\b|每")
LONGEST_UNIT = 60


@dataclass(frozen=True)
class Unit:
    """A product of units of the table."""

    factor: float
    """To SI base units."""
    dimension: tuple[tuple[str, int], ...]
    """Base unit → power, sorted, without zeros; empty for percentages, angles and bare numbers."""
    offset: float = 0.0
    """Of a temperature scale, in kelvin."""


@lru_cache(maxsize=4096)
def parse_unit(text: str) -> Unit | None:
    """Read a unit or a product such as ``kg m/s^2``, ``square metres``, ``°C``, ``per cent``; None when it is unknown.

    All of the text must be units.
    """
    text = text.strip().strip(".").strip()
    if not text or len(text) > LONGEST_UNIT:
        return None
    compact = re.sub(r"[\s.]+", "", text.casefold())
    if compact in TEMPERATURES:
        factor, offset = TEMPERATURES[compact]
        return Unit(factor, (("K", 1),), offset)
    if compact in ("percent", "porcento", "percento", "porciento", "pourcent", "yüzde"):
        return Unit(0.01, ())
    if compact in ("fluidounce", "fluidounces", "floz"):
        return Unit(2.95735295625e-5, (("m", 3),))
    known = _single(text)
    if known is not None:
        return Unit(known[0], _powers(known[1]))
    factor, powers = 1.0, dict[str, int]()
    for place, part in enumerate(_PER.sub("/", text).split("/")):
        made = _product(re.sub(r"[*·×()\s]+", " ", part).strip(), -1 if place else 1, powers)
        if made is None:
            return None
        factor *= made
    return Unit(factor, tuple(sorted((symbol, power) for symbol, power in powers.items() if power)))


def _product(rest: str, sign: int, powers: dict[str, int]) -> float | None:
    factor, raised = 1.0, 1
    empty = True
    while rest:
        found = _FACTOR.match(rest)
        if found is None:
            return None
        word = found[1].casefold()
        rest = rest[found.end() :].strip()
        if word in _POWERS and not (found[2] or found[3]):
            if word == "squared":
                return None  # after its unit: m squared; rare, and "5 squared" is 25
            raised = _POWERS[word]
            continue
        known = _single(found[1])
        if known is None:
            return None
        power = int(found[2] or found[3] or 1) * sign * raised
        raised, empty = 1, False
        try:
            factor *= known[0] ** power
        except OverflowError:
            return None
        for symbol, exponent in _powers(known[1]):
            powers[symbol] = powers.get(symbol, 0) + exponent * power
    return None if empty or raised != 1 or not factor else factor


@lru_cache(maxsize=256)
def _powers(base: str) -> tuple[tuple[str, int], ...]:
    found = []
    for part in base.split():
        matched = re.fullmatch(r"([A-Za-z]+?)(-?\d+)?", part)
        assert matched is not None
        found.append((matched[1], int(matched[2] or 1)))
    return tuple(sorted(found))


def _single(symbol: str) -> tuple[float, str] | None:
    """Factor and base units of one symbol: as it is, in lower case, without plural, with an SI prefix."""
    small = symbol.casefold()
    for name in dict.fromkeys((symbol, small, small.removesuffix("s"), small.removesuffix("es"))):
        if name in _SI and (name == symbol or len(name) > 1):
            return _SI[name]
        if name in _PLAIN and (name == symbol or len(name) > 1):  # 3D is no three days
            return _PLAIN[name]
        if name in _WORDS:
            inner = _WORDS[name]
            if any(c in inner for c in "/^"):
                unit = parse_unit(inner)
                return None if unit is None else (unit.factor, " ".join(f"{s}{p}" for s, p in unit.dimension))
            return _single(inner)
    for prefix, factor in _PREFIXES.items():
        inner = symbol.removeprefix(prefix)
        if inner != symbol and inner in _SI:
            return factor * _SI[inner][0], _SI[inner][1]
    for prefix, factor in _WORD_PREFIXES.items():
        inner = small.removeprefix(prefix)
        if inner != small and (len(inner) > 2 or not inner.isascii()) and (known := _single(inner)) is not None:
            return factor * known[0], known[1]
    return None
