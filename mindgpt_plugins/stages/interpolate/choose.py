"""Which point between two models: the best one on a dev set among those that keep general ability.

Every candidate is written, evaluated by the ordinary evaluator and deleted again, so one extra model lies on the disk
at a time. A killed run goes on with the candidate it was at.
"""

from __future__ import annotations

import gc
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.files import read_json, write_json
from mindgpt_plugins.core.metrics import append_metrics, read_metrics, truncate_metrics
from mindgpt_plugins.core.schema import write_model
from mindgpt_plugins.generation.config import EngineSettings
from mindgpt_plugins.stages.evaluate.job import EvaluateJob, GateJob
from mindgpt_plugins.stages.evaluate.run import run_evaluation
from mindgpt_plugins.stages.interpolate.checkpoint import MergeError
from mindgpt_plugins.stages.interpolate.job import ChooseJob
from mindgpt_plugins.stages.interpolate.run import interpolate_checkpoints

Candidate = dict[str, Any]


def choose_alpha(start: Path, end: Path, settings: ChooseJob, folder: Path) -> float:
    """Evaluate the grid and return the chosen alpha; ``chosen.json`` in ``folder`` keeps the table.

    Args:
        start: θ0's folder; its evaluation is what the others are compared with.
        end: θ1's folder.
        settings: of the choice and of its evaluations.
        folder: the stage's.

    Raises:
        MergeError: no candidate keeps general ability.
    """
    grid = sorted({0.0, *settings.grid})
    table: list[Candidate] = []
    for alpha in grid:
        scores = _scores(start, end, alpha, settings, folder / "candidates")
        table.append({"alpha": alpha, "offered": alpha in settings.grid, **summarise_candidate(scores)})
        # One line per candidate, also those that a killed run had finished but not written down.
        if len(read_metrics(folder / "metrics.jsonl")) < len(table):
            truncate_metrics(folder / "metrics.jsonl", len(table) - 1)
            numbers = {key: table[-1][key] for key in ("alpha", "domain", "general")}
            append_metrics(folder / "metrics.jsonl", len(table), len(grid), numbers)
    best = pick_candidate([c for c in table if c["offered"]], settings.objective)
    write_json(folder / "chosen.json", {"alpha": best and best["alpha"], "candidates": table})
    shown = "; ".join(
        f"a = {c['alpha']:g}: domain {100 * c['domain']:.1f} %, general {100 * c['general']:.1f} %"
        + (f", fell: {', '.join(c['fell'])}" if c["fell"] else "")
        for c in table
    )
    if best is None:
        raise MergeError(
            f"no alpha of the grid keeps general ability ({shown}); offer smaller ones or widen the margin"
        )
    print(f"chose a = {best['alpha']:g} ({shown})", flush=True)
    return float(best["alpha"])


def pick_candidate(table: Sequence[Candidate], objective: str) -> Candidate | None:
    """The best candidate by ``domain`` accuracy, or by the ``mean`` of domain and general, in which no group fell.

    A tie goes to the one nearer to the start.
    """
    kept = [c for c in table if not c["fell"]]

    def value(c: Candidate) -> float:
        return float(c["domain"] if objective == "domain" else (c["domain"] + c["general"]) / 2)

    return max(kept, key=lambda c: (value(c), -float(c["alpha"])), default=None)


def summarise_candidate(scores: Mapping[str, Any]) -> Candidate:
    """Accuracy on domain and general rows of the first set, and the general groups that fell or are undecided."""
    gate = scores["gate"]
    cells = {c["source"]: c for c in scores["cells"] if c["set"] == gate["set"] and c["capability"] == "all"}

    def share(sources: Sequence[str]) -> float:
        found = [cells[source] for source in sources if source in cells]
        return float(sum(c["correct"] for c in found) / sum(c["n"] for c in found))

    # A choice must be made from the items there are: on too few to decide, the observed change counts.
    fell = [
        g["group"]
        for g in gate["groups"]
        if g["verdict"] == "failed" or (g["verdict"] == "undecided" and g["change"] < -gate["margin"])
    ]
    return {
        "domain": share(scores["domain"]),
        "general": share(scores["general"]),
        "retention": gate["retention"],
        "fell": fell,
        "undecided": [g["group"] for g in gate["groups"] if g["verdict"] == "undecided"],
    }


def _scores(start: Path, end: Path, alpha: float, settings: ChooseJob, folder: Path) -> dict[str, Any]:
    """Scores of one candidate, evaluated unless it has been."""
    own = folder / f"{alpha:g}"
    if (own / "scores.json").is_file():
        done: dict[str, Any] = read_json(own / "scores.json")
        return done
    own.mkdir(parents=True, exist_ok=True)
    interpolate_checkpoints(start, end, alpha, own / "model")
    job = EvaluateJob(
        **settings.model_dump(include=set(EngineSettings.model_fields) - {"model", "model_name"}),
        model=str(own / "model"),
        model_name=f"a = {alpha:g}",
        sets=settings.sets,
        rows=settings.rows,
        general=settings.general,
        domain=settings.domain,
        gate=GateJob(
            before=folder / "0" / "predictions.jsonl",
            set=settings.sets[0].name,
            groups=settings.groups,
            margin=settings.margin,
            keep_gain=0.0,
            on_fail="continue",
        ),
    )
    write_model(own / "evaluate.json", job)
    scores = run_evaluation(own / "evaluate.json")
    for name in ("model", "adapter"):
        shutil.rmtree(own / name, ignore_errors=True)
    gc.collect()  # the candidate's engine, before the next one is loaded
    return scores
