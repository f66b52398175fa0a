"""Text embeddings for siblings, topics and duplicates: shipped static vectors, or a local model the user names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
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


@cache
def embedder(name: str = "static") -> Embedder:
    """The embedding model of that name; loaded once per process.

    Args:
        name: ``static`` (wordllama's vectors: 256 dimensions, no torch, about 20 µs per text) or the path of a local
            sentence-embedding model (a folder with ``config.json``, weights and tokenizer; needs torch and
            transformers).

    Raises:
        EmbedderError: neither of these, or its files are not there.
    """
    if name == "static":
        from mindgpt_data.embed.static import StaticEmbedder

        return StaticEmbedder()
    if (Path(name).expanduser() / "config.json").is_file():
        from mindgpt_data.embed.local import LocalEmbedder

        return LocalEmbedder(Path(name).expanduser())
    raise EmbedderError(
        f"embedding model {name!r} is neither 'static' (shipped, no torch) nor a local folder with a config.json "
        "(a sentence-transformers model); nothing is downloaded"
    )
