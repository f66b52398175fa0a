"""Rejection sampling: a model's own right answers, weighted towards what tuning lost, with replay (method: ours).

Prompt weight = floor + max(0, p0 − p1) on shrunk solve rates of the answering model (p0) and the tuned one (p1).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mindgpt_data.export import write_set
from mindgpt_data.schema.rows import Row

from mindgpt_plugins.core.files import write_json
from mindgpt_plugins.core.schema import read_model
from mindgpt_plugins.generation.collect import Answerer, Progress, collect_replies
from mindgpt_plugins.generation.engines import choose_engine_name, make_lazy_engine
from mindgpt_plugins.generation.hf_engine import Reply
from mindgpt_plugins.stages.evaluate.run import is_reply_right
from mindgpt_plugins.stages.rejection_sampling.job import RejectionSamplingJob
from mindgpt_plugins.stages.self_training.prompts import LocatedRow, SelfTrainingError, adopt_row_images, read_items
from mindgpt_plugins.stages.self_training.weights import apportion_copies, shrink_solve_rates


def run(
    config_path: Path, engines: Callable[[RejectionSamplingJob], Callable[[], Answerer]] = make_lazy_engine
) -> dict[str, Any]:
    """Run the stage that ``rejection_sampling.json`` describes; return the content of ``summary.json``.

    Raises:
        SelfTrainingError: the model answered no prompt right, or more rows are wanted than its answers allow.
    """
    job = read_model(config_path, RejectionSamplingJob)
    folder = config_path.resolve().parent
    items = read_items(job.prompts)
    models = {"before": job.model} | ({"after": job.after} if job.after else {})
    progress = Progress(folder / "metrics.jsonl", total=len(items) * len(models))
    replies = {
        name: collect_replies(
            engines(job.model_copy(update={"model": model})),
            [item.prompt() for item in items.values()],
            folder / "samples" / f"{name}.jsonl",
            n=job.samples,
            temperature=job.temperature,
            batch_size=job.batch_size,
            progress=progress,
        )
        for name, model in models.items()
    }
    summary = build_rejection_set(job, items, replies["before"], replies.get("after"), folder / "datasets")
    summary["engine"] = choose_engine_name(job)
    write_json(folder / "summary.json", summary)
    return summary


def build_rejection_set(
    job: RejectionSamplingJob,
    items: Mapping[str, LocatedRow],
    before: Mapping[str, list[Reply]],
    after: Mapping[str, list[Reply]] | None,
    folder: Path,
) -> dict[str, Any]:
    """Verify, weigh and write the set; return the summary."""
    kept = {uid: select_distinct_replies(item.row, before[uid])[: job.keep_per_prompt] for uid, item in items.items()}
    accepted = {uid: texts for uid, texts in kept.items() if texts}
    if not accepted:
        raise SelfTrainingError(
            f"none of {len(items)} prompts × {job.samples} answers is right: the model cannot teach itself these "
            "prompts; check that it is trained on the answer format, or raise `samples`"
        )
    label = {uid: item.row.capability for uid, item in items.items()}
    p0 = shrink_solve_rates(_correct(items, before), job.samples, label, job.shrink)
    if after is None:
        weights = dict.fromkeys(accepted, 1.0)
        p1 = None
    else:
        p1 = shrink_solve_rates(_correct(items, after), job.samples, label, job.shrink)
        weights = {uid: job.floor + max(0.0, p0[uid] - p1[uid]) for uid in accepted}
    wanted = job.rows or len(accepted)
    try:
        copies = apportion_copies(weights, wanted, job.keep_per_prompt, job.seed)
    except ValueError as error:
        raise SelfTrainingError(f"{error}; lower `rows`, raise `keep_per_prompt` or give more prompts") from error
    rows = [
        replace(
            adopt_row_images(items[uid], folder),
            uid=_copy_uid(uid, i),
            response=accepted[uid][i % len(accepted[uid])],
            difficulty=min(1.0, max(0.0, 1.0 - p0[uid])),
        )
        for uid, count in copies.items()
        for i in range(count)
    ]
    replayed, replay_report = _replay(job, len(rows), folder)
    mixed = rows + replayed
    random.Random(job.seed).shuffle(mixed)
    write_set(mixed, folder, job.set)
    seen = Counter(label.values())
    good = Counter(label[uid] for uid in accepted)
    return {
        "version": 1,
        "set": job.set,
        "rows": len(mixed),
        "own": len(rows),
        "prompts": len(items),
        "accepted": len(accepted),
        "dropped": {"no right answer": len(items) - len(accepted), "not drawn": sum(c == 0 for c in copies.values())},
        "repeated": sum(max(0, count - len(accepted[uid])) for uid, count in copies.items()),
        "acceptance": {c: good[c] / seen[c] for c in sorted(seen)},
        "drawn": dict(sorted(Counter(label[uid] for uid, n in copies.items() for _ in range(n)).items())),
        "solve_rate": {
            "before": sum(p0.values()) / len(p0),
            "after": sum(p1.values()) / len(p1) if p1 else None,
        },
        "replay": replay_report,
    }


def select_distinct_replies(row: Row, replies: list[Reply]) -> list[str]:
    """Right, finished replies without duplicates, the most frequent first."""
    counts = Counter(r.text for r in replies if r.finished and is_reply_right(row, r))
    return [text for text, _ in counts.most_common()]


def _correct(items: Mapping[str, LocatedRow], replies: Mapping[str, list[Reply]]) -> dict[str, int]:
    return {uid: sum(is_reply_right(item.row, r) for r in replies[uid]) for uid, item in items.items()}


def _replay(job: RejectionSamplingJob, own: int, folder: Path) -> tuple[list[Row], list[dict[str, Any]]]:
    """Rows of other sets, so that each has its share of the finished set; a set that is too small is repeated."""
    total = own / (1.0 - sum(one.share for one in job.replay))
    rows: list[Row] = []
    report = []
    for replay in job.replay:
        pool = list(read_items([replay.data]).values())
        random.Random(job.seed).shuffle(pool)
        count = round(replay.share * total)
        rows += [
            replace(adopt_row_images(item, folder), uid=f"replay/{_copy_uid(item.row.uid, i // len(pool))}")
            for i, item in ((i, pool[i % len(pool)]) for i in range(count))
        ]
        name = replay.data.name
        report.append({"data": name, "rows": count, "available": len(pool), "repeated": max(0, count - len(pool))})
    return rows, report


def _copy_uid(uid: str, copy: int) -> str:
    return uid if copy == 0 else f"{uid}#{copy + 1}"
