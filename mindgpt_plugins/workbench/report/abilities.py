"""What the models can do: accuracy matrix, retention, domain gain, pass@k and the headline."""

from __future__ import annotations

from typing import Any

from mindgpt_plugins.workbench.report.run import ReportedRun

Evaluation = dict[str, Any]
ALL = "all"


def collect_evaluations(run: ReportedRun, notes: list[str]) -> list[Evaluation]:
    """Scores of every finished evaluation in recipe order; later ones of the same model replace earlier ones."""
    found: dict[str, Evaluation] = {}
    for stage, scores in run.entries("evaluations"):
        if scores is None:
            if stage.finished:
                notes.append(f"evaluation {stage.name} is {stage.status}, but its scores.json is gone or damaged")
            continue
        if scores.get("version") != 1:
            version = scores.get("version")
            notes.append(f"evaluation {stage.name}: scores.json version {version} is unknown here; not shown")
            continue
        if scores["model"] in found:
            notes.append(f"model {scores['model']} was evaluated twice; the figures are those of {stage.name}")
        if scores.get("ambiguous"):
            share = 100 * scores["ambiguous"] / scores["replies"]
            notes.append(
                f"evaluation {stage.name}: {scores['ambiguous']} of {scores['replies']} verdicts are ambiguous "
                f"({share:.1f} %): wrong as they are read, right under another reading of the answers"
            )
        found[scores["model"]] = {"stage": stage.name, "folder": stage.folder, **scores}
    return list(found.values())


def find_held_out_set(found: list[Evaluation]) -> str | None:
    """Name of the set the page shows: ``test`` if every model was evaluated on it, else the last common one."""
    if not found:
        return None
    common = [name for name in found[0]["sets"] if all(name in e["sets"] for e in found)]
    if "test" in common:
        return "test"
    return common[-1] if common else str(found[0]["sets"][-1])


def find_score_cell(
    evaluation: Evaluation, name: str | None, source: str, capability: str = ALL
) -> dict[str, Any] | None:
    """The cell of one set, source and capability, None when the evaluation has none."""
    for c in evaluation["cells"]:
        if (c["set"], c["source"], c["capability"]) == (name, source, capability):
            return dict(c)
    return None


def build_accuracy_matrix(found: list[Evaluation], name: str | None) -> dict[str, Any]:
    """Accuracy of every model on every task, sources first as roll-ups."""
    keys: dict[tuple[str, str], None] = {}
    for e in found:
        for source in [*e["general"], *e["domain"]]:
            for c in e["cells"]:
                if c["set"] == name and c["source"] == source:
                    keys[source, c["capability"]] = None
    order = sorted(keys, key=lambda k: (next(i for i, key in enumerate(keys) if key[0] == k[0]), k[1] != ALL, k[1]))
    shown = ("n", "correct", "accuracy", "low", "high", "tokens", "parsed", "blank_accuracy", "sighted_accuracy")
    rows = []
    for e in found:
        row: list[dict[str, Any] | None] = []
        for source, capability in order:
            c = find_score_cell(e, name, source, capability)
            row.append(None if c is None else {key: c[key] for key in shown})
        rows.append({"model": e["model"], "stage": e["stage"], "cells": row})
    return {"set": name, "columns": [{"source": s, "capability": c} for s, c in order], "rows": rows}


def compute_retention(found: list[Evaluation], name: str | None) -> list[dict[str, Any]]:
    """Per model: retention = mean over general capabilities of accuracy / base accuracy, and the domain change."""
    if not found:
        return []
    base = found[0]
    rows = []
    for e in found:
        groups: dict[str, float] = {}
        for c in base["cells"]:
            if c["set"] == name and c["source"] in base["general"] and c["capability"] != ALL and c["accuracy"] > 0:
                now = find_score_cell(e, name, c["source"], c["capability"])
                if now is not None:
                    groups[c["capability"]] = now["accuracy"] / c["accuracy"]
        before, after = _share(base, name, base["domain"]), _share(e, name, base["domain"])
        rows.append(
            {
                "model": e["model"],
                "stage": e["stage"],
                "retention": sum(groups.values()) / len(groups) if groups else None,
                "groups": groups,
                "general": _share(e, name, base["general"]),
                "domain": after,
                "domain_gain": None if before is None or after is None else after - before,
                "gate": e["gate"],
            }
        )
    return rows


