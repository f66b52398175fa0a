"""Every hand-set number of estimator ``model-free``, in one place (ours).

Developed on ``benchmarks/data/strata.py`` seeds below 10,000; ``benchmarks/data/density.py`` reports on others.
Absolute levels mean little across corpora: ``density.calibrate=true`` replaces IDS by its quantile in the corpus.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Segmentation:
    """How subjects are told from background; lengths in pixels of the picture scaled to ``side``, colours in CIELAB.

    Attributes:
        side: pictures are measured with their longer side scaled to this.
        edge: a step per pixel beyond which two neighbours belong to different regions.
        floor: the same as a multiple of the picture's median step, so that texture and noise are no edges.
        ceiling: … but never more than this: in a picture full of things most steps are edges.
        seed: smallest flat patch that starts a region.
        reach: pixels further than this from every flat patch are clutter.
        merge: neighbouring regions closer in colour than this are one.
        border: a region that covers at least this share of the picture's rim is background.
        smallest: smallest subject, share of the picture.
        thick: a subject's largest inscribed circle has at least this radius.
        close: gaps up to this inside a subject are filled.
        peer: of touching regions, those with at least this share of the largest one's area can be subjects each.
        split: … and with at least this multiple of ``smallest``.
        cover: … if together they cover this share of what they form; else it is one subject of many parts.
        solid: … each filling this share of its convex hull.
        open: … each with this share of its outline to the background.
        nested: an enclosed region with this share of its host's area is a subject inside it.
        paper: a text whose ground and surroundings differ by more than this is a thing (a sign), not masked out.
        tall: texts at least this high are looked at closely: …
        stout: … what is thicker in them than this share of their height (as a radius) is no letter.
    """

    side: int = 320
    edge: float = 3.5
    floor: float = 3.0
    ceiling: float = 8.0
    seed: int = 6
    reach: float = 4.0
    merge: float = 12.0
    border: float = 0.10
    smallest: float = 0.0012
    thick: float = 2.0
    close: int = 5
    peer: float = 0.3
    split: float = 2.0
    cover: float = 0.7
    solid: float = 0.6
    open: float = 0.25
    nested: float = 0.08
    paper: float = 15.0
    tall: float = 16.0
    stout: float = 0.22


@dataclass(frozen=True)
class Levels:
    """From measurements to sub-scores in [0, 5]; ``full`` is where a score is 5·(1 − 1/e) ≈ 3.2 of 5.

    Attributes:
        subjects_full: number of subjects.
        characters_full: characters read.
        concepts_full: concepts read.
        kinds_full: effective number of relation kinds at which ``spatial`` is 5 (one kind gives 1).
        ocr_confidence: lines read with less are left out.
        synonyms: words whose static vectors have at least this cosine are one concept.
    """

    subjects_full: float = 5.0
    characters_full: float = 100.0
    concepts_full: float = 4.0
    kinds_full: float = 4.0
    ocr_confidence: float = 0.7
    synonyms: float = 0.75


SEGMENTATION = Segmentation()
LEVELS = Levels()
