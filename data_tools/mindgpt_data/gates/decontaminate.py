"""Gate ``decontaminate``: nothing of an evaluation set, by 13-grams and by its pictures (method, gate 5)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from mindgpt_data.gates.batch import Batch, GateVerdict, mark_batch_gate
from mindgpt_data.gates.held_out import count_held_out, list_ngrams, read_held_out_sets


@mark_batch_gate
def decontaminate(batch: Batch, *, n: int | None = 13, picture_distance: int | None = 4) -> Iterator[GateVerdict]:
    """Drop rows that share ``n`` words in a row, or a picture, with a set of ``filter.against``.

    Args:
        batch: the rows.
        n: words per n-gram, over question and answer; None compares no words. Questions of one template (those of
            teacher ``annotations``, say) share their words whatever picture they are about: between two sets of them
            only pictures can leak.
        picture_distance: two pictures are the same when their 64-bit perceptual hashes differ in at most this many
            bits. Pictures of one colour have no hash; they are the same only when every pixel is, and with None so
            are all: plain drawings hash alike.

    Raises:
        HeldOutError: a set cannot be read.
        ImageError: a picture of a set cannot be read.
    """
    against = batch.settings.filter.against
    if not against:
        batch.notes.append("decontaminate: filter.against names no evaluation set, so nothing was compared")
        return
    held = read_held_out_sets(against, n)
    batch.facts["compared with"] = count_held_out(held)
    pictures = _seen_pictures(batch, list(held.pictures), picture_distance)
    for item in batch.items:
        row = item.row
        shown = next((pictures[image] for image in row.image if image in pictures), None)
        if shown is not None:
            source = held.pictures[shown]
            yield GateVerdict(row.uid, "same picture as in an evaluation set", f"{', '.join(row.image)} (in {source})")
            continue
        mine = list_ngrams(row.question, row.answer, n) if n is not None else ()
        gram = next((g for g in mine if g in held.grams), None)
        if gram is not None:
            detail = f"{row.question} → {row.answer} ({' '.join(gram)!r} in {held.grams[gram]})"
            yield GateVerdict(row.uid, f"shares {n} words in a row with an evaluation set", detail)


def _seen_pictures(batch: Batch, files: list[Path], distance: int | None) -> dict[str, Path]:
    """Image id → the first evaluation picture it equals."""
    import numpy as np

    from mindgpt_data.gates.picture_hash import PictureHashes
    from mindgpt_data.gates.similar import find_close_pairs

    limit = batch.settings.images.max_megapixels
    exact: dict[str, Path] = {}
    hashed: list[int] = []
    sources: list[Path] = []
    for file in files:
        pixels, look = _hashes(file, file.stat().st_mtime_ns, limit, distance is not None)
        exact.setdefault(pixels, file)
        if look is not None:
            hashed.append(look)
            sources.append(file)
    shown = dict.fromkeys(image for item in batch.items for image in item.row.image if image in batch.records)
    content = {image: batch.records[image].content for image in shown}
    found = {image: exact[content[image]] for image in shown if content[image] in exact}
    if distance is None:
        return found
    ours = PictureHashes(batch.folder, limit).of({content[image]: batch.paths_of(image)[0] for image in shown})
    names = [image for image in shown if content[image] in ours and image not in found]
    values = np.array([ours[content[image]] for image in names], dtype=np.uint64)
    for i, j in find_close_pairs(values, np.array(hashed, dtype=np.uint64), distance):
        found.setdefault(names[i], sources[j])
    return found


@lru_cache(maxsize=65_536)  # several sets are often compared with the same held-out ones in one process
def _hashes(file: Path, modified: int, max_megapixels: float, perceptual: bool) -> tuple[str, int | None]:
    """Content hash of a picture and, where it is wanted, its perceptual one; ``modified`` tells files apart in time."""
    from mindgpt_data.gates.picture_hash import compute_perceptual_hash
    from mindgpt_data.io.images import hash_rgb_pixels, open_image

    image = open_image(file, max_megapixels)
    return hash_rgb_pixels(image), compute_perceptual_hash(image) if perceptual else None
