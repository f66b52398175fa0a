"""Does the model-free density score rank what the renderer set? ``python benchmarks/data/density.py``.

Held-out seeds (from 10,000; the constants were chosen on others): rank correlation of each sub-score with its own truth
(target 0.9) and with the other three truths (target at most 0.3 in absolute value); empty pictures; the same pictures
with noise, blur and uneven light; CPU seconds per picture of one megapixel (target 0.7).
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import strata
from machine import write_result
from mindgpt_data.density.model_free import model_free
from mindgpt_data.density.score import Picture, compute_information_density
from mindgpt_data.schema.rows import SUB_SCORES
from scipy.stats import spearmanr

FIRST = 10_000
Found = tuple[dict[str, float], dict[str, float], float]


def measure(seed: int, damage: str | None = None) -> Found:
    """Truth, scores and CPU seconds of one picture."""
    stratum = strata.render(seed, damage)
    start = time.process_time()
    scores = model_free(Picture(stratum.image))
    return stratum.truth, scores, time.process_time() - start


def measure_empty(seed: int) -> tuple[str, dict[str, float]]:
    """Scores of a background with nothing on it."""
    chance = random.Random(seed)
    kind = strata.BACKGROUNDS[seed % len(strata.BACKGROUNDS)]
    damage = strata.DAMAGES[seed // len(strata.BACKGROUNDS) % len(strata.DAMAGES)]
    image = strata.damaged(strata.backdrop(kind, chance), damage, chance)
    return f"{kind}, {damage}", model_free(Picture(image))


def correlations(found: Sequence[Found]) -> np.ndarray:
    """Spearman [sub-score, truth]."""
    truths, scores = (np.array([[one[side][name] for name in SUB_SCORES] for one in found]) for side in (0, 1))
    return np.asarray(spearmanr(np.concatenate([scores, truths], axis=1)).statistic)[:4, 4:]


def interval(found: Sequence[Found], draws: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """2.5 % and 97.5 % bootstrap bounds of :func:`correlations`."""
    make = np.random.default_rng(0)
    samples = [correlations([found[i] for i in make.integers(0, len(found), len(found))]) for _ in range(draws)]
    low, high = np.percentile(samples, [2.5, 97.5], axis=0)
    return low, high


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=144)
    parser.add_argument("--first", type=int, default=FIRST, help="first seed")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--sheet", type=Path, help="write a contact sheet (.png) of the first 24 pictures")
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.pictures)
    if arguments.sheet:
        strata.sheet([strata.render(seed) for seed in seeds[:24]]).save(arguments.sheet)
    with ProcessPoolExecutor(arguments.workers) as pool:
        list(pool.map(measure, seeds[: arguments.workers]))  # models are loaded outside of what is timed
        found = list(pool.map(measure, seeds))
        empty = list(pool.map(measure_empty, seeds[:24]))
        kept = seeds[:12]
        clean = list(pool.map(measure, kept, ["none"] * len(kept)))
        damaged = {d: list(pool.map(measure, kept, [d] * len(kept))) for d in strata.DAMAGES[1:]}
    table, (low, high) = correlations(found), interval(found)
    own = np.diag(table)
    cross = np.abs(table - np.diag(own))
    agreement = [
        f"Spearman over {len(found)} pictures, in brackets its 95 % bootstrap interval; own truth on the diagonal "
        "(target ≥ 0.9), the other truths beside it (target |ρ| ≤ 0.3).",
        "",
        "| sub-score | " + " | ".join(f"truth: {name}" for name in SUB_SCORES) + " |",
        "|---|" + "---|" * len(SUB_SCORES),
    ]
    for i, name in enumerate(SUB_SCORES):
        cells = [f"{table[i, j]:.3f} [{low[i, j]:.2f}, {high[i, j]:.2f}]" for j in range(len(SUB_SCORES))]
        agreement.append(f"| {name} | " + " | ".join(cells) + " |")
    worst = {name: max(scores[name] for _, scores in empty) for name in SUB_SCORES}
    raised = sum(compute_information_density(scores) > 0 for _, scores in empty)
    agreement += [
        "",
        f"Smallest own {own.min():.3f} ({_met(own.min() >= 0.9)}), largest other {cross.max():.3f} "
        f"({_met(cross.max() <= 0.3)}).",
    ]
    robust = [
        f"Empty pictures ({len(empty)}: every background, clean, with noise, blur and uneven light): {raised} score "
        "above 0; largest sub-scores " + ", ".join(f"{name} {value:.2f}" for name, value in worst.items()) + ".",
        "",
        "| the same 12 pictures with | mean change of IDS | largest rise | largest fall |",
        "|---|---|---|---|",
    ]
    for damage, results in damaged.items():
        change = [
            compute_information_density(d[1]) - compute_information_density(c[1])
            for d, c in zip(results, clean, strict=True)
        ]
        robust.append(f"| {damage} | {statistics.mean(change):+.3f} | {max(change):+.3f} | {min(change):+.3f} |")
    seconds = sorted(one[2] for one in found)
    cost = [
        f"CPU seconds per picture (1.0 megapixel, OCR included, one thread): median {statistics.median(seconds):.2f}, "
        f"mean {statistics.mean(seconds):.2f}, 95 % {seconds[int(0.95 * len(seconds))]:.2f}, max {seconds[-1]:.2f} "
        f"(target 0.7: {_met(statistics.mean(seconds) <= 0.7)}).",
        "",
        "Truths are rendered, so this shows what the estimator can tell apart, not what it does on photographs; "
        "`knowledge` here is distinct topics named in the text, all that a model-free score can see of it.",
    ]
    what = (
        f"rapidocr {version('rapidocr')}, onnxruntime {version('onnxruntime')}, opencv "
        f"{version('opencv-python-headless')}. Seeds {seeds[0]} to {seeds[-1]}; the constants were chosen on others. "
        "What the truths are: docstring of `benchmarks/data/strata.py`."
    )
    print("\n".join([*agreement, "", *robust, "", *cost]))
    write_result("data_density", "Model-free density against what the renderer set", what, [agreement, robust, cost])


def _met(reached: bool) -> str:
    return "met" if reached else "NOT met"


if __name__ == "__main__":
    main()
