"""Estimator ``model-free``: the four sub-scores from pixels and OCR, without a model server (ours)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mindgpt_data.density.concepts import count_concepts
from mindgpt_data.density.constants import LEVELS
from mindgpt_data.density.reading import read_text
from mindgpt_data.density.relations import count_effective_kinds
from mindgpt_data.density.score import Picture
from mindgpt_data.density.subjects import find_subjects

if TYPE_CHECKING:
    from collections.abc import Sequence


def model_free(picture: Picture, *, detector: str | None = None, confidence: float = 0.35) -> dict[str, float]:
    """Sub-scores of one picture; about 0.4 s of CPU per megapixel.

    * ``subjects``: how many things stand out from the background (texts are masked out first).
    * ``spatial``: how many *kinds* of relations hold between them (beside, above, diagonal, overlap, inside) by their
      effective number over all pairs, so that it does not follow from the number of subjects.
    * ``text``: how many characters OCR reads.
    * ``knowledge``: how many distinct concepts are named in what OCR reads; the weakest of the four.

    Subjects are found by colour and edges. On close-up photographs these are salient parts (an eye, a badge), not
    objects, and what looks like its surroundings is missed: name a ``detector`` for such a corpus, or use the judge.

    Args:
        picture: RGB; its scene is not looked at.
        detector: path of an ONNX object detector that finds the subjects instead of segmentation; see
            :mod:`mindgpt_data.density.detector` for the outputs it may have.
        confidence: the detector's boxes with less are left out.
    """
    pixels = np.asarray(picture.image.convert("RGB"))
    lines = read_text(pixels, LEVELS.ocr_confidence)
    boxes: Sequence[Sequence[float]]
    if detector is None:
        boxes = find_subjects(pixels, [line.outline for line in lines])
    else:
        from mindgpt_data.density.detector import detect_subjects

        boxes = detect_subjects(detector, pixels, confidence)
    characters = sum(len("".join(line.text.split())) for line in lines)
    kinds = count_effective_kinds(boxes)
    return {
        "subjects": _saturating(len(boxes), LEVELS.subjects_full),
        "spatial": min(5.0, 1 + 4 * (kinds - 1) / (LEVELS.kinds_full - 1)) if kinds else 0.0,
        "text": _saturating(characters, LEVELS.characters_full),
        "knowledge": _saturating(count_concepts([line.text for line in lines], LEVELS.synonyms), LEVELS.concepts_full),
    }


def _saturating(amount: float, full: float) -> float:
    return 5.0 * (1.0 - math.exp(-amount / full))
