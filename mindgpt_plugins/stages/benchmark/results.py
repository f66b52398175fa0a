"""From the harness's rows to the predictions and scores that the forgetting gate and the report read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from mindgpt_plugins.stages.benchmark.catalogue import BENCHMARKS
from mindgpt_plugins.stages.benchmark.proxy import BLANK, SEEN
from mindgpt_plugins.stages.evaluate import scoring


def build_predictions(rows: Iterable[Mapping[str, Any]], sources: Mapping[str, str]) -> list[dict[str, Any]]:
    """One prediction per sample, with the keys of an ``evaluate`` stage's ``predictions.jsonl``.

    Args:
        rows: of both passes, as :mod:`.harness` writes them.
        sources: benchmark → source; ``general`` for those it does not name.
    """
    seen: dict[tuple[str, str, int], Mapping[str, Any]] = {}
    blank: dict[tuple[str, str, int], Mapping[str, Any]] = {}
    for row in rows:
        {SEEN: seen, BLANK: blank}[row["pass"]][row["benchmark"], row["subset"], row["index"]] = row
    return [
        {
            "uid": f"{key[1]}:{key[2]}",
            "set": key[0],
            "source": sources.get(key[0], "general"),
            "capability": read_capability_label(row),
            "difficulty": None,
            "reply": row["reply"],
            "answer": row["answer"],
            "correct": is_row_credited(row),
            "tokens": row["tokens"] or 0,
            "samples": [],
            "blank_correct": is_row_credited(blank[key]) if key in blank else None,
        }
        for key, row in sorted(seen.items())
    ]


def is_row_credited(row: Mapping[str, Any]) -> bool:
    """Did the harness give at least half the credit (its benchmarks here give all or none)?"""
    return bool(row["score"] >= 0.5)


def read_capability_label(row: Mapping[str, Any]) -> str:
    """The benchmark's own category as a label path, coarse to fine; its subset when it has none."""
    parts = [row["metadata"].get(key) for key in BENCHMARKS[row["benchmark"]].labels]
    named = [re.sub(r"[./]", "-", str(part)) for part in parts if part not in (None, "")]
    return ".".join(named) or re.sub(r"[./]", "-", str(row["subset"]))


def summarise_passes(rows: Iterable[Mapping[str, Any]], reports: Mapping[str, Any]) -> dict[str, Any]:
    """Per benchmark and pass: rows, replies without an answer and cut off at the token limit, the harness's figures."""
    found: dict[str, Any] = {}
    for row in rows:
        place = found.setdefault(row["benchmark"], {}).setdefault(
            row["pass"], {"n": 0, "correct": 0, "unparsed": 0, "cut_off": 0, "examples": []}
        )
        place["n"] += 1
        place["correct"] += is_row_credited(row)
        place["cut_off"] += not row["finished"]
        if row["answer"] is None:
            place["unparsed"] += 1
            if len(place["examples"]) < 3:
                place["examples"].append(row["reply"][:200])
    for name, passes in found.items():
        for key, place in passes.items():
            place["harness"] = reports.get(name, {}).get(key, [])
    return found


def format_accuracy_table(cells: Iterable[Mapping[str, Any]], found: Mapping[str, Any]) -> list[str]:
    """Lines to print: accuracy with its 95 % interval, blank accuracy, replies that did not parse."""
    lines = []
    for cell in cells:
        if (cell["source"], cell["capability"]) != (scoring.ALL, scoring.ALL):
            continue
        right, low, high = (100 * cell[key] for key in ("accuracy", "low", "high"))
        line = f"{cell['set']}: {right:.1f} % ({low:.1f} to {high:.1f}) of {cell['n']}"
        if cell["blank_accuracy"] is not None:
            line += f", {100 * cell['blank_accuracy']:.1f} % without the picture"
        place = found[cell["set"]][SEEN]
        if place["unparsed"]:
            line += f"; {place['unparsed']} replies did not parse, e.g. {place['examples'][0]!r}"
        if place["cut_off"]:
            line += f"; {place['cut_off']} were cut off at max_new_tokens"
        lines.append(line)
    return lines
