"""One reward, found through the entry-point group ``mindgpt.rewards``."""

from mindgpt_plugins.rewards.sdk import Rollout, Score, reward


@reward
def mentions_target(r: Rollout, *, credit: float = 0.5) -> Score | None:
    """``credit`` when the gold answer occurs anywhere in the reply."""
    found = r.target.casefold() in r.text.casefold()
    return Score(credit if found else 0.0, log={"found": found})
