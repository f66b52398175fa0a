"""Puts jobs together from what the earlier steps left: deterministic in the seed, before any request."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindgpt_data.corpus.truth import draw_absent_labels, read_truth
from mindgpt_data.focus import weights
from mindgpt_data.focus.weights import Focus
from mindgpt_data.io.work import Drop, Work
from mindgpt_data.schema.config import DataSettings
from mindgpt_data.schema.record import ImageRecord
from mindgpt_data.schema.rows import SUB_SCORES
from mindgpt_data.teachers.base import Job, Label
from mindgpt_data.teachers.slots import SlotError, group_by_family, plan_slots
from mindgpt_data.tree.files import load_tree
from mindgpt_data.tree.model import Tree
from mindgpt_plugins.core.registry import hint_nearest

ABSENT = 8
"""Labels per job that the corpus knows and the image does not show."""


@dataclass(frozen=True)
class Inputs:
    """What generation reads.

    Attributes:
        records: images with a budget, in order.
        density: image id → sub-scores and ``ids``.
        matches: image id → topics.
        budget: image id → ``items`` and families.
        knowledge: the knowledge tree.
        capabilities: leaves of the capability tree, by id.
        labels: every object label of the corpus, sorted.
        left_out: images that earlier steps left without a budget or a density.
        focus: weights of the leaves, or None.
    """

    records: list[ImageRecord]
    density: dict[str, dict[str, float]]
    matches: dict[str, list[dict[str, Any]]]
    budget: dict[str, dict[str, int]]
    knowledge: Tree
    capabilities: dict[str, Label]
    labels: list[str]
    left_out: list[Drop]
    focus: Focus | None


def read_inputs(work: Work, settings: DataSettings) -> Inputs:
    """Read the earlier steps' files.

    Raises:
        FileError: a step has not run.
        TreeError: a label tree cannot be used.
        SlotError: ``generate.capabilities`` names a node that the tree does not have.
        FocusError: the focus cannot be used, or nothing is weak.
    """
    density, matches, budget = work.read_density(), work.read_matches(), work.read_budget()
    named = {"knowledge": settings.tree.knowledge, "capability": settings.tree.capability}
    trees = {name: load_tree(name, None if where == "builtin" else Path(where)) for name, where in named.items()}
    records, left_out = [], []
    for record in work.read_images():
        if record.image in density and record.image in budget:
            records.append(record)
        else:
            missing = "budget" if record.image in density else "density"
            left_out.append(Drop("generate", "inputs", f"no {missing} for this image", record.image))
    labels = sorted({thing.label for record in records for thing in read_truth(record).things})
    capabilities = select_capabilities(trees["capability"], settings.generate.capabilities)
    focus = weights.load_focus(settings.focus, trees) if settings.focus else None
    return Inputs(records, density, matches, budget, trees["knowledge"], capabilities, labels, left_out, focus)


def plan_jobs(inputs: Inputs, settings: DataSettings, seed: int, *, slots: bool) -> Iterator[Job]:
    """A job per image with a budget, in input order; iterate again for the same jobs.

    Args:
        inputs: see :func:`read_inputs`.
        settings: the section ``generate`` is used.
        seed: the only source of chance.
        slots: plan exactly which capability, topic, type and difficulty each QA has (for model teachers).

    Raises:
        SlotError: a family has a budget and the capability tree no leaf for it.
    """
    generate = settings.generate
    planned: Counter[str] = Counter()
    wanted = {d: sum(row[d] for row in inputs.budget.values()) for d in SUB_SCORES}
    leaves = group_by_family(inputs.capabilities, wanted) if slots else {}
    for record in inputs.records:
        row, scores = inputs.budget[record.image], inputs.density[record.image]
        if row["items"] == 0:
            continue
        rng = random.Random(f"{seed}/generate/{record.image}")
        families = {d: row[d] for d in SUB_SCORES}
        topics = [t for t in inputs.matches.get(record.image, []) if t["leaf"] in inputs.knowledge.row_of]
        missing = [] if slots else draw_absent_labels(read_truth(record), inputs.labels, rng, ABSENT)
        planned_slots = (
            plan_slots(families, [t["leaf"] for t in topics], leaves, planned, rng,
                 open_share=generate.open, levels=generate.levels, focus=inputs.focus)
            if slots else ()
        )  # fmt: skip
        yield Job(
            record=record,
            ids=scores["ids"],
            sub_scores={d: scores[d] for d in SUB_SCORES},
            items=row["items"],
            families=families,
            topics=tuple(make_label(inputs.knowledge, t["leaf"]) for t in topics),
            evidence={t["leaf"]: str(t.get("evidence", "")) for t in topics},
            capabilities=inputs.capabilities,
            slots=planned_slots,
            absent=tuple(missing),
            seed=seed,
            spare=0 if slots else generate.spare,
            max_pixels=generate.max_pixels,
            boxes=generate.boxes,
        )


def select_capabilities(tree: Tree, wanted: Sequence[str]) -> dict[str, Label]:
    """The leaves at and below ``wanted`` nodes, in tree order; all without any.

    Raises:
        SlotError: there is no such node.
    """
    for node in wanted:
        if node not in tree.row_of:
            raise SlotError(f"generate.capabilities: there is no capability {node!r}{hint_nearest(node, tree.row_of)}")
    return {leaf: make_label(tree, leaf) for leaf in tree.leaves if not wanted or set(tree.path(leaf)) & set(wanted)}


def make_label(tree: Tree, leaf: str) -> Label:
    """A leaf as teachers see it."""
    node = tree.nodes[leaf]
    path = " > ".join(tree.nodes[one].name for one in tree.path(leaf))
    return Label(leaf, node.name, node.definition, path, node.density or "")
