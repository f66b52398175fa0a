"""Step ``match``: images → topics of the knowledge tree."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindgpt_data.focus import weights
from mindgpt_data.focus.weights import NEUTRAL
from mindgpt_data.io.progress import Progress, ignore_update
from mindgpt_data.io.work import Drop, Work
from mindgpt_data.matching.choose import Found, choose_topics
from mindgpt_data.schema.record import ImageRecord
from mindgpt_data.tree.files import load_tree
from mindgpt_data.tree.model import Tree
from mindgpt_plugins.core import files

if TYPE_CHECKING:
    from mindgpt_data.client.request import Task
    from mindgpt_data.matching.index import Hit, Index
    from mindgpt_data.schema.config import DataSettings

STEP = "match"
BATCH = 64
"""Images whose words are embedded at once."""


@dataclass
class _Run:
    work: Work
    settings: DataSettings
    tree: Tree
    progress: Progress
    drops: list[Drop] = field(default_factory=list)

    def drop(self, gate: str, reason: str, record: ImageRecord, detail: str = "") -> None:
        self.drops.append(Drop(STEP, gate, reason, record.image, detail))


def run(work: Work, settings: DataSettings, *, seed: int = 0, progress: Progress = ignore_update) -> dict[str, Any]:
    """Read ``images.jsonl``, write ``matches.jsonl``: a line per image, in order, some without topics.

    An image for which nothing is found goes on without topics (its QA then have no knowledge label), and
    ``drops/match.jsonl`` says why. Nothing here is left to chance; ``seed`` is not used.

    Raises:
        TreeError: the knowledge tree cannot be used.
        FocusError: the focus cannot be used, or nothing is weak.
        ValueError: the judge is needed and no endpoint is configured, or matcher clip has no model.
    """
    started = time.monotonic()
    match = settings.match
    where = settings.tree.knowledge
    state = _Run(work, settings, load_tree("knowledge", None if where == "builtin" else Path(where)), progress)
    focus = weights.load_run_focus(settings)
    heavy = focus.knowledge if focus else NEUTRAL
    records = work.read_images()
    if match.matcher == "judge":
        found = _judged(state, records)
    else:
        found = dict(_similar(state, records))
        if match.verify:
            found = _verified(state, records, found)
    counts: Counter[str] = Counter()
    lines = []
    for record in records:
        topics = choose_topics(
            found.get(record.image, []), counts, least_fit=match.least_fit, limit=match.limit, weights=heavy
        )
        lines.append({"image": record.image, "topics": [_line(topic) for topic in topics]})
        if not topics and record.image in found:
            best = max(found[record.image], key=lambda f: (f.fit, f.similarity), default=None)
            detail = f"best: {best.leaf} (fit {best.fit}, {best.evidence!r})" if best else ""
            state.drop("fit", f"no topic of fit {match.least_fit} or more", record, detail)
    files.write_jsonl(work.matches, lines)
    work.write_drops(STEP, state.drops)
    topics_per_image = Counter(len(line["topics"]) for line in lines)
    summary: dict[str, Any] = {
        "images": len(lines),
        "matched": sum(bool(line["topics"]) for line in lines),
        "topics_per_image": {str(n): m for n, m in sorted(topics_per_image.items())},
        "leaves_used": len(counts),
        "leaves": len(state.tree.leaf_rows),
        "top": dict(counts.most_common(10)),
        "dropped": dict(Counter(drop.reason for drop in state.drops)),
        "seconds": round(time.monotonic() - started, 3),
        "settings": match.model_dump(mode="json"),
    }
    if match.matcher == "judge" or match.verify:
        from mindgpt_data.client.spend import read_usage

        summary["usage"] = [line for line in read_usage(work.store) if line["step"] == STEP]
    work.write_summary(STEP, summary)
    return summary


def _line(topic: Found) -> dict[str, Any]:
    return {"leaf": topic.leaf, "fit": topic.fit, "evidence": topic.evidence}


def _similar(state: _Run, records: Sequence[ImageRecord]) -> Iterator[tuple[str, list[Found]]]:
    """Image id → topics by similarity; images that cannot be compared are dropped with a reason and left out."""
    if state.settings.match.matcher == "clip":
        yield from _seen(state, records)
        return
    from mindgpt_data.embed import load_embedder
    from mindgpt_data.matching import index, text
    from mindgpt_data.matching.phrases import extract_phrases

    match, model = state.settings.match, load_embedder("static")
    least = text.LEAST if match.least_similarity is None else match.least_similarity
    topics = index.build_topic_index(state.tree, model.encode, model.name, state.work.folder / "cache")
    strong = max(text.STRONG, least)
    for start in range(0, len(records), BATCH):
        batch = [(record, extract_phrases(record)) for record in records[start : start + BATCH]]
        distinct = sorted({phrase for _, words in batch for phrase in words})
        hits = {
            phrase: topics.beam(vector, match.beam)
            for phrase, vector in zip(distinct, text.encode_phrases(distinct, model), strict=True)
        }
        for record, words in batch:
            if not words:
                reason = "no words to match by (use matcher judge or clip)"
                state.drop("words", reason, record, "the corpus brings no captions, tags, labels or texts for it")
                continue
            kept = [(hit, phrase) for phrase in words for hit in text.select_supported_hits(hits[phrase], least)]
            if not kept:
                nearest = max(((hits[phrase][0], phrase) for phrase in words), key=lambda pair: pair[0].score)
                state.drop("similarity", f"no topic reaches {least}", record, _nearest(topics, *nearest))
                continue
            yield record.image, [_found(topics, hit, phrase, strong) for hit, phrase in kept]
        state.progress({"stage": STEP, "step": min(start + BATCH, len(records)), "total": len(records)})


def _seen(state: _Run, records: Sequence[ImageRecord]) -> Iterator[tuple[str, list[Found]]]:
    from mindgpt_data.io.images import ImageError, open_image
    from mindgpt_data.matching import clip, index

    match = state.settings.match
    if match.clip is None:
        raise ValueError("match.clip: matcher clip needs the path or hub id of a CLIP or SigLIP model")
    model = clip.Clip(match.clip)
    least = clip.LEAST if match.least_similarity is None else match.least_similarity
    topics = index.build_topic_index(state.tree, model.texts, model.name, state.work.folder / "cache")
    strong = max(clip.STRONG, least)
    for number, record in enumerate(records, 1):
        state.progress({"stage": STEP, "step": number, "total": len(records)})
        try:
            pictures = [open_image(Path(path)) for path in record.paths]
        except ImageError as error:
            state.drop("open", error.reason, record, str(error))
            continue
        hits = [
            (hit, f"picture {shown}")
            for shown, vector in enumerate(model.images(pictures), 1)
            for hit in topics.beam(vector, match.beam)
        ]
        kept = [_found(topics, hit, shown, strong) for hit, shown in hits if hit.score >= least]
        if not kept:
            state.drop("similarity", f"no topic reaches {least}", record, _nearest(topics, *hits[0]))
            continue
        yield record.image, kept


def _found(topics: Index, hit: Hit, evidence: str, strong: float) -> Found:
    fit = 3 if hit.score >= strong else 2
    return Found(topics.tree.columns.ids[hit.row], fit, evidence, round(hit.score, 4))


def _nearest(topics: Index, hit: Hit, query: str) -> str:
    return f"nearest: {topics.tree.columns.ids[hit.row]} {hit.score:.2f} for {query!r}"


def _verified(state: _Run, records: Sequence[ImageRecord], found: dict[str, list[Found]]) -> dict[str, list[Found]]:
    """The same topics with the judge's fit and evidence; similarity stays as a tie-breaker."""
    from mindgpt_data.matching.judge import JudgeSetup

    asked = JudgeSetup(state.tree, state.settings.match.max_pixels)
    by_image = {record.image: record for record in records}
    tasks = (
        asked.verify(by_image[image], list(dict.fromkeys(f.leaf for f in topics))) for image, topics in found.items()
    )
    answers = _ask(state, tasks, len(found), by_image)
    result = {}
    for image, judged in answers.items():
        similarity = {f.leaf: f.similarity for f in sorted(found[image], key=lambda f: f.similarity)}
        result[image] = [Found(f.leaf, f.fit, f.evidence, similarity[f.leaf]) for f in judged]
    return result


