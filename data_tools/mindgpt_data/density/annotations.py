"""Estimator ``annotations``: the four sub-scores from what the corpus says is in a picture (ours); opens no file."""

from __future__ import annotations

from mindgpt_data.corpus.truth import SEEN, read_truth
from mindgpt_data.density.score import Picture


def from_truth(picture: Picture, *, full: float = 5.0) -> dict[str, float]:
    """Sub-scores that grow with the objects and texts of the record and saturate at 5.

    ``knowledge`` counts the different objects of which the corpus says more than what is seen (a category, a use, a
    meaning): nothing else in a truth can be asked about that is not in the pixels.

    Args:
        picture: must carry its record; the pixels are not looked at.
        full: number of objects and texts at which ``subjects`` reaches 5.

    Raises:
        ValueError: the picture has no record.
    """
    if picture.record is None:
        raise ValueError("estimator 'annotations' needs the corpus' record; for plain pictures use estimator 'pixels'")
    truth = read_truth(picture.record)
    things = len(truth.things) + len(truth.texts)
    pairs = things * (things - 1) / 2
    letters = sum(len(text.label) for text in truth.texts)
    known = {thing.label for thing in truth.things if thing.category or set(thing.attributes) - SEEN}
    return {
        "subjects": min(5.0, 5.0 * things / full),
        "spatial": min(5.0, 1.0 + pairs / 2) if things else 0.0,
        "text": min(5.0, 0.8 * letters),
        "knowledge": min(5.0, 2.0 * len(known)),
    }
