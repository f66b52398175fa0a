"""Matcher ``text``: an image's own words against topics, by static text embeddings (the embedded default; ours).

:data:`LEAST` is calibrated on 93 words (COCO's labels, words of charts, medicine, nature; some foreign to the tree)
against the shipped tree's 587 leaves (``tests/data_tools/matching/test_matching_calibration.py``). Precision (right
leaf, of the words matched) and recall (words rightly matched, of those that have a topic): 0.89 and 0.64 at 0.4, 0.91
and 0.55 at 0.5, 0.97 and 0.47 at 0.55.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mindgpt_data.corpus.truth import pluralise_label
from mindgpt_data.embed import Embedder
from mindgpt_data.matching.index import Hit, normalise_vectors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEAST = 0.5
"""Cosine below which a topic is not matched."""
STRONG = 0.7
"""Cosine from which a match counts as fit 3."""
NEAR = 0.05
"""A phrase speaks for its best leaf and those this close to it; its other neighbours are mere relatives."""


def encode_phrases(phrases: list[str], embedder: Embedder) -> NDArray[np.float32]:
    """Unit vectors ``[n, dim]``; short phrases are the sum of singular and plural, because topics are often plural."""
    one = embedder.encode(phrases)
    many = embedder.encode([pluralise_label(p) if len(p.split()) <= 3 else p for p in phrases])
    return normalise_vectors(one + many)


def select_supported_hits(hits: list[Hit], least: float) -> list[Hit]:
    """What one phrase speaks for: its best leaf and those near it, where they are similar enough."""
    best = hits[0].score if hits else 0.0
    return [hit for hit in hits if hit.score >= max(least, best - NEAR)]
