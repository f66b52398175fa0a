"""How much weight a prompt gets by how many of its replies are right."""

from __future__ import annotations

from typing import Any

import torch

from mindgpt_plugins.advantage.call import compute_advantage
from mindgpt_plugins.advantage.estimators import Groups
from mindgpt_plugins.core.schedule import evaluate_schedule
from mindgpt_plugins.workbench.explain.algebra import convert_to_json_number
from mindgpt_plugins.workbench.explain.replay import RewardReplay
from mindgpt_plugins.workbench.explain.setup import Setup


def tabulate_push_by_right(replay: RewardReplay) -> dict[str, Any]:
    """Observed and theoretical push of a prompt with c of n replies right.

    Groups of another size than the most frequent one count at the nearest c of that size.

    Returns:
        ``n``, ``other_sizes`` (groups), ``rows`` for c = 0 … n: ``right``, ``groups``, ``push`` (mean Σ|A| of a
        prompt), ``share`` of all |A|, ``right_mean`` and ``wrong_mean`` of A, ``start`` and ``end`` (Σ|A| of a prompt
        with right and wrong replies only and no modulator, with λ of the first and last step).
    """
    advantage, right, sizes = replay.trained, replay.scores.correct, replay.board.sizes
    n = int(sizes.mode().values)
    counts = (right.sum(dim=1) / sizes * n).round().long()
    push, total = advantage.abs().sum(dim=1), float(advantage.abs().sum())
    theory = {end: _theory(replay.setup, n, share) for end, share in (("start", 0.0), ("end", 1.0))}
    rows = []
    for c in range(n + 1):
        own = counts == c
        mask = replay.board.mask & own.unsqueeze(1)
        rows.append(
            {
                "right": c,
                "groups": int(own.sum()),
                "push": convert_to_json_number(push[own].mean()),
                "share": float(push[own].sum()) / total if total else 0.0,
                "right_mean": convert_to_json_number(advantage[mask & right].mean()),
                "wrong_mean": convert_to_json_number(advantage[mask & ~right].mean()),
                **{end: values[c] for end, values in theory.items()},
            }
        )
    return {"n": n, "other_sizes": int((sizes != n).sum()), "rows": rows}


def _theory(setup: Setup, n: int, progress: float) -> list[float]:
    """Σ|A| of one prompt each with 0 … n right replies."""
    scores = torch.tril(torch.ones(n + 1, n, dtype=torch.float64), diagonal=-1)
    values = {"task": scores, "gate": torch.ones_like(scores), "modulator": torch.zeros_like(scores)}
    groups = Groups(
        modulated=scores,
        raw=scores,
        mask=torch.ones_like(scores, dtype=torch.bool),
        components={name: values[role] for name, role in setup.suite.roles.items()},
        weights=setup.suite.signed_weights(progress),
        tokens=torch.ones_like(scores),
        adversarial=torch.zeros(n + 1, dtype=torch.bool),
    )
    lam = evaluate_schedule(setup.advantage.lam, progress)
    found = compute_advantage(setup.advantage, groups, lam).abs().sum(dim=1)
    return [round(value, 12) for value in found.tolist()]
