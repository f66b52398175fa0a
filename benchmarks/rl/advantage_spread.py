"""How strongly each advantage separates right from wrong replies, by how many of the group are right.

python benchmarks/rl/advantage_spread.py     (prints the table of docs/advantage.md, writes docs/advantage.svg)
"""

from __future__ import annotations

from html import escape
from pathlib import Path

import torch

from mindgpt_plugins.advantage.estimators import Groups, select_accepted_settings
from mindgpt_plugins.core.registry import get_registered

PICTURE = Path(__file__).parents[2] / "docs" / "advantage.svg"
N, K = 8, 4
LINES: dict[str, tuple[str, float, str]] = {
    "`modulated`, λ = 0.5": ("modulated", 0.5, "#c2410c"),
    "`modulated`, λ = 0 (`dr_grpo`)": ("modulated", 0.0, "#64748b"),
    "`pass_at_k` (λ = 1)": ("pass_at_k", 1.0, "#0369a1"),
    "`pass_at_k_analytic`": ("pass_at_k_analytic", 1.0, "#7c3aed"),
    "`grpo`, `reward_sum`": ("grpo", 0.0, "#15803d"),
    "`grpo_passk`": ("grpo_passk", 0.0, "#a16207"),
}
"""Label → registered name, λ, colour. ``gdpo`` is left out: its whitening makes it depend on the rest of the batch."""
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 340, 52, 236, 34, 40
HIGHEST = 3.0


def spreads() -> dict[str, list[float]]:
    """Label → the right replies' mean advantage minus the wrong ones', for 1 to N − 1 right ones."""
    scores = torch.tensor([[1.0] * c + [0.0] * (N - c) for c in range(1, N)], dtype=torch.float64)
    groups = Groups(scores, scores, torch.ones_like(scores, dtype=torch.bool))
    found = {}
    for label, (name, lam, _) in LINES.items():
        advantage = get_registered("advantage", name)(groups, **select_accepted_settings(name, {"k": K, "lam": lam}))
        right = (advantage * scores).sum(1) / scores.sum(1)
        wrong = (advantage * (1 - scores)).sum(1) / (1 - scores).sum(1)
        found[label] = [round(spread, 6) + 0.0 for spread in (right - wrong).tolist()]  # + 0.0: no minus zero
    return found


def table(found: dict[str, list[float]]) -> list[str]:
    """Markdown rows."""
    return [
        f"| right of {N} | {' | '.join(str(c) for c in range(1, N))} |",
        "|---|" + "---|" * (N - 1),
        *(f"| {label} | {' | '.join(f'{value:.2f}' for value in values)} |" for label, values in found.items()),
    ]


def picture(found: dict[str, list[float]]) -> str:
    """The table as lines, labelled at their right ends."""

    def x(correct: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (correct - 1) / (N - 2)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / HIGHEST

    parts = [f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#ffffff"/>']
    parts.append(
        f'<text x="{LEFT}" y="20" font-weight="600">Advantage of right minus wrong replies, n = 8, k = 4</text>'
    )
    for tick in range(int(HIGHEST) + 1):
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="#e2e8f0"/>'
            f'<text x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end" fill="#475569">{tick}</text>'
        )
    for correct in range(1, N):
        parts.append(
            f'<text x="{x(correct):.1f}" y="{HEIGHT - 22}" text-anchor="middle" fill="#475569">{correct}</text>'
        )
    parts.append(
        f'<text x="{x((N) / 2):.1f}" y="{HEIGHT - 6}" text-anchor="middle" fill="#475569">right replies of {N}</text>'
    )
    # Labels keep a line's distance from each other, from the lowest end upwards.
    ends = sorted(reversed(found), key=lambda label: found[label][-1])
    at = float(HEIGHT)
    for label in ends:
        _, _, colour = LINES[label]
        points = " ".join(f"{x(c):.1f},{y(v):.1f}" for c, v in enumerate(found[label], start=1))
        wide = 3 if label.startswith("`modulated`, λ = 0.5") else 1.75
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{wide}"/>')
        end = y(found[label][-1])
        at = min(at - 18, end + 4)
        parts.append(
            f'<line x1="{WIDTH - RIGHT + 2}" y1="{end:.1f}" x2="{WIDTH - RIGHT + 18}" y2="{at - 4:.1f}" '
            f'stroke="{colour}" stroke-width="0.75"/>'
            f'<text x="{WIDTH - RIGHT + 22}" y="{at:.1f}" fill="{colour}">{escape(label.replace("`", ""))}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'font-family="system-ui, sans-serif" font-size="13" fill="#0f172a">\n' + "\n".join(parts) + "\n</svg>\n"
    )


def main() -> None:
    found = spreads()
    PICTURE.write_text(picture(found), encoding="utf-8")
    print("\n".join(table(found)))
    print(f"written: {PICTURE}")


if __name__ == "__main__":
    main()
