"""Every figure of the report as plain data: the content of ``report.json`` (keys: ``docs/report.md``)."""

from __future__ import annotations

import os
from typing import Any

from mindgpt_plugins.workbench.report import abilities, benchmarks, branches, curves, divergence, examples
from mindgpt_plugins.workbench.report.run import ReportedRun

VERSION = 1
"""Raised when a key of ``report.json`` changes its meaning or goes away."""


def compute_report_figures(run: ReportedRun) -> dict[str, Any]:
    """Compute all figures. What a missing or unfinished stage would give is null or absent and listed in ``notes``."""
    notes = [line for stage in run.stages for line in stage.describe_damage()]
    evaluations = abilities.collect_evaluations(run, notes)
    held_out = abilities.find_held_out_set(evaluations)
    matrix = abilities.build_accuracy_matrix(evaluations, held_out)
    retention = abilities.compute_retention(evaluations, held_out)
    training = [curves.collect_training_curves(stage, stage.rules.charts) for stage in run.stages if stage.rules.charts]
    public = benchmarks.collect_benchmark_figures(run, notes)
    notes += divergence.note_divergence(run.stages)
    unfinished = [f"{stage.name} ({stage.status})" for stage in run.stages if not stage.finished]
    if unfinished:
        notes.append(f"not finished, so missing or incomplete below: {', '.join(unfinished)}")
    return {
        "version": VERSION,
        "recipe": run.manifest["recipe"],
        "created": run.manifest.get("created"),
        "complete": all(stage.finished for stage in run.stages),
        "notes": notes,
        "headline": abilities.summarise_headline(
            run, evaluations, held_out, retention, training, [] if public is None else public["gates"]
        ),
        "stages": [
            {
                "name": s.name,
                "kind": s.kind,
                "status": s.status,
                "seconds": s.seconds,
                "peak_rss_bytes": s.peak_rss_bytes,
                "hash": s.digest,
                "inputs": list(s.inputs),
                **divergence.collect_divergence_figures(s),
            }
            for s in run.stages
        ],
        "held_out_set": held_out,
        "evaluations": [
            {key: e[key] for key in ("stage", "model", "cells", "gate")} | {"ambiguous": e.get("ambiguous", 0)}
            for e in evaluations
        ],
        "matrix": matrix,
        "retention": retention,
        "branches": branches.collect_branch_figures(evaluations, held_out, notes),
        "benchmarks": public,
        "interpolations": [
            {"stage": s.name, **chosen} for s, chosen in run.entries("interpolations") if chosen is not None
        ],
        "pass_at": abilities.collect_pass_at_k(evaluations, held_out),
        "training": training,
        "trained_on": [{"stage": s.name, **rows} for s, rows in run.entries("trained_on") if rows is not None],
        "data": [{"stage": s.name, "report": report} for s, report in run.entries("data") if report is not None],
        "corpora": [
            {"stage": s.name, **corpus, "page": os.path.relpath(corpus["page"], run.folder)}
            for s, corpus in run.entries("corpora")
        ],
        "self_training": [
            {"stage": s.name, "kind": s.kind, "summary": summary}
            for s, summary in run.entries("self_training")
            if summary is not None
        ],
        "examples": examples.pick_model_examples(evaluations, held_out),
        "rollouts": [g for s in run.stages if s.rules.rollouts for g in examples.pick_rollout_groups(run, s)],
    }
