"""Gate: the reply is written in the script of its prompt. By Unicode script, no model. Source: ours.

It sees a change of script (Chinese reasoning about an English question), not of language within one script (French for
English).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from mindgpt_plugins.rewards.sdk import Rollout, Score, reward

# The answer's marker, LaTeX, code and markup are Latin in every language.
_MARKUP = re.compile(
    r"answer\s*:|\\[A-Za-z]+|```.*?```|`[^`]*`|<[^<>]*>|\$[^$]*\$|https?://\S+", re.DOTALL | re.IGNORECASE
)
_JAPANESE = frozenset({"CJK", "HIRAGANA", "KATAKANA"})
_KNOWN = frozenset(
    {
        "ARABIC", "ARMENIAN", "BENGALI", "CJK", "CYRILLIC", "DEVANAGARI", "ETHIOPIC", "GEORGIAN", "GREEK", "GUJARATI",
        "GURMUKHI", "HANGUL", "HEBREW", "HIRAGANA", "KANNADA", "KATAKANA", "KHMER", "LAO", "LATIN", "MALAYALAM",
        "MONGOLIAN", "MYANMAR", "SINHALA", "TAMIL", "TELUGU", "THAI", "TIBETAN",
    }
)  # fmt: skip


@reward(name="language", role="gate")
def language(r: Rollout, *, scripts: Sequence[str] | None = None, share: float = 0.9) -> Score | None:
    """1 when at least ``share`` of the reply's letters are in the expected scripts; None when there are no letters.

    Args:
        r: the reply.
        scripts: Unicode names such as ``LATIN``, ``CJK``, ``CYRILLIC``; default: the main one of the prompt (for
            Japanese, kanji and both kana).
        share: of letters; single foreign names and terms pass.

    Raises:
        ValueError: unknown script.
    """
    unknown = sorted({s.upper() for s in scripts or ()} - _KNOWN)
    if unknown:
        raise ValueError(f"language: unknown script {', '.join(unknown)}; known: {', '.join(sorted(_KNOWN))}")
    wanted = frozenset(s.upper() for s in scripts) if scripts else _main(count_scripts(r.prompt))
    found = count_scripts(r.text)
    total = sum(found.values())
    if not wanted or not total:
        return None
    inside = sum(n for script, n in found.items() if script in wanted) / total
    return Score(float(inside >= share), log={"share": round(inside, 4)})


def count_scripts(text: str) -> Counter[str]:
    """Letters by script, without markup, code and mathematics."""
    letters = Counter(c for c in _MARKUP.sub(" ", text) if c.isalpha())
    found: Counter[str] = Counter()
    for character, n in letters.items():
        found[_script(character)] += n
    return found


def _main(found: Counter[str]) -> frozenset[str]:
    if not found:
        return frozenset()
    main = found.most_common(1)[0][0]
    kana = found["HIRAGANA"] + found["KATAKANA"] > 0
    return _JAPANESE if main in _JAPANESE and kana else frozenset({main})


@lru_cache(maxsize=65536)
def _script(character: str) -> str:
    return unicodedata.name(unicodedata.normalize("NFKC", character)[0], "UNKNOWN").split()[0]
