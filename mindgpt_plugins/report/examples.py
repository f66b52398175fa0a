"""Things to look at: the same held-out items answered by every model, and RL groups with their advantages."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, TypeVar

from mindgpt_plugins.report.run import Run, StageView, read_json, read_jsonl

T = TypeVar("T")

ITEMS = 12
GROUPS = 6
WIDEST_GROUP = 16


def across_models(evaluations: list[dict[str, Any]], name: str | None) -> list[dict[str, Any]]:
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
        for p in read_jsonl(e["folder"] / "predictions.jsonl"):
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
    settings = read_json(stage / "evaluate.json") or {"sets": []}
    for where in settings["sets"]:
        if where["name"] == name:
            folder = Path(where["folder"])
            return {
                row["uid"]: {
                    "question": row["question"],
                    "answer": row["answer"],
                    "images": [str(folder / image) for image in row["image"]],
                }
                for row in read_jsonl(folder / f"{name}.jsonl")
            }
    return {}


def rollout_groups(run: Run, stage: StageView) -> list[dict[str, Any]]:
    """A few groups of an RL stage's rollout dump, from its first to its last step, mixed groups preferred.

    Returns:
        Groups with stage, step, uid, prompt, target, source, images, size and replies (reply, score, advantage,
        components).
    """
    files = sorted((stage.folder / "rollouts").glob("*.jsonl"), key=lambda p: (_digits(p.stem), p.name))
    folders = [
        s.folder / str(made["datasets"]) for s in run.stages if "datasets" in (made := s.json("artefacts.json") or {})
    ]
    groups = []
    for path in _spread(files):
        found: dict[tuple[int, str], list[dict[str, Any]]] = {}
        for line in map(_named, read_jsonl(path)):
            found.setdefault((int(line["step"] or 0), str(line["group"])), []).append(line)
        order = sorted(found, key=lambda key: (not _mixed(found[key]), _rank(key[1])))
        if len(files) > 1:
            chosen = order[:1]
        else:  # one file with all steps
            chosen = [next(k for k in order if k[0] == step) for step in _spread(sorted({s for s, _ in found}))]
        groups += [_group(stage.name, key[0], found[key], folders) for key in chosen]
    return groups


def _named(line: dict[str, Any]) -> dict[str, Any]:
    """One reply of the dump. verl's own writer calls the texts input, output and gts."""
    return {
        "step": line.get("step"),
        "group": line.get("group", line.get("uid", line.get("row", ""))),
        "uid": line.get("row", line.get("uid", "")),
        "prompt": line.get("prompt", line.get("input", "")),
        "reply": line.get("reply", line.get("output", "")),
        "target": line.get("target", line.get("gts", "")),
        "source": line.get("source", ""),
        "image": line.get("image") or [],
        "score": line.get("score"),
        "advantage": line.get("advantage"),
        "components": _components(line.get("components")),
    }


def _group(stage: str, step: int, lines: list[dict[str, Any]], folders: list[Path]) -> dict[str, Any]:
    first = lines[0]
    names = [first["image"]] if isinstance(first["image"], str) else list(first["image"])
    keep = ("reply", "score", "advantage", "components")
    return {
        "stage": stage,
        "step": step,
        **{key: first[key] for key in ("uid", "prompt", "target", "source")},
        "images": [str(next((f / name for f in folders if (f / name).is_file()), name)) for name in names],
        "size": len(lines),
        "replies": [{key: line[key] for key in keep} for line in lines[:WIDEST_GROUP]],
    }


def _spread(items: list[T]) -> list[T]:
    """At most ``GROUPS`` items, first and last included, evenly between."""
    if not items:
        return []
    places = dict.fromkeys(round(i * (len(items) - 1) / (GROUPS - 1)) for i in range(GROUPS))
    return [items[place] for place in places]


def _components(value: Any) -> dict[str, float | None]:
    if isinstance(value, str):
        value = json.loads(value)
    return dict(value) if isinstance(value, dict) else {}


def _mixed(lines: list[dict[str, Any]]) -> bool:
    return len({line["score"] for line in lines}) > 1


def _digits(text: str) -> int:
    return int("".join(c for c in text if c.isdigit()) or 0)
