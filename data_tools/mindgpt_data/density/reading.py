"""Reads the text in a picture with rapidocr, whose models lie in its own package: nothing is downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

SIDE = 736
"""The detector sees the picture with its longer side scaled to this at most."""


@dataclass(frozen=True)
class TextLine:
    """A line of text: what it says, how sure that is (0 to 1), and its outline ``[4, (x, y)]`` in pixels."""

    text: str
    confidence: float
    outline: np.ndarray[Any, Any]


def read_text(pixels: np.ndarray[Any, Any], confidence: float = 0.0) -> list[TextLine]:
    """Lines in a picture.

    Args:
        pixels: uint8 RGB ``[height, width, 3]``.
        confidence: lines read with less are left out.
    """
    result = _engine()(np.ascontiguousarray(pixels[:, :, ::-1]), use_cls=False)
    if result.boxes is None or result.txts is None:
        return []
    lines = (
        TextLine(text, float(sure), np.asarray(outline))
        for text, sure, outline in zip(result.txts, result.scores, result.boxes, strict=True)
    )
    return [line for line in lines if line.text.strip() and line.confidence >= confidence]


@cache
def _engine() -> Any:
    """One engine per process, one thread: pictures are spread over processes."""
    from rapidocr import RapidOCR

    return RapidOCR(
        params={
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            "Global.log_level": "error",
            "Global.use_cls": False,
            "Det.limit_type": "max",
            "Det.limit_side_len": SIDE,
        }
    )
