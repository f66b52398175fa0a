"""How long the advantages of a step take: all groups at once, against loops over the groups.

    python benchmarks/rl/advantage_speed.py      (about 20 seconds; --prompts 512 --replies 16 are the defaults)

The default advantage (expected score + λ·pass@k) four times, equal results checked, interleaved: ours; a plain Python
loop that follows the formula reply by reply; the same loop made fast by hand (sorted once, weights looked up, sums from
the top); a loop that calls torch once per group. Then every other named advantage of ours. The bound is 20 × faster
than the plain loop.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import version
from math import comb
from pathlib import Path

import torch

from mindgpt_plugins.advantage.core import compute_modulated_advantage
from mindgpt_plugins.advantage.estimators import Groups, select_accepted_settings
from mindgpt_plugins.core.registry import get_registered, list_registered_names

RESULT = Path(__file__).parents[1] / "results" / "rl_advantage_speed.md"
BOUND = 20.0
K, LAMBDA = 4, 0.5


def plain(group: list[float]) -> list[float]:
    """The formula as it is written."""
    n = len(group)
    order = sorted(range(n), key=lambda i: group[i])
    rank = {i: place + 1 for place, i in enumerate(order)}
    best = []
    for i in range(n):
        total = comb(rank[i] - 1, K - 1) * group[i]
        for j in range(rank[i] + 1, n + 1):
            total += comb(j - 2, K - 2) * group[order[j - 1]]
        best.append(total / comb(n - 1, K - 1))
    return combine(group, best)


def by_hand(group: list[float]) -> list[float]:
    """The same in one pass from the highest score down."""
    n = len(group)
    own, above = weights(n)
    best, tail = [0.0] * n, 0.0
    order = sorted(range(n), key=group.__getitem__)
    for place in range(n - 1, -1, -1):
        i = order[place]
        best[i] = own[place] * group[i] + tail
        tail += above[place] * group[i]
    return combine(group, best)


@lru_cache
def weights(n: int) -> tuple[list[float], list[float]]:
    total = comb(n - 1, K - 1)
    return (
        [comb(j, K - 1) / total for j in range(n)],
        [comb(j - 1, K - 2) / total if j else 0.0 for j in range(n)],
    )


def combine(group: list[float], best: list[float]) -> list[float]:
    n = len(group)
    mean, mean_best = sum(group) / n, sum(best) / n
    return [(1 - LAMBDA) * (g - mean) + LAMBDA * K * (b - mean_best) for g, b in zip(group, best, strict=True)]


def once(function: Callable[[], object]) -> float:
    """Milliseconds."""
    started = time.perf_counter()
    function()
    return 1000 * (time.perf_counter() - started)


def shown(times: list[float]) -> str:
    return f"{statistics.median(times):.2f} [{min(times):.2f}, {max(times):.2f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=512)
    parser.add_argument("--replies", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=31)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    shape = (arguments.prompts, arguments.replies)
    right = torch.rand(shape, generator=generator, dtype=torch.float64) < torch.rand(shape[0], 1, generator=generator)
    scores = right * (0.8 + 0.4 * torch.rand(shape, generator=generator, dtype=torch.float64))
    lists = scores.tolist()
    sides: dict[str, Callable[[], torch.Tensor]] = {
        "ours, all groups at once": lambda: compute_modulated_advantage(scores, k=K, lam=LAMBDA),
        "Python loop, the formula": lambda: torch.tensor([plain(g) for g in lists], dtype=torch.float64),
        "Python loop, optimised by hand": lambda: torch.tensor([by_hand(g) for g in lists], dtype=torch.float64),
        "loop with torch per group": lambda: torch.cat(
            [compute_modulated_advantage(g.unsqueeze(0), k=K, lam=LAMBDA) for g in scores]
        ),
    }
    reference = sides["ours, all groups at once"]()
    worst = max(float((side() - reference).abs().max()) for side in sides.values())
    if worst > 1e-9:
        sys.exit(f"the sides disagree by {worst:g}; their times mean nothing")
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(arguments.rounds):
        for name, side in sides.items():
            times[name].append(once(side))
    ours = times["ours, all groups at once"]
    faster = {
        name: [summary(own) / summary(ours) for summary in (statistics.median, min)] for name, own in times.items()
    }
    ratio = min(faster["Python loop, the formula"])

    mask = torch.ones(shape, dtype=torch.bool)
    tokens = torch.randint(1, 500, shape, generator=generator).double()
    parts = {"accuracy": right.double(), "length": torch.rand(shape, generator=generator, dtype=torch.float64)}
    groups = Groups(scores, right.double(), mask, parts, {"accuracy": 1.0, "length": -0.2}, tokens)
    others = {
        name: [
            once(
                lambda name=name: get_registered("advantage", name)(
                    groups, **select_accepted_settings(name, {"k": K, "lam": LAMBDA})
                )
            )  # type: ignore[misc]
            for _ in range(arguments.rounds + 1)
        ][1:]
        for name in list_registered_names("advantage")
    }
    lines = [
        "# Advantages: all groups at once, against loops",
        "",
        f"Command: `python benchmarks/rl/{' '.join([Path(sys.argv[0]).name, *sys.argv[1:]])}`",
        "",
        f"{processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, one thread; Python "
        f"{platform.python_version()}, torch {version('torch')}. {shape[0]} prompts × {shape[1]} replies, k = {K}, "
        f"λ = {LAMBDA}; milliseconds, median of {arguments.rounds} interleaved rounds, range in brackets. Results "
        f"agree to {worst:.0e}.",
        "",
        "| side | ms | ours is faster by: medians | fastest rounds |",
        "|---|---|---|---|",
        *(
            f"| {name} | {shown(own)} | {faster[name][0]:.1f} × | {faster[name][1]:.1f} × |"
            for name, own in times.items()
        ),
        "",
        f"Bound: {BOUND:.0f} × faster than the formula in a loop; measured (the smaller of the two) {ratio:.1f} ×: "
        f"{'met' if ratio >= BOUND else 'NOT met'}.",
        "",
        "| named advantage | ms |",
        "|---|---|",
        *(f"| `{name}` | {shown(own)} |" for name, own in others.items()),
    ]
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.processor())


if __name__ == "__main__":
    main()
