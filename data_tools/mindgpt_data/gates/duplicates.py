"""Gate ``duplicates``: no question twice about one picture, and none twice in one topic (method, gate 5)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

from mindgpt_data.gates.batch import Batch, GateVerdict, mark_batch_gate
from mindgpt_data.gates.item import Item
from mindgpt_data.gates.topics import make_perception_test


def normalise_question(question: str) -> str:
    """Lower case, single spaces, no final punctuation."""
    return " ".join(question.lower().split()).rstrip(" ?.!")


@mark_batch_gate
def duplicates(
    batch: Batch,
    *,
    within_image: float = 0.92,
    within_leaf: float | None = 0.95,
    embedder: str = "static",
) -> Iterator[GateVerdict]:
    """Keep the first of its kind, in input order: exact after normalising, then by cosine.

    Across pictures two questions are the same only if their answers are too ("how many cars?" is a new question in
    every picture; the method compares questions alone). Rows of perception topics, and those without a knowledge topic,
    ask what *this* picture shows, so they are compared within it only.

    Args:
        batch: the rows.
        within_image: cosine of two questions about one picture above which the second goes.
        within_leaf: the same for questions with equal answers in one (knowledge, capability) topic; None to switch off.
        embedder: text embeddings; thresholds belong to the model.
    """
    import numpy as np

    from mindgpt_data.embed import load_embedder as load
    from mindgpt_data.gates.similar import find_repeats

    kept: list[Item] = []
    first: dict[tuple[str, str], Item] = {}
    for item in batch.items:
        earlier = first.setdefault((_picture(item), normalise_question(item.row.question)), item)
        if earlier is item:
            kept.append(item)
        else:
            yield _repeats(item, earlier, "question already asked about this image")
    vectors = load(embedder).encode([item.row.question for item in kept])
    groups = [("question too close to another about this image", within_image, _by(kept, _picture))]
    if within_leaf is not None:
        seen = make_perception_test(batch.settings)
        topics = _by(kept, lambda item: "" if seen(item.row) else _topic(item))
        groups.append(("question too close to another of its topic", within_leaf, topics))
    gone: set[int] = set()
    for reason, threshold, parts in groups:
        for members in parts:
            alive = [i for i in members if i not in gone]
            for i, earlier_at in zip(alive, find_repeats(vectors[np.array(alive, dtype=int)], threshold), strict=True):
                if earlier_at is not None:
                    gone.add(i)
                    yield _repeats(kept[i], kept[alive[earlier_at]], reason)


def _picture(item: Item) -> str:
    # Several pictures together are another picture than the first alone.
    return item.image_hash if len(item.row.image) == 1 and item.image_hash else "\n".join(item.row.image)


def _topic(item: Item) -> str:
    row = item.row
    return "\n".join((row.knowledge, row.capability, normalise_question(row.answer))) if row.knowledge else ""


def _by(items: list[Item], key: Callable[[Item], str]) -> list[list[int]]:
    parts: dict[str, list[int]] = defaultdict(list)
    for i, item in enumerate(items):
        if name := key(item):
            parts[name].append(i)
    return [members for members in parts.values() if len(members) > 1]


def _repeats(item: Item, earlier: Item, reason: str) -> GateVerdict:
    detail = f"{item.row.question} → {item.row.answer} (like {earlier.row.uid}: {earlier.row.question})"
    return GateVerdict(item.row.uid, reason, detail)