def read_gate_verdict(judged: dict[str, Any]) -> str:
    """``passed``, ``failed`` or ``undecided``, of a gate or one of its groups; older scores know only the first two."""
    return str(judged.get("verdict", "passed" if judged["passed"] else "failed"))


def collect_pass_at_k(found: list[Evaluation], name: str | None) -> list[dict[str, Any]]:
    """pass@k per model and source, of the rows that were sampled."""
    rows = []
    for e in found:
        for source in [*e["general"], *e["domain"]]:
            c = find_score_cell(e, name, source)
            if c and c["pass_at"]:
                rows.append({"model": e["model"], "source": source, "rows": c["sampled"], "values": c["pass_at"]})
    return rows


def summarise_headline(
    run: ReportedRun,
    found: list[Evaluation],
    name: str | None,
    kept: list[dict[str, Any]],
    training: list[dict[str, Any]],
    more_gates: list[dict[str, Any]],
) -> dict[str, Any]:
    """The few figures that say whether the run worked. Shares in [0, 1]; null where a stage is missing."""
    gates = [
        {
            "stage": e["stage"],
            "model": e["model"],
            "passed": e["gate"]["passed"],
            "verdict": read_gate_verdict(e["gate"]),
            "fell": [g["group"] for g in e["gate"]["groups"] if read_gate_verdict(g) == "failed"],
        }
        for e in [*found, *more_gates]
        if e["gate"]
    ]
    last = kept[-1] if len(kept) > 1 else None
    domain = None
    if last and last["domain_gain"] is not None:
        domain = {
            "before": kept[0]["domain"],
            "after": last["domain"],
            "gain": last["domain_gain"],
            "peak_gain": max(row["domain_gain"] for row in kept if row["domain_gain"] is not None),
        }
    return {
        "base": found[0]["model"] if found else None,
        "final": found[-1]["model"] if len(found) > 1 else None,
        "domain": domain,
        "retention": last["retention"] if last else None,
        "worst_retention": min((r["retention"] for r in kept if r["retention"] is not None), default=None)
        if last
        else None,
        "gates": gates,
        "rl": _rl(run, found, name, training),
    }


def _rl(
    run: ReportedRun, found: list[Evaluation], name: str | None, training: list[dict[str, Any]]
) -> dict[str, Any] | None:
    """Change over all RL stages: from the model the first one started with to the last one's."""
    stages = [s for s in run.stages if s.finished and s.rules.charts is not None and s.rules.charts.reward]
    by_model = {e["model"]: e for e in found}
    if not stages:
        return None
    start = by_model.get(str(stages[0].settings.get("model")))
    end = by_model.get(stages[-1].name)
    result: dict[str, Any] = {"stages": [s.name for s in stages]}
    rewards = [t["reward"] for t in training if t["stage"] in result["stages"] and t["reward"]]
    result["reward"] = {"before": rewards[0]["first"], "after": rewards[-1]["last"]} if rewards else None
    if start is None or end is None:
        return {**result, "accuracy": None, "pass_at": None}
    a, b = find_score_cell(start, name, ALL), find_score_cell(end, name, ALL)
    if a is None or b is None:
        return {**result, "accuracy": None, "pass_at": None}
    ks = [k for k in a["pass_at"] if k in b["pass_at"]]
    k = max(ks, key=int) if ks else None
    return {
        **result,
        "accuracy": {"before": a["accuracy"], "after": b["accuracy"], "change": b["accuracy"] - a["accuracy"]},
        "pass_at": k
        and {
            "k": int(k),
            "before": a["pass_at"][k],
            "after": b["pass_at"][k],
            "change": b["pass_at"][k] - a["pass_at"][k],
        },
        "tokens": {"before": a["tokens"], "after": b["tokens"]},
    }


def _share(evaluation: Evaluation, name: str | None, sources: list[str]) -> float | None:
    """Accuracy over the rows of several sources."""
    cells = [c for source in sources if (c := find_score_cell(evaluation, name, source))]
    n = sum(c["n"] for c in cells)
    return sum(c["correct"] for c in cells) / n if n else None
