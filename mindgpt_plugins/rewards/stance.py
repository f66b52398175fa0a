"""Does a reply refuse, answer or do neither, and does a refusal name the right reason? Rules, no model. Source: ours.

Adversarial rows have the gold answer ``unanswerable: <reason>``; the kinds of reasons are those that
:mod:`mindgpt_data.adversarial` makes: the picture is blank, what was asked about is covered, it is not there (also when
the picture is another one).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from mindgpt_plugins.answers import extract_answer, normalise_text, strip_reasoning
from mindgpt_plugins.rewards.sdk import Rollout

_REFUSAL = re.compile(
    r"(?:(?:sorry|i|we|it|this|that|the question|the answer|is|am|are|m|s)\W+)*"
    r"(?:unanswerable|not answerable|no answer|unknown|undetermined|not (?:visible|shown|possible|enough|there|present)"
    r"|cannot|can ?not|can[’']?t|could ?n[o’']?t|unable|impossible|nothing|none\b|there (?:is|are)(?: no\b|n[’']t)"
    r"|(?:i|we) (?:do not|don[’']t) (?:know|see)|does not (?:exist|show|contain)|doesn[’']t (?:exist|show|contain)"
    r"|no \w|(?:the )?(?:whole )?(?:picture|image|photo) (?:is|looks|appears) (?:\w+ly |all |just )?(?:blank|empty)"
    r"|(?:\w+ ){1,5}(?:is|are) (?:\w+ly )?(?:covered|hidden|obscured|occluded|masked|not (?:in|there|visible)))",
    re.IGNORECASE,
)
_SENTENCE = re.compile(
    r"\b(?:unanswerable|(?:can ?not|can[’']t|unable to|impossible to|not possible to) (?:be )?"
    r"(?:answer|tell|say|see|determine|know|identify)\w*|(?:do not|don[’']t) know)\b",
    re.IGNORECASE,
)
_BLANK = re.compile(
    r"\b(?:blank|empty|featureless|uniform|solid|nothing (?:is )?(?:in|on|shown|visible|there)|(?:single|one) colou?r"
    r"|(?:only|all|just|plain) gr[ae]y)\b",
    re.IGNORECASE,
)
_COVERED = re.compile(
    r"\b(?:cover(?:ed|s)|hidden|obscured|occluded|block(?:ed|s)|masked|concealed|censored|blacked|greyed|grayed)\b"
    r"|\b(?:gr[ae]y|black) (?:box|patch|square|rectangle)",
    re.IGNORECASE,
)
_ABSENT = re.compile(r"\b(?:no|not|without|missing|absent|lacks?|nowhere|none|never)\b|n[’']t\b", re.IGNORECASE)
_OTHER = re.compile(r"\b(?:another|different|wrong|unrelated|other) (?:picture|image|photo|scene)\b", re.IGNORECASE)
_GOLD = re.compile(r"\s*unanswerable\s*(?::\s*(.*))?", re.IGNORECASE | re.DOTALL)
_LABEL = re.compile(r"there is no (.+?) in the picture", re.IGNORECASE)


@dataclass(frozen=True)
class RefusalClassification:
    """What a reply does with a question."""

    kind: Literal["refuses", "answers", "neither"]
    reason: str = ""
    """Of a refusal: what it says."""


def classify_refusal(text: str) -> RefusalClassification:
    """Read a reply; the final answer decides, and where there is none, a sentence that refuses."""
    answer = extract_answer(text)
    if answer is not None:
        if not _REFUSAL.match(answer.strip("\"'( ")):
            return RefusalClassification("answers")
        return RefusalClassification("refuses", re.sub(r"(?i)^unanswerable\s*[:,.;-]*\s*", "", answer) or text)
    text = strip_reasoning(text)
    return RefusalClassification("refuses", text) if _SENTENCE.search(text) else RefusalClassification("neither")


def read_gold_reason(target: str) -> str | None:
    """The gold reason (may be empty) when a gold answer says that there is none, else None."""
    found = _GOLD.fullmatch(target)
    return None if found is None else (found[1] or "").strip()


def has_right_reason(r: Rollout, said: str) -> bool:
    """Does a refusal name the reason of the gold answer, and no other?

    The kind comes from the gold reason, else from the uid's prefix (``blank-…``). A reason of the row's own author is
    compared by its words: half of them must be there.
    """
    gold = read_gold_reason(r.target) or ""
    label = _LABEL.search(gold)
    kind = r.uid.partition("-")[0]
    blank, covered = bool(_BLANK.search(said)), bool(_COVERED.search(said))
    if label or (kind in ("swapped", "false_premise") and not gold):
        named = label is None or _stems(label[1]) <= _stems(said)
        absent = bool(_ABSENT.search(said)) and named
        return (absent or (kind == "swapped" and bool(_OTHER.search(said)))) and not (blank or covered)
    if "blank" in gold or (kind == "blank" and not gold):
        return blank and not covered
    if "covered" in gold or (kind == "covered" and not gold):
        return covered and not blank
    words = _stems(gold)
    return bool(words) and len(words & _stems(said)) >= 0.5 * len(words)


_SMALL = frozenset({"the", "a", "an", "is", "are", "of", "in", "it", "to", "that", "this", "picture", "image"})


def _stems(text: str) -> set[str]:
    return {word.removesuffix("s") for word in re.findall(r"\w+", normalise_text(text)) if word not in _SMALL}
