"""What a teacher hands over: candidate questions about one scene, to be gated."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Candidate:
    """One proposed QA.

    Attributes:
        capability: leaf of the capability tree.
        question: what is asked.
        answer: short gold answer.
        answer_type: ``text``, ``number``, ``choice`` or ``yesno``.
        reason: one or two sentences that lead to the answer; the verbose reply starts with it.
        knowledge: leaf of the knowledge tree, or None.
    """

    capability: str
    question: str
    answer: str
    answer_type: str
    reason: str
    knowledge: str | None = None

    def response(self, verbose: bool) -> str:
        """The supervised reply; always ends with ``answer: <answer>``."""
        return f"{self.reason} answer: {self.answer}" if verbose else f"answer: {self.answer}"
