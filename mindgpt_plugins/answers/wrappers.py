r"""Taking off what is put *around* an answer and says nothing: emphasis, quotes, ``$…$``, ``\text{…}``. Source: ours.

Marks are taken off in pairs only: the ``$`` of ``$5`` and the ``*`` of an answer ``*`` are content.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_PAIRS = (
    ("**", "**"), ("__", "__"), ("~~", "~~"), ("$$", "$$"), ("\\(", "\\)"), ("\\[", "\\]"), ("*", "*"), ("_", "_"),
    ("`", "`"), ("$", "$"), ('"', '"'), ("'", "'"), ("“", "”"), ("‘", "’"), ("«", "»"), ("„", "“"), ("「", "」"),
    ("『", "』"), ("《", "》"), ("„", "”"), ("<<", ">>"),
)  # fmt: skip
_TEXT = re.compile(
    r"\\(?:text|textbf|textit|textrm|textsf|texttt|mathrm|mathbf|mathsf|mathit|operatorname|mbox|hbox|bf|rm|emph"
    r"|boldsymbol|underline|ensuremath)\s*\{([^{}]*)\}"
)
_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{([^{}]*)\}")
_FRAC = re.compile(r"(-?\d+)?\s*\\[dtc]?frac\s*(?:\{\s*([^{}]*?)\s*\}|(\d))\s*(?:\{\s*([^{}]*?)\s*\}|(\d))")
_SIMPLE = re.compile(r"-?[\w.]+")
_GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "theta": "θ", "lambda": "λ", "pi": "π",
    "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "omega": "ω", "Delta": "Δ", "Sigma": "Σ",
}  # fmt: skip
_COMMANDS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"\{\s*([,.])\s*\}"), r"\1"),  # 1{,}234
    (re.compile(r"\\(?:[,;:! ]|quad\b|qquad\b|thinspace\b)|(?<!\\)~"), " "),
    (re.compile(r"\\(?:left|right|displaystyle|limits|big|Big)\b\s*"), ""),
    (re.compile(r"\^\s*(?:\{\s*)?\\(?:circ|degree)\b\s*\}?|\\degree\b"), "°"),
    (re.compile(r"\\(?:times)\b\s*"), "×"),
    (re.compile(r"\\(?:cdot)\b\s*"), "·"),
    (re.compile(r"\\approx\b\s*"), "≈"),
    (re.compile(r"\\(?:ldots|dots)\b"), "..."),
    (re.compile(r"\\Omega\b"), "Ω"),
    (re.compile(rf"\\({'|'.join(_GREEK)})(?![A-Za-z])\s*"), lambda m: _GREEK[m[1]]),
    (re.compile(r"\\mu\b\s*"), "μ"),
    (re.compile(r"\\(?:ge|geq)\b\s*"), "≥"),
    (re.compile(r"\\(?:le|leq)\b\s*"), "≤"),
    (re.compile(r"\\(?:ne|neq)\b\s*"), "≠"),
    (re.compile(r"\\([%$#&_])"), r"\1"),
)
LONGEST = 4000
"""Characters of an answer that are looked at; what is longer is no short answer."""


def strip_wrapping(text: str) -> str:
    """Return the text without spaces, emphasis, quotes and math delimiters around the whole of it.

    ``**"5"**`` becomes ``5``, ``$5$`` becomes ``5``, ``$5`` stays.
    """
    before = None
    text = text.strip()
    while text != before:
        before = text
        for start, end in _PAIRS:
            # The same mark inside means that these two are not each other's: `*a* and *b*`, `$5 to $6$`.
            if len(text) > len(start) + len(end) and text.startswith(start) and text.endswith(end):
                inner = text[len(start) : -len(end)]
                if start not in inner and end not in inner and (start != "$" or not inner.endswith("\\")):
                    text = inner.strip()
                    break
    return text


def strip_brackets(text: str) -> str:
    """Return the text without round, square and curly brackets around the whole of it."""
    while len(text) > 2 and text[0] + text[-1] in ("()", "[]", "{}", "（）", "【】"):
        depth = 0
        for place, character in enumerate(text):
            depth += (character == text[0]) - (character == text[-1])
            if depth == 0 and place < len(text) - 1:
                return text
        text = text[1:-1].strip()
    return text


def simplify_latex(text: str) -> str:
    r"""Return LaTeX of a short answer as plain text: ``12\text{ cm}^2`` as ``12 cm^2``, ``\frac{1}{2}`` as ``1/2``.

    What has no plain form (``\sqrt{2}``) stays as it is; ``math`` reads it.
    """
    if "\\" not in text and "{" not in text:
        return text
    text = text[:LONGEST]
    for pattern, replacement in _COMMANDS:
        text = pattern.sub(replacement, text)
    for _ in range(8):  # wrappers inside wrappers
        before = text
        text = _TEXT.sub(r"\1", _BOX.sub(r"\1", text))
        if text == before:
            break
    text = _FRAC.sub(_fraction, text)
    # Exponents and units in braces; sets such as \{1, 2\} keep theirs.
    text = re.sub(r"([\^_])\s*\{\s*([^{}\\]*?)\s*\}", r"\1\2", text)
    return re.sub(r"[^\S\n]+", " ", text).strip()


def _fraction(found: re.Match[str]) -> str:
    above, below = found[2] or found[3] or "", found[4] or found[5] or ""
    parts = [part if _SIMPLE.fullmatch(part) else f"({part})" for part in (above, below)]
    whole = "" if found[1] is None else f"{found[1]} "
    return f"{whole}{parts[0]}/{parts[1]}"


def strip_emphasis(text: str) -> str:
    """Return the text without bold marks anywhere in it: `**Answer**: 5` reads as `Answer: 5`."""
    return re.sub(r"\*\*(?=\S)([^*\n]*?)(?<=\S)\*\*", r"\1", text)
