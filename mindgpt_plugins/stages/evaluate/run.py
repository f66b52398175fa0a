"""One evaluation: greedy replies to every row, samples and blank-image replies on a subset, scores, gate."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mindgpt_data.export import read_set
from mindgpt_data.schema.rows import Row

from mindgpt_plugins.answers import GoldError, JudgeOptions, Verdict, is_float_of_whole_number, judge_answer, parse_gold
from mindgpt_plugins.core.files import load_jsonl, write_json, write_jsonl
from mindgpt_plugins.core.schema import read_model
from mindgpt_plugins.generation.collect import Progress, collect_replies
from mindgpt_plugins.generation.config import SetLocation
from mindgpt_plugins.generation.engines import choose_engine_name, make_lazy_engine
from mindgpt_plugins.generation.hf_engine import Prompt, Reply
from mindgpt_plugins.stages.evaluate import branches, forgetting, paired, scoring
from mindgpt_plugins.stages.evaluate.job import EvaluateJob


class GateFailed(RuntimeError):
    """The forgetting gate failed and the recipe asks to stop; the message carries the figures."""


def run_evaluation(config_path: Path) -> dict[str, Any]:
    """Run the evaluation that ``evaluate.json`` describes and return the content of ``scores.json``.

    Raises:
        GateFailed: after ``scores.json`` is written, when the gate fails with ``on_fail: stop``.
    """
    job = read_model(config_path, EvaluateJob)
    folder = config_path.resolve().parent
    items = select_evaluation_rows(job.sets, job.rows)
    leaves = branches.read_tree_leaves(job.tree)
    _refuse_early(job, items)
    prompts = [make_row_prompt(key, row, root) for key, (row, root) in items.items()]
    chosen = _subset(items, job.samples.rows) if job.samples else set()
    few = [p for p in prompts if p.key in chosen]
    passes = folder / "passes"
    plan: list[tuple[str, Sequence[Prompt], int]] = [("greedy", prompts, 0)]
    if job.samples and few:
        plan.append(("samples", few, job.samples.n))
    if blank := {False: [], True: few, "all": prompts}[job.blank]:
        plan.append(("blank", [_blanked(p) for p in blank], 0))

    progress = Progress(folder / "metrics.jsonl", total=sum(len(asked) for _, asked, _ in plan))
    engine = make_lazy_engine(job)
    replies = {
        name: collect_replies(
            engine,
            asked,
            passes / f"{name}.jsonl",
            n=n,
            temperature=job.samples.temperature if job.samples else 1.0,
            batch_size=job.batch_size,
            progress=progress,
            figures=functools.partial(_figures, items=items, name=name),
        )
        for name, asked, n in plan
    }
    predictions = [
        _prediction(key, row, {name: got[key] for name, got in replies.items() if key in got})
        for key, (row, _) in items.items()
    ]
    write_jsonl(folder / "predictions.jsonl", predictions)
    scores: dict[str, Any] = {
        "version": scoring.VERSION,
        "model": job.model_name,
        "engine": choose_engine_name(job),
        "sets": [one.name for one in job.sets],
        "general": job.general,
        "domain": job.domain,
        "samples": job.samples.model_dump() if job.samples else {"n": 0, "rows": 0, "temperature": 1.0},
        "seed": job.seed,
        "replies": len(predictions),
        "ambiguous": sum(p["ambiguous"] for p in predictions),
        "cells": scoring.aggregate_cells(predictions),
        "gate": _gate(job, predictions),
    }
    tree = branches.build_branch_document(
        job.model_name, scores["sets"], predictions, leaves, _compared(job, predictions)
    )
    write_json(folder / "branches.json", tree)
    write_json(folder / "scores.json", scores)
    gate = scores["gate"]
    if gate and job.gate:
        print(forgetting.describe_gate_verdict(gate), flush=True)
        if gate["verdict"] == "failed" and job.gate.on_fail == "stop":
            raise GateFailed(
                f"{forgetting.describe_gate_verdict(gate)}. The scores are in {folder / 'scores.json'}. Train "
                "longer or with more replay, or set `gate.on_fail: continue` for this stage to go on regardless."
            )
    return scores


def is_reply_right(row: Row, reply: Reply) -> bool:
    """Does the reply state the row's gold answer?"""
    return judge_row_reply(row, reply).right


def judge_row_reply(row: Row, reply: Reply) -> Verdict:
    """The verdict on a reply, the one that the reward ``accuracy`` gives without options.

    Raises:
        GoldError: the row's answer is none of its type.
    """
    if row.type == "open" and not row.answer.strip():
        return Verdict(False, None, why="no gold answer")
    try:
        return judge_answer(row.question, row.answer, reply.text, row.answer_type, JudgeOptions(target_boxes=row.boxes))
    except GoldError as error:
        raise GoldError(f"row {row.uid!r}: {error}") from None


def select_evaluation_rows(sets: Iterable[SetLocation], count: int | None) -> dict[str, tuple[Row, Path]]:
    """``set/uid`` → row and datasets folder, cut to ``count`` rows per set by a hash of the uid."""
    items: dict[str, tuple[Row, Path]] = {}
    for where in sets:
        rows = read_set(where.folder, where.name)
        if count is not None:
            kept = {row.uid for row in sorted(rows, key=lambda row: _rank(row.uid))[:count]}
            rows = [row for row in rows if row.uid in kept]
        items |= {f"{where.name}/{row.uid}": (row, where.folder) for row in rows}
    return items


