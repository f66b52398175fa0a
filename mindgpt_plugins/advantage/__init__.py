"""Advantages from reward components; no host import.

``pass_at_k_advantage(rewards, k)`` and ``modulated_advantage(scores, …)`` take ``(groups, n)`` tensors; what a recipe
can name is in :mod:`mindgpt_plugins.advantage.estimators`.
"""

from mindgpt_plugins.advantage.core import modulated_advantage, pass_at_k_advantage

__all__ = ["modulated_advantage", "pass_at_k_advantage"]
