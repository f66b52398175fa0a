"""Pictures that look alike, by perceptual hash (64-bit DCT hash; idea: pHash, common practice)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindgpt_data.report.load import Corpus
from mindgpt_data.report.tally import rank

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NEAR = 4
"""Bits of 64 that may differ."""
HASHED = 1500
"""Pictures that are hashed; of more, a random sample: reading every picture again would take minutes."""
SHOWN = 12
BLOCK = 512


def near_duplicates(corpus: Corpus, *, limit: int = HASHED) -> dict[str, Any] | None:
    """Pairs of pictures with nearly the same hash.

    Returns:
        ``images``, ``distinct`` ones, how many of those were ``hashed`` or ``unread``; ``identical``: pairs of equal
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
    chosen = sorted(sorted(single, key=lambda image: rank(corpus.seed, image))[:limit])
    hashes, names, unread = _hashes(corpus, chosen)
    near = _near(hashes, names)
    near.sort(key=lambda pair: (pair[2], pair[0], pair[1]))
    return {
        "images": len(corpus.images),
        "distinct": len(single),
        "hashed": len(names),
        "unread": unread,
        "identical": len(equal),
        "near": len(near),
        "bits": NEAR,
        "pairs": [{"images": [a, b], "bits": bits} for a, b, bits in [*equal[: SHOWN // 2], *near][:SHOWN]],
    }


def _hashes(corpus: Corpus, chosen: list[str]) -> tuple[NDArray[np.uint8], list[str], int]:
    """Hashes as bits [n, 64], their image ids, and how many could not be read."""
    import imagehash
    import numpy as np

    from mindgpt_data.images import ImageError, open_image

    found, names, unread = [], [], 0
    for image in chosen:
        paths = corpus.images[image].paths  # type: ignore[index]
        try:
            picture = open_image(Path(paths[0]))
        except (ImageError, IndexError):
            unread += 1
            continue
        found.append(imagehash.phash(picture).hash.ravel())
        names.append(image)
    return np.array(found, dtype=np.uint8).reshape(-1, 64), names, unread


def _near(bits: NDArray[np.uint8], names: list[str]) -> list[tuple[str, str, int]]:
    import numpy as np

    # Differing bits of a and b: |a| + |b| - 2 a·b, as one matrix product per block.
    real = bits.astype(np.float32)
    weight = real.sum(axis=1)
    found = []
    for first in range(0, len(names), BLOCK):
        block = real[first : first + BLOCK]
        apart = weight[first : first + BLOCK, None] + weight[None, :] - 2 * block @ real.T
        for i, j in np.argwhere(apart <= NEAR):
            if first + i < j:
                found.append((names[first + i], names[j], int(apart[i, j])))
    return found