def make_row_prompt(key: str, row: Row, folder: Path) -> Prompt:
    """The row as a prompt for an engine."""
    return Prompt(key, row.question, tuple(folder / name for name in row.image))


def _refuse_early(job: EvaluateJob, items: Mapping[str, tuple[Row, Path]]) -> None:
    """Find what could not be told apart or compared at the end before the model is asked."""
    floats = 0
    for key, (row, _) in items.items():
        for axis in branches.AXES:
            branches.parse_label_path(getattr(row, axis), f"{axis} of {key}")
        if row.type == "open":
            continue  # graded by a judge
        try:
            parse_gold(row.answer, row.answer_type, question=row.question, boxes=row.boxes)
        except GoldError as error:
            raise GoldError(f"row {key}: {error}") from None
        floats += is_float_of_whole_number(row.answer, row.answer_type)
    if floats:
        print(
            f"{floats} of {len(items)} gold answers are floats of whole numbers (5.0): compared as the number",
            flush=True,
        )
    earlier = job.compare
    if earlier and not any(f"{p['set']}/{p['uid']}" in items for p in load_jsonl(earlier.predictions)):
        raise paired.make_no_overlap_error(earlier.name)
    gate = job.gate
    if gate and gate.groups.startswith("knowledge"):
        general = [
            row for key, (row, _) in items.items() if key.startswith(f"{gate.set}/") and row.source in job.general
        ]
        if not any(row.knowledge for row in general):
            raise branches.LabelError(
                f"gate.groups: {gate.groups}: none of the {len(general)} general items of {gate.set} has a knowledge "
                "label; group by capability, l1, l2 or source"
            )


def _blanked(prompt: Prompt) -> Prompt:
    return Prompt(prompt.key, prompt.question, prompt.images, blank=True)


def _subset(items: Mapping[str, tuple[Row, Path]], per_group: int) -> set[str]:
    """Keys of the ``per_group`` rows of every set × source × capability that come first by hash.

    The same rows for every model, whatever the seed: curves over stages are then paired.
    """
    groups: dict[tuple[str, str, str], list[str]] = {}
    for key, (row, _) in items.items():
        groups.setdefault((key.partition("/")[0], row.source, row.capability), []).append(key)
    return {key for keys in groups.values() for key in sorted(keys, key=_rank)[:per_group]}


def _rank(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _figures(
    batch: Sequence[Prompt], replies: list[list[Reply]], *, items: Mapping[str, tuple[Row, Path]], name: str
) -> dict[str, float]:
    every = [(items[p.key][0], r) for p, group in zip(batch, replies, strict=True) for r in group]
    return {
        f"{name}/accuracy": sum(is_reply_right(row, r) for row, r in every) / len(every),
        f"{name}/tokens": sum(r.tokens for _, r in every) / len(every),
    }


def _prediction(key: str, row: Row, replies: Mapping[str, list[Reply]]) -> dict[str, Any]:
    greedy = replies["greedy"][0]
    judged = judge_row_reply(row, greedy)
    blank = replies.get("blank")
    return {
        "uid": row.uid,
        "set": key.partition("/")[0],
        "source": row.source,
        "knowledge": row.knowledge,
        "capability": row.capability,
        "difficulty": row.difficulty,
        "reply": greedy.text,
        "answer": judged.answer,
        "correct": judged.right,
        "ambiguous": judged.ambiguous,
        "tokens": greedy.tokens,
        "samples": [
            {"correct": is_reply_right(row, r), "tokens": r.tokens, "reply": r.text} for r in replies.get("samples", [])
        ],
        "blank_correct": is_reply_right(row, blank[0]) if blank else None,
    }


def _compared(job: EvaluateJob, predictions: list[dict[str, Any]]) -> dict[str, Any] | None:
    if job.compare is None:
        return None
    parts = {"general": job.general, "domain": job.domain}
    return paired.compare_evaluations(load_jsonl(job.compare.predictions), predictions, job.compare.name, parts)


def _gate(job: EvaluateJob, predictions: list[dict[str, Any]]) -> dict[str, Any] | None:
    asked = job.gate
    if asked is None:
        return None
    before = load_jsonl(asked.before)
    peak = load_jsonl(asked.peak) if asked.peak else None

    # Labels are those of this evaluation: an earlier one may have been written before they were there.
    groups = {p["uid"]: forgetting.find_gate_group(p, asked.groups) for p in predictions if p["set"] == asked.set}

    def judged(lines: list[dict[str, Any]], sources: list[str]) -> dict[str, tuple[str, bool]]:
        return {
            p["uid"]: (groups.get(p["uid"], ""), p["correct"])
            for p in lines
            if p["set"] == asked.set and p["source"] in sources
        }

    result = forgetting.judge_forgetting_gate(
        judged(before, job.general),
        judged(predictions, job.general),
        judged(before, job.domain),
        judged(predictions, job.domain),
        judged(peak, job.domain) if peak is not None else None,
        margin=asked.margin,
        keep_gain=asked.keep_gain,
        seed=job.seed,
    )
    return {"set": asked.set, "groups_by": asked.groups, "on_fail": asked.on_fail, **result}
