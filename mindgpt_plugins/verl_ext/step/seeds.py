"""One seed per reply, from what identifies it: so a resumed run draws the samples the killed one would have drawn."""

from __future__ import annotations

import hashlib


def derive_sample_seed(seed: int, prompt: int | str, session: int, step: int) -> int:
    """A 63-bit seed from the run's seed, the prompt's dataset index, the rollout's number in its group and the step."""
    text = f"{seed}/{prompt}/{session}/{step}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1
