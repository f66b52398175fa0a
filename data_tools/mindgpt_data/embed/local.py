"""A sentence-embedding model in a local folder (sentence-transformers layout), run with transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindgpt_data.embed.base import EmbedderError
from mindgpt_plugins.core.files import read_json

CHUNK = 64


class LocalEmbedder:
    """Pools the last hidden states (mean, or the first token when the folder's ``1_Pooling`` says so), L2-normalised.

    Raises:
        EmbedderError: torch or transformers is missing, the folder cannot be loaded, or its pooling is another one.
    """

    def __init__(self, folder: Path) -> None:
        try:
            import torch
            from transformers import AutoModel, AutoTokenizer
        except ImportError as error:
            raise EmbedderError(f"embedding model {folder} needs torch and transformers: {error}") from None
        self._torch: Any = torch
        self.name = f"local:{folder.name}"
        self._first = _pools_first_token(folder)
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._model: Any = AutoModel.from_pretrained(folder, local_files_only=True).eval()
        except (OSError, ValueError) as error:
            raise EmbedderError(f"embedding model {folder} cannot be loaded: {error}") from None
        self.dim = int(self._model.config.hidden_size)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See :meth:`mindgpt_data.embed.Embedder.encode`."""
        out = np.zeros((len(texts), self.dim), np.float32)
        filled = [i for i, text in enumerate(texts) if text.strip()]
        for start in range(0, len(filled), CHUNK):
            rows = filled[start : start + CHUNK]
            out[rows] = self._encode([texts[i] for i in rows])
        return out

    def _encode(self, texts: list[str]) -> NDArray[np.float32]:
        batch = self._tokenizer(texts, padding=True, truncation=True, max_length=512, return_tensors="pt")
        with self._torch.inference_mode():
            hidden = self._model(**batch).last_hidden_state.float()
        mask = batch["attention_mask"].unsqueeze(-1).float()
        pooled = hidden[:, 0] if self._first else (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
        unit: NDArray[np.float32] = self._torch.nn.functional.normalize(pooled, dim=1).numpy()
        return unit


def _pools_first_token(folder: Path) -> bool:
    file = folder / "1_Pooling" / "config.json"
    if not file.is_file():
        return False
    modes = [key for key, on in read_json(file).items() if key.startswith("pooling_mode_") and on is True]
    if modes not in (["pooling_mode_mean_tokens"], ["pooling_mode_cls_token"]):
        raise EmbedderError(f"{file} asks for {', '.join(modes) or 'no pooling'}; known: mean_tokens, cls_token")
    return modes == ["pooling_mode_cls_token"]
