"""Estimator ``annotations``: the four sub-scores from a scene's exact truth (ours; the embedded default)."""

from __future__ import annotations

from mindgpt_data.density.score import Picture


def from_truth(picture: Picture, *, full: float = 5.0) -> dict[str, float]:
    """Sub-scores that grow with what the scene holds and saturate at 5.

    Args:
        picture: must carry its scene.
        full: number of things at which ``subjects`` reaches 5.

    Raises:
        ValueError: the picture has no scene (use ``pixels`` for those).
    """
    scene = picture.scene
    if scene is None:
        raise ValueError("estimator 'annotations' needs the scene's truth; for plain pictures use estimator 'pixels'")
    things = len(scene.things)
    pairs = things * (things - 1) / 2
    letters = sum(len(thing.name) for thing in scene.of("word"))
    known = len({thing.name for thing in scene.things if thing.family in ("vehicle", "sign")})
    return {
        "subjects": min(5.0, 5.0 * things / full),
        "spatial": min(5.0, 1.0 + pairs / 2) if things else 0.0,
        "text": min(5.0, 0.8 * letters),
        "knowledge": min(5.0, 2.0 * known),
    }
