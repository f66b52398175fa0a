"""Text embeddings for siblings, topics and duplicates: shipped static vectors, or a local model the user names."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from mindgpt_data.embed.base import Embedder, EmbedderError

__all__ = ["Embedder", "EmbedderError", "load_embedder"]


@cache
def load_embedder(name: str = "static") -> Embedder:
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
