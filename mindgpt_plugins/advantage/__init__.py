"""Advantages from reward components; no host import, and no torch before one is computed.

``core.pass_at_k_advantage(rewards, k)`` and ``core.modulated_advantage(scores, …)`` take ``(groups, n)`` tensors; what
a recipe can name is in :mod:`mindgpt_plugins.advantage.estimators`.
"""
