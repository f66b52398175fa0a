"""Matcher ``judge`` and verification: a model that sees the picture picks among a node's children (ours)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from mindgpt_data.client.request import Answer, Request, Task
from mindgpt_data.matching.choose import Found
from mindgpt_data.schema.record import ImageRecord
from mindgpt_data.teachers.messages import build_messages, fingerprint_request, make_closed_schema
from mindgpt_data.tree.model import Tree
from mindgpt_plugins.core.schema import Strict

CHUNK = 128
"""Options per request: longer lists are split, because models overlook the middle of them."""
EVIDENCE = 160
"""Longest evidence, characters."""

SYSTEM = "You sort pictures into a fixed list of topics. You go by what is visible and never guess."
DESCEND = """Which of these topics is the picture about? Pick at most {most}, the clearest first; none is fine.

{options}"""
JUDGE = """How well does each of these topics fit the picture? Answer for those that fit at all, the clearest first.
fit 3: the picture clearly shows it; 2: it shows it, in part or in the background; 1: only related; 0: not at all.
evidence: what in the picture shows it, in a few words.

{options}"""


class _Pick(Strict):
    topic: str
    fit: int = Field(3, ge=0, le=3)
    evidence: str = ""


_PICKS = TypeAdapter(dict[str, list[_Pick]])


@dataclass(frozen=True)
class JudgeSetup:
    """How a judge is asked.

    Attributes:
        tree: the knowledge tree.
        max_pixels: pictures are sent with at most this many pixels.
    """

    tree: Tree
    max_pixels: int

    def descend(self, record: ImageRecord, level: int, parents: Sequence[str], most: int) -> list[Task[list[Found]]]:
        """Requests that pick among the children of ``parents``; at level 3 each pick has fit and evidence."""
        options = [child for parent in parents for child in self.tree.children(parent)] if parents else self.tree.roots
        return [
            self._task(f"{record.image}/{level}/{part}", record, options[start : start + CHUNK], most, level == 3)
            for part, start in enumerate(range(0, len(options), CHUNK))
        ]

    def verify(self, record: ImageRecord, leaves: Sequence[str]) -> Task[list[Found]]:
        """One request that gives candidates a fit and evidence."""
        return self._task(f"{record.image}/verify", record, list(leaves), len(leaves), True)

    def _task(self, key: str, record: ImageRecord, options: list[str], most: int, judged: bool) -> Task[list[Found]]:
        nodes = [self.tree.nodes[option] for option in options]
        listed = "\n".join(f"- {node.id}: {node.name}. {node.definition}".rstrip(". ") for node in nodes)
        prompt = (JUDGE if judged else DESCEND).format(most=most, options=listed)
        return Task(
            key=key,
            fingerprint=fingerprint_request(record, SYSTEM, prompt, most, self.max_pixels),
            build=partial(_build, record, prompt, self.max_pixels, _schema(options, most, judged)),
            parse=partial(_parse, frozenset(options), most),
        )


def _schema(options: Sequence[str], most: int, judged: bool) -> dict[str, Any]:
    pick: dict[str, dict[str, Any]] = {"topic": {"type": "string", "enum": list(options)}}
    if judged:
        pick["evidence"] = {"type": "string", "maxLength": EVIDENCE}
        pick["fit"] = {"type": "integer", "minimum": 0, "maximum": 3}
    return make_closed_schema(topics={"type": "array", "items": make_closed_schema(**pick), "maxItems": most})


def _build(record: ImageRecord, prompt: str, max_pixels: int, schema: dict[str, Any]) -> Request:
    most = schema["properties"]["topics"]["maxItems"]
    return Request(build_messages(record, SYSTEM, prompt, max_pixels), schema=schema, max_tokens=64 + 96 * most)


def _parse(options: frozenset[str], most: int, answer: Answer) -> list[Found]:
    try:
        picks = _PICKS.validate_json(answer.texts[0])["topics"]
    except (ValidationError, json.JSONDecodeError, KeyError) as error:
        raise ValueError(f"not a list of topics: {str(error).splitlines()[0]}") from None
    unknown = [pick.topic for pick in picks if pick.topic not in options]
    if unknown:
        raise ValueError(f"{unknown[0]!r} was not among the topics offered")
    return [Found(pick.topic, pick.fit, pick.evidence[:EVIDENCE]) for pick in picks[:most]]
