"""Pictures → matched labels → density → budget → QA → gates → datasets folder. Deterministic in the seed.

Sets are written one after the other, held-out sets first, so that training sets can be checked against them. A set that
is done (its ``<set>.done.json`` lists its pictures) is read back, not made again: that is how a killed run goes on.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from mindgpt_data import export
from mindgpt_data.budget.allocate import allocate
from mindgpt_data.budget.per_image import per_images
from mindgpt_data.budget.split import split
from mindgpt_data.density.score import Picture, information_density
from mindgpt_data.focus import table, weights
from mindgpt_data.focus.weights import NEUTRAL, Focus
from mindgpt_data.gates.duplicates import normalise
from mindgpt_data.gates.item import Item
from mindgpt_data.schema.rows import SUB_SCORES, Row
from mindgpt_data.tree.model import Tree
from mindgpt_data.world import domain, gates, general
from mindgpt_data.world import summary as report
from mindgpt_data.world.candidate import Candidate
from mindgpt_data.world.config import Scenes, SetConfig, WorldSettings
from mindgpt_data.world.draw import draw
from mindgpt_data.world.funnel import Funnel
from mindgpt_data.world.labels import labels
from mindgpt_data.world.matching import match
from mindgpt_data.world.order import tried
from mindgpt_data.world.questions import from_truth
from mindgpt_data.world.scene import Scene
from mindgpt_plugins.core import registry
from mindgpt_plugins.core.choice import choices
from mindgpt_plugins.core.files import read_json, write_json

SAMPLERS = {"general": general.sample, "domain": domain.sample}
Progress = Callable[[dict[str, Any]], None]


@dataclass
class Shot:
    """One accepted picture on its way through the pipeline."""

    scene: Scene
    image: str
    image_hash: str
    sub_scores: dict[str, float]
    ids: float
    candidates: list[Candidate]
    budget: int = 0

    def families(self, tree: Tree, focus: Focus) -> dict[str, float]:
        """Density dimension → mean weight of the capabilities this picture can be asked about."""
        asked = {c.capability for c in self.candidates}
        return focus.families({d: sorted(c for c in asked if tree.nodes[c].density == d) for d in SUB_SCORES})


@dataclass
class _Run:
    settings: WorldSettings
    seed: int
    folder: Path
    progress: Progress
    knowledge: Tree
    capability: Tree
    focus: dict[tuple[str, str], Focus] = field(default_factory=dict)
    held_out: set[str] = field(default_factory=set)
    taken: dict[str, str] = field(default_factory=dict)
    images_done: int = 0

    @property
    def total(self) -> int:
        return sum(s.images for config in self.settings.sets.values() for s in config.sources.values())


def run(settings: WorldSettings, seed: int, folder: Path, progress: Progress = lambda line: None) -> dict[str, Any]:
    """Make every set of ``settings`` under ``folder`` and return the report (also ``data_report.json`` beside it).

    Args:
        settings: what to make.
        seed: the only source of chance; same seed, same bytes.
        folder: the datasets folder.
        progress: called with one metrics line at a time.

    Raises:
        BudgetError: a set's items do not fit its images, or its allocator cannot follow a focus.
        FocusError: a source's branch file cannot be used, or nothing in it is weak.
        RegistryError: an estimator, allocator or gate that does not exist, or an option it does not have.
        RuntimeError: a set cannot get enough pictures that are new.
    """
    for _, choice in choices(settings):
        registry.check_options(choice.of, choice.name, choice.options)
    state = _Run(settings, seed, folder, progress, labels("knowledge"), labels("capability"))
    trees = {"knowledge": state.knowledge, "capability": state.capability}
    for name, config in settings.sets.items():
        for source, scenes in config.sources.items():
            if scenes.focus and (focus := weights.load(scenes.focus, trees)):
                state.focus[name, source] = focus
    order = sorted(settings.sets, key=lambda name: settings.sets[name].split == "train")
    done = {name: _one_set(state, name, settings.sets[name]) for name in order}
    result = report.build({name: done[name] for name in settings.sets}, state.knowledge, state.capability)
    return result


def _one_set(state: _Run, name: str, config: SetConfig) -> dict[str, Any]:
    marker = state.folder / f"{name}.done.json"
    if marker.is_file():
        summary: dict[str, Any] = read_json(marker)
    else:
        summary = _make_set(state, name, config)
        write_json(marker, summary)
    keys = [key for pair in summary["pictures"] for key in pair]
    state.taken.update(dict.fromkeys(keys, name))
    if config.split != "train":
        state.held_out.update(keys)
    state.images_done += sum(scenes.images for scenes in config.sources.values())
    state.progress({"step": state.images_done, "total": state.total, "items": summary["items"]})
    return summary


def _make_set(state: _Run, name: str, config: SetConfig) -> dict[str, Any]:
    funnel, rows, shots = Funnel(), list[Row](), list[Shot]()
    focused: dict[str, Any] = {}
    for source, scenes in config.sources.items():
        focus = state.focus.get((name, source))
        batch = list(_shots(state, name, source, scenes, funnel))
        _allocate(state, scenes, batch, focus)
        asked = list(_ask(state, name, config, source, batch, funnel, focus))
        rows += asked
        shots += batch
        if focus is not None:
            got = {axis: Counter(x for r in asked if (x := getattr(r, axis))) for axis in focus.axes}
            focused[source] = {"weak": table.weak(focus), "leaves": table.asked_and_got(focus.axes, got)}
    export.write_set(rows, state.folder, name)
    funnel.passed.update(images=len(shots), items=len(rows))
    return {
        "split": config.split,
        "items": len(rows),
        "images": len(shots),
        "funnel": funnel.report(),
        "ids": [round(s.ids, 4) for s in shots],
        "budget": [s.budget for s in shots],
        "sub_scores": {d: round(sum(s.sub_scores[d] for s in shots) / len(shots), 3) for d in SUB_SCORES},
        "knowledge": dict(Counter(r.knowledge for r in rows if r.knowledge)),
        "capability": dict(Counter(r.capability for r in rows)),
        "answers": dict(Counter(r.answer for r in rows).most_common(10)),
        "pictures": [[s.image_hash, s.scene.signature] for s in shots],
        **({"focus": focused} if focused else {}),
    }


def _shots(state: _Run, name: str, source: str, scenes: Scenes, funnel: Funnel) -> Iterator[Shot]:
    """Render until ``scenes.images`` pictures passed; each is new to every other set of this run."""
    settings = state.settings
    rng = random.Random(f"{state.seed}/{name}/{source}")
    estimate = registry.get("estimator", settings.density.estimator.name)
    decontaminate = gates.gate("decontaminate") if "decontaminate" in [gate.name for gate in settings.gates] else None
    seen: set[str] = set()
    accepted = attempts = 0
    while accepted < scenes.images:
        attempts += 1
        if attempts > 20 * scenes.images + 100:
            raise RuntimeError(
                f"set {name!r}: only {accepted} of {scenes.images} {source} pictures are new after {attempts} tries; "
                "ask for fewer, or widen their difficulty range"
            )
        low, high = scenes.difficulty
        grade = round(low + (high - low) * rng.random() ** scenes.skew, 2)
        scene = SAMPLERS[source](rng, grade, settings.world.size, rng.random() < scenes.unseen)
        image = draw(scene)
        key, shown = export.content_hash(image), scene.signature
        funnel.passed["rendered"] += 1
        candidates = from_truth(scene)
        reason = None
        if decontaminate is not None:
            # Judged once per picture, before it is scored: every question about it would share its fate.
            probe = _row("probe", "", scene, candidates[0], config_split="", verbose=False)
            reason = decontaminate(Item(probe, key, shown, held_out=frozenset(state.held_out & {key, shown})))
        if reason:
            funnel.drop("decontaminate", reason, f"{shown} (in {state.taken.get(shown) or state.taken.get(key)})")
            continue
        if {key, shown} & seen or key in state.taken or shown in state.taken:
            funnel.drop("unique", "picture or scene already used", f"{shown} ({state.taken.get(shown, name)})")
            continue
        seen |= {key, shown}
        scores = estimate(Picture(image, scene), **settings.density.estimator.options)
        ids = information_density(scores, settings.density.weights)
        accepted += 1
        if accepted % 200 == 0:
            state.progress({"step": state.images_done + accepted, "total": state.total})
        yield Shot(scene, export.save_image(image, state.folder), key, scores, ids, candidates)


def _allocate(state: _Run, scenes: Scenes, shots: list[Shot], focus: Focus | None) -> None:
    budget, scores = state.settings.budget, [shot.ids for shot in shots]
    bounds: dict[str, Any] = {"n_min": budget.n_min, "n_max": budget.n_max, "gamma": budget.gamma}
    heavy = [_weight(state, shot, focus) for shot in shots] if focus else None
    if scenes.items is None:
        counts = per_images(scores, **bounds, weights=heavy)
    else:
        counts = allocate(budget.allocator, scores, scenes.items, bounds, seed=state.seed, weights=heavy)
    for shot, count in zip(shots, counts, strict=True):
        shot.budget = count


def _weight(state: _Run, shot: Shot, focus: Focus) -> float:
    topics = match(shot.candidates, state.knowledge, {}, weights=focus.knowledge)
    return focus.picture(topics, shot.sub_scores, shot.families(state.capability, focus))


def _ask(
    state: _Run,
    name: str,
    config: SetConfig,
    source: str,
    shots: list[Shot],
    funnel: Funnel,
    focus: Focus | None,
) -> Iterator[Row]:
    rng = random.Random(f"{state.seed}/{name}/{source}/questions")
    applied = [(g.name, partial(gates.gate(g.name), **g.options)) for g in state.settings.gates]
    carry: dict[str, float] = {}
    leaves: Counter[str] = Counter()
    topics: Counter[str] = Counter()
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for number, shot in enumerate(shots):
        matched = match(shot.candidates, state.knowledge, topics, weights=focus.knowledge if focus else NEUTRAL)
        scores = weights.tilted(shot.sub_scores, shot.families(state.capability, focus)) if focus else shot.sub_scores
        families = split(shot.budget, scores, carry)
        order = tried(shot.candidates, families, state.capability, leaves, topics, answers, matched, rng, focus)
        asked: set[str] = set()
        for candidate in order:
            if len(asked) == shot.budget:
                break
            verbose = rng.random() < config.verbose
            uid = f"{name}-{source}-{number:05d}-{len(asked)}"
            row = _row(uid, shot.image, shot.scene, candidate, config.split, verbose, shot)
            # Pictures were decontaminated before they were scored; the gate still sees every item.
            item = Item(row, shot.image_hash, shot.scene.signature, frozenset(asked), frozenset())
            funnel.passed["candidates"] += 1
            verdict = next(((g, reason) for g, gate in applied if (reason := gate(item)) is not None), None)
            if verdict is not None:
                funnel.drop(*verdict, f"{row.question} → {row.answer}")
                continue
            asked.add(normalise(row.question))
            leaves[candidate.capability] += 1
            answers[candidate.capability][candidate.answer] += 1
            if candidate.knowledge:
                topics[candidate.knowledge] += 1
            yield row
        for _ in range(shot.budget - len(asked)):
            funnel.drop("teacher", "no further question about this picture", shot.image)


def _row(
    uid: str,
    image: str,
    scene: Scene,
    candidate: Candidate,
    config_split: str,
    verbose: bool,
    shot: Shot | None = None,
) -> Row:
    return Row(
        uid=uid,
        image=[image],
        question=candidate.question,
        answer=candidate.answer,
        response=candidate.response(verbose),
        answer_type=candidate.answer_type,
        source=scene.world,
        capability=candidate.capability,
        knowledge=candidate.knowledge,
        ids=round(shot.ids, 4) if shot else 0.0,
        sub_scores=shot.sub_scores if shot else dict.fromkeys(SUB_SCORES, 0.0),
        difficulty=scene.grade,
        split=config_split,
    )
