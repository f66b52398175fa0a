"""Task reward: full score up to a soft limit, then falling to 0 at the hard one. Source: arXiv 2503.14476, eq. 13.

There the penalty runs from 0 to -1 and is added; here 1 + penalty is one task score among others, so that r stays in
[0, 1]: with weight w < 1 beside ``accuracy`` a right reply, however long, still scores above 0.5 and a wrong one below.
Turn it on when more than about 2 % of the replies reach the limit (``overlong.capped`` in the log).
"""

from __future__ import annotations

from mindgpt_plugins.rewards.sdk import Rollout, Score, reward


@reward
def overlong(r: Rollout, *, limit: int, soft: int) -> Score:
    """1 up to ``limit - soft`` tokens, 0 from ``limit`` on, straight in between.

    Args:
        r: the reply.
        limit: tokens at which a reply is cut (the stage's ``max_response_tokens``).
        soft: tokens before it over which the score falls.

    Raises:
        ValueError: not 0 < soft <= limit.
    """
    if not 0 < soft <= limit:
        raise ValueError(f"overlong: needs 0 < soft <= limit, got soft {soft} and limit {limit}")
    return Score(min(1.0, max(0.0, (limit - r.length) / soft)), log={"capped": int(r.length >= limit)})
