"""verl's trajectory keys, ``{uid}_{session}_{trajectory}``; imports no host."""

from __future__ import annotations

from collections.abc import Sequence


def split_key(key: str) -> tuple[str, int, int]:
    """Prompt id, session (which of the n replies) and trajectory (which output of the session)."""
    uid, session, trajectory = key.rsplit("_", 2)
    return uid, int(session), int(trajectory)


def find_final_rows(keys: Sequence[str], places: Sequence[int]) -> dict[tuple[str, int], int]:
    """(uid, session) → place of its last trajectory, the only one that is scored; in order of (uid, session)."""
    final: dict[tuple[str, int], tuple[int, int]] = {}
    for key, place in zip(keys, places, strict=True):
        uid, session, trajectory = split_key(key)
        if trajectory >= final.get((uid, session), (-1, 0))[0]:
            final[uid, session] = (trajectory, place)
    return {session: place for session, (_, place) in sorted(final.items())}
