"""Modulator: a correct reply whose meaning is far from its correct siblings'. Source: ours, after arXiv 2509.02534.

u = 1 - mean cosine to the other correct replies, in [0, 1]; 0 for a lone correct reply. Beside ``diversity`` (word
4-grams) it does not pay for other words alone.
"""

from __future__ import annotations

from mindgpt_plugins.rewards.sdk import Group, Score, reward

EMBEDDED = 32_768
"""Characters of a reply that count, far more than a response limit lets through: a million would take a second."""


@reward(role="modulator", scope="group")
def diversity_embedding(group: Group, *, model: str = "static") -> list[Score | None]:
    """Distance of each correct reply from the other correct ones; 0 for wrong ones.

    Of a reply that never ends only the beginning is embedded (:data:`EMBEDDED` characters).

    Args:
        group: all replies to one prompt.
        model: ``static`` (word vectors inside a wheel, no torch) or the folder of a local sentence-embedding model.

    Raises:
        EmbedderError: the model's files are not there.
    """
    import numpy as np
    from mindgpt_data.embed import load_embedder

    places = [i for i, good in enumerate(group.correct) if good]
    found: list[Score | None] = [Score(0.0) for _ in group.rollouts]
    if len(places) < 2:
        return found
    vectors = load_embedder(model).encode([group.rollouts[i].text[:EMBEDDED] for i in places]).astype(np.float64)
    cosines = vectors @ vectors.T
    others = (cosines.sum(1) - cosines.diagonal()) / (len(places) - 1)
    for place, mean in zip(places, others, strict=True):
        found[place] = Score(float(np.clip(1.0 - mean, 0.0, 1.0)))
    return found