def _judged(state: _Run, records: Sequence[ImageRecord]) -> dict[str, list[Found]]:
    """The judge alone descends the tree: three rounds of requests, each over all images."""
    from mindgpt_data.matching.judge import JudgeSetup

    match = state.settings.match
    asked = JudgeSetup(state.tree, match.max_pixels)
    by_image = {record.image: record for record in records}
    found: dict[str, list[Found]] = {record.image: [] for record in records}
    for level, most in enumerate(match.beam, 1):
        tasks = [
            task
            for image, parents in found.items()
            if level == 1 or parents
            for task in asked.descend(by_image[image], level, [f.leaf for f in parents], most)
        ]
        answers = _ask(state, tasks, len(tasks), by_image)
        for image, parents in list(found.items()):
            if image in answers:
                found[image] = answers[image][:most]
            elif level == 1 or parents:
                del found[image]
    return found


def _ask(
    state: _Run, tasks: Iterable[Task[list[Found]]], total: int, by_image: dict[str, ImageRecord]
) -> dict[str, list[Found]]:
    """Image → what its requests found, in the order of its requests; an image with a failed one is dropped."""
    from mindgpt_data.client.request import Failed
    from mindgpt_data.client.run import ask_all

    done: dict[str, dict[int, list[Found]]] = {}
    failed: dict[str, str] = {}
    outcomes = ask_all(
        tasks,
        step=STEP,
        store=state.work.store,
        endpoints=state.settings.endpoints_for("judge"),
        progress=state.progress,
        total=total,
    )
    for outcome in outcomes:
        head, part = outcome.key.rsplit("/", 1)
        image = head if part == "verify" else head.rsplit("/", 1)[0]
        if isinstance(outcome, Failed):
            failed[image] = outcome.error
        else:
            done.setdefault(image, {})[0 if part == "verify" else int(part)] = outcome.value
    for image in by_image:
        if image in failed:
            state.drop("judge", "the judge gave no usable answer", by_image[image], failed[image])
    return {
        image: _interleaved([topics for _, topics in sorted(done[image].items())])
        for image in by_image
        if image in done and image not in failed
    }


def _interleaved(parts: Sequence[list[Found]]) -> list[Found]:
    """The first of every list of options, then the second…: all lists were offered alike. Fit comes before that."""
    mixed = [topic for row in zip_longest(*parts) for topic in row if topic is not None]
    return sorted(mixed, key=lambda topic: -topic.fit)
