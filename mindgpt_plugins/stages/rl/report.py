"""Where ``rl`` stands in the report: scores, groups, reward components and the mean reward's course."""

from __future__ import annotations

from mindgpt_plugins.stages.reporting import Charts, ReportRules


class RLReport(ReportRules):
    """Its curves and its groups of replies."""

    rollouts = True
    charts = Charts(
        {
            "training score": r"score/(?P<label>.+)",
            "pass@k in training groups": r"group/(?P<label>pass@.+)",
            "reward components, mean": r"reward/(?P<label>.+)/mean",
            "reward components, weight": r"reward/(?P<label>.+)/weight",
            "reply length, tokens": r"reply/(?P<label>tokens.*)",
            "groups without a mixed outcome": r"group/(?P<label>all_.+)",
            "share of the advantage due to": r"advantage/share/(?P<label>.+)",
        },
        "reinforcement learning",
        alone=True,
        reward=("score/mean", "critic/score/mean", "reward"),  # our trainer's name first, then verl's own
    )
