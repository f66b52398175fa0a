"""Matcher ``clip``: the picture against topics with the user's CLIP or SigLIP (path or hub id); needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mindgpt_data.matching.index import normalise_vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

LEAST = 0.2
"""Cosine below which a topic is not matched: typical of CLIP; SigLIP's cosines are lower (start at 0.05)."""
STRONG = 0.28
BATCH = 64


class ClipError(ValueError):
    """The model cannot be used; the message names it and the fix."""


class Clip:
    """Image and text towers of one model.

    Args:
        model: a folder, or a hub id (downloaded by transformers unless ``HF_HUB_OFFLINE=1``).

    Raises:
        ClipError: torch or transformers is missing, or the model has no such towers.
    """

    def __init__(self, model: str) -> None:
        try:
            import torch
            from transformers import AutoModel, AutoProcessor
        except ImportError as error:
            raise ClipError(f"matcher clip needs torch and transformers ({error}); install both") from None
        self.name, self._torch = f"clip:{model}", torch
        source = str(Path(model).expanduser()) if Path(model).expanduser().is_dir() else model
        try:
            self._model: Any = AutoModel.from_pretrained(source).eval()
            self._processor: Any = AutoProcessor.from_pretrained(source)
        except (OSError, ValueError) as error:
            raise ClipError(f"match.clip: {model!r} cannot be loaded: {error}") from None
        if not hasattr(self._model, "get_image_features") or not hasattr(self._model, "get_text_features"):
            raise ClipError(f"match.clip: {model!r} is a {type(self._model).__name__}, no CLIP or SigLIP")

    def texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors ``[n, dim]`` of topics."""
        chunks = [texts[i : i + BATCH] for i in range(0, len(texts), BATCH)]
        return np.concatenate([self._texts([f"a photo of {text}" for text in chunk]) for chunk in chunks])

    def images(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """Unit vectors ``[n, dim]`` of RGB pictures."""
        inputs = self._processor(images=list(images), return_tensors="pt")
        with self._torch.inference_mode():
            return _unit(self._model.get_image_features(**inputs))

    def _texts(self, texts: list[str]) -> NDArray[np.float32]:
        # SigLIP was trained on texts padded to its full length.
        padding = "max_length" if "siglip" in type(self._model).__name__.casefold() else True
        inputs = self._processor(text=texts, return_tensors="pt", padding=padding, truncation=True)
        with self._torch.inference_mode():
            return _unit(self._model.get_text_features(**inputs))


def _unit(features: Any) -> NDArray[np.float32]:
    # transformers 5 may hand back the tower's whole output.
    tensor = features if hasattr(features, "numpy") else features.pooler_output
    return normalise_vectors(tensor.float().numpy())
