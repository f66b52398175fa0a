"""Gate ``agreement``: do several sampled answers agree with the gold one? Gives the item's difficulty.

For SFT the solver is the teacher: asking the student would delete what it has yet to learn. For RL it is the policy,
and only items it solves sometimes carry a signal; items never solved in 8 tries are asked again in a hard pool, because
0 of 8 still happens 43 % of the time at a true rate of 0.1 (ours; thresholds of the method).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from mindgpt_data.client.request import Done
from mindgpt_data.gates.asking import Sampling, make_failed_verdict, select_showable_items, solve_items
from mindgpt_data.gates.batch import Batch, GateVerdict, mark_batch_gate
from mindgpt_data.gates.item import Item
from mindgpt_plugins.answers import extract_answer


@mark_batch_gate
def agreement(
    batch: Batch,
    *,
    purpose: Literal["sft", "rl"] = "sft",
    samples: int = 8,
    consensus: float = 0.5,
    retest: int = 16,
    role: str | None = None,
    temperature: float = 1.0,
    max_tokens: int = 1024,
) -> Iterator[GateVerdict]:
    """Keep what a solver agrees with; every kept item's difficulty becomes 1 − share of right answers.

    Where both right and wrong replies came, one of each is kept as a preference pair.

    Args:
        batch: the rows; open and adversarial rows and rows with a video are kept unmeasured (noted).
        purpose: ``sft`` keeps a share of at least ``consensus``; ``rl`` keeps shares strictly between 0 and 1.
        samples: answers per item.
        consensus: for ``sft``.
        retest: for ``rl``, how many more answers an item gets when none of the first was right; 0 drops it at once.
        role: whose endpoints solve; default the teacher's for ``sft``, the solver's for ``rl``.
        temperature: of the sampling.
        max_tokens: longest answer.

    Raises:
        ValueError: an unknown purpose, or fewer than two samples.
    """
    if purpose not in ("sft", "rl"):
        raise ValueError(f"gate agreement: purpose {purpose!r} must be sft or rl")
    if samples < 2:
        raise ValueError(f"gate agreement: samples {samples} must be at least 2")
    how = Sampling(role or {"sft": "teacher", "rl": "solver"}[purpose], samples, temperature, max_tokens)
    if how.role == "solver" and not batch.settings.endpoints.get("solver"):
        batch.notes.append("agreement: no endpoints.solver is set, so the teacher solved; difficulty is the teacher's")
    hard: list[Item] = []
    for item, outcome in solve_items(batch, select_showable_items(batch, batch.items, "agreement"), how, "first"):
        if not isinstance(outcome, Done):
            yield make_failed_verdict(item, outcome)
        elif purpose == "rl" and retest and not any(outcome.value):
            hard.append(item)
        else:
            _keep_pair(batch, item, outcome)
            yield _verdict(batch, item, outcome.value, purpose, consensus)
    # Outcomes come in any order; what is asked next must not depend on it.
    order = {item.row.uid: i for i, item in enumerate(batch.items)}
    hard.sort(key=lambda item: order[item.row.uid])
    rescued = 0
    for item, outcome in solve_items(batch, hard, replace(how, samples=retest), "hard") if hard else ():
        if not isinstance(outcome, Done):
            yield make_failed_verdict(item, outcome)
            continue
        rescued += any(outcome.value)
        _keep_pair(batch, item, outcome)
        yield _verdict(batch, item, [False] * samples + outcome.value, purpose, consensus)
    if purpose == "rl":
        batch.facts["hard pool"] = {"asked again": len(hard), "kept": rescued}


def _keep_pair(batch: Batch, item: Item, outcome: Done[list[bool]]) -> None:
    """Remember the right and the wrong reply that are closest in length: a pair should teach rightness, not length.

    Replies that state no answer (most were cut) are no examples of either.
    """
    replies = [
        (t, ok)
        for t, ok in zip(outcome.answer.texts, outcome.value, strict=True)
        if extract_answer(t, item.row.answer_type)
    ]
    right, wrong = ([text for text, ok in replies if ok is wanted] for wanted in (True, False))
    if right and wrong:
        chosen, rejected = min(itertools.product(right, wrong), key=lambda pair: abs(len(pair[0]) - len(pair[1])))
        batch.pairs[item.row.uid] = chosen, rejected


def _verdict(batch: Batch, item: Item, right: list[bool], purpose: str, consensus: float) -> GateVerdict:
    share = sum(right) / len(right)
    batch.solved[item.row.uid] = share
    reason = None
    if purpose == "sft" and share < consensus:
        reason = f"consensus below {consensus:g}"
    elif purpose == "rl" and share in (0.0, 1.0):
        reason = "always solved" if share else "never solved"
    detail = f"{item.row.question} → {item.row.answer} ({sum(right)} of {len(right)} answers right)"
    return GateVerdict(item.row.uid, reason, detail, difficulty=round(1 - share, 4))
