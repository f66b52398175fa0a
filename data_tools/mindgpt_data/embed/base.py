"""What a text embedder is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class EmbedderError(ValueError):
    """An embedding model cannot be used; the message names it, what is wrong and the choices."""


class Embedder(Protocol):
    """Turns texts into unit vectors, so that a dot product is a cosine."""

    name: str
    """Goes into fingerprints: thresholds belong to the model."""
    dim: int

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts.

        Args:
            texts: any number; a text without tokens (such as ``""``) gets the zero vector, whose cosine to everything
                is 0: it matches nothing and duplicates nothing.

        Returns:
            float32 ``[len(texts), dim]``, every non-zero row of L2 norm 1.
        """
        ...
