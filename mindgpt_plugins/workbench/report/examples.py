"""Things to look at: the same held-out items answered by every model, and RL groups with their advantages."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, TypeVar

from mindgpt_plugins.stages.reporting import read_json_if_complete
from mindgpt_plugins.workbench.report import dump
from mindgpt_plugins.workbench.report.run import ReportedRun, StageView, read_whole_lines

T = TypeVar("T")

ITEMS = 12
GROUPS = 6
WIDEST_GROUP = 16


def pick_model_examples(evaluations: list[dict[str, Any]], name: str | None) -> list[dict[str, Any]]:
    """Held-out items with every model's greedy reply, spread over tasks, those that changed first.

    Returns:
        Items with uid, source, capability, question, answer, images (absolute paths) and replies
        (model → {reply, correct}).
    """
    if not evaluations or name is None:
        return []
    answers: dict[str, dict[str, dict[str, Any]]] = {}
    label: dict[str, tuple[str, str]] = {}
    for e in evaluations:
        for p in read_whole_lines(e["folder"] / "predictions.jsonl"):
            if p["set"] == name:
                label[p["uid"]] = (p["source"], p["capability"])
                answers.setdefault(p["uid"], {})[e["model"]] = {"reply": p["reply"], "correct": p["correct"]}
    rows = _rows(evaluations[-1]["folder"], name)
    common = [uid for uid, replies in answers.items() if len(replies) == len(evaluations) and uid in rows]
    # Stories first: answers that were learnt or lost say more than those that never change.
    common.sort(key=lambda uid: (-_changes(answers[uid]), _rank(uid)))
    by_task: dict[tuple[str, str], list[str]] = {}
    for uid in common:
        by_task.setdefault(label[uid], []).append(uid)
    chosen: list[str] = []
    depth = 0
    while len(chosen) < min(ITEMS, len(common)):
        layer = [uids[depth] for task, uids in sorted(by_task.items()) if depth < len(uids)]
        chosen += layer[: ITEMS - len(chosen)]
        depth += 1
    return [
        {
            "uid": uid,
            "source": label[uid][0],
            "capability": label[uid][1],
            "question": rows[uid]["question"],
            "answer": rows[uid]["answer"],
            "images": rows[uid]["images"],
            "replies": answers[uid],
        }
        for uid in chosen
    ]


def _changes(replies: dict[str, dict[str, Any]]) -> int:
    right = [r["correct"] for r in replies.values()]
    return sum(a != b for a, b in zip(right, right[1:], strict=False))


def _rank(uid: str) -> str:
    return hashlib.sha256(uid.encode()).hexdigest()


def _rows(stage: Path, name: str) -> dict[str, dict[str, Any]]:
    """Uid → question, gold answer and image paths, from the datasets folder the evaluation read."""
    settings = read_json_if_complete(stage / "evaluate.json") or {"sets": []}
    for where in settings["sets"]:
        if where["name"] == name:
            folder = Path(where["folder"])
            return {
                row["uid"]: {
                    "question": row["question"],
                    "answer": row["answer"],
                    "images": [str(folder / image) for image in row["image"]],
                }
                for row in read_whole_lines(folder / f"{name}.jsonl")
            }
    return {}


def pick_rollout_groups(run: ReportedRun, stage: StageView) -> list[dict[str, Any]]:
    """A few groups of an RL stage's rollout dump, from its first to its last step, mixed groups preferred.

    Returns:
        Groups with stage, step, uid, prompt, target, source, images, size and replies (reply, score, advantage,
        components).
    """
    files, folders = dump.list_dump_files(stage), dump.list_picture_folders(run)
    chosen: list[list[dict[str, Any]]] = []
    for path in _spread(files):
        order = sorted(dump.read_dump_groups(path), key=lambda lines: (not _mixed(lines), _rank(lines[0]["group"])))
        if len(files) > 1:
            chosen += order[:1]
        else:  # one file with all steps
            steps = _spread(sorted({lines[0]["step"] for lines in order}))
            chosen += [next(lines for lines in order if lines[0]["step"] == step) for step in steps]
    return [_group(stage.name, lines, folders) for lines in chosen]


def _group(stage: str, lines: list[dict[str, Any]], folders: list[Path]) -> dict[str, Any]:
    first = lines[0]
    keep = ("reply", "score", "advantage", "components")
    return {
        "stage": stage,
        **{key: first[key] for key in ("step", "uid", "prompt", "target", "source")},
        "images": dump.locate_line_pictures(first, folders),
        "size": len(lines),
        "replies": [{key: line[key] for key in keep} for line in lines[:WIDEST_GROUP]],
    }


def _spread(items: list[T]) -> list[T]:
    """At most ``GROUPS`` items, first and last included, evenly between."""
    if not items:
        return []
    places = dict.fromkeys(round(i * (len(items) - 1) / (GROUPS - 1)) for i in range(GROUPS))
    return [items[place] for place in places]


def _mixed(lines: list[dict[str, Any]]) -> bool:
    return len({line["score"] for line in lines}) > 1
