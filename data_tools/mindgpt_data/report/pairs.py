"""Pictures that look alike, by perceptual hash (64-bit DCT hash; idea: pHash, common practice)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mindgpt_data.report.load import ReportInputs
from mindgpt_data.report.tally import compute_random_rank

NEAR = 4
"""Bits of 64 that may differ."""
HASHED = 1500
"""Pictures that are hashed; of more, a random sample: reading every picture again would take minutes."""
SHOWN = 12


def find_near_duplicates(corpus: ReportInputs, *, limit: int = HASHED) -> dict[str, Any] | None:
    """Pairs of pictures with nearly the same hash.

    Returns:
        ``images``, ``distinct`` ones, how many of those were ``hashed``, and of them ``flat``
        (all but one colour, or not readable: no hash); ``identical``: pairs of equal
        pixels over the whole corpus (content hash, no sample); ``near``: pairs at most :data:`NEAR` bits apart among
        the hashed, identical pixels not counted; ``pairs``: the closest ``{images, bits}``, bits None for equal pixels.
        None before ``images`` has run.
    """
    if corpus.images is None:
        return None
    contents: dict[str, list[str]] = {}
    for record in corpus.images.values():
        contents.setdefault(record.content or record.image, []).append(record.image)
    equal = [(a, b, None) for same in contents.values() for a, b in zip(same, same[1:], strict=False)]
    single = [same[0] for same in contents.values()]
    chosen = sorted(sorted(single, key=lambda image: compute_random_rank(corpus.seed, image))[:limit])
    hashes = _hashes(corpus, chosen)
    near = _near(hashes)
    return {
        "images": len(corpus.images),
        "distinct": len(single),
        "hashed": len(chosen),
        "flat": len(chosen) - len(hashes),
        "identical": len(equal),
        "near": len(near),
        "bits": NEAR,
        "pairs": [{"images": [a, b], "bits": bits} for a, b, bits in [*equal[: SHOWN // 2], *near][:SHOWN]],
    }


def _hashes(corpus: ReportInputs, chosen: list[str]) -> dict[str, int]:
    """Image id → hash, computed once per content and kept in the work folder."""
    from mindgpt_data.gates.picture_hash import PictureHashes

    records = [corpus.images[image] for image in chosen]  # type: ignore[index]
    known = PictureHashes(corpus.work.folder, corpus.settings.images.max_megapixels)
    found = known.of({r.content or r.image: Path(r.paths[0]) for r in records if r.paths})
    return {r.image: found[r.content or r.image] for r in records if (r.content or r.image) in found}


def _near(hashes: dict[str, int]) -> list[tuple[str, str, int]]:
    """Pairs at most :data:`NEAR` bits apart, closest first."""
    import numpy as np

    from mindgpt_data.gates.similar import find_close_pairs

    names, values = list(hashes), np.array(list(hashes.values()), dtype=np.uint64)
    pairs = [(names[i], names[j]) for i, j in find_close_pairs(values, values, NEAR) if i < j]
    return sorted(((a, b, (hashes[a] ^ hashes[b]).bit_count()) for a, b in pairs), key=lambda pair: (pair[2], pair[:2]))
