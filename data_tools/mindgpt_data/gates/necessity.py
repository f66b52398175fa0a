"""Gate ``necessity``: does the question need its picture?

Two measures (of the method). Where the endpoint returns log-probabilities: the gold answer must become more likely by
seeing the picture, CE(answer | no picture) − CE(answer | picture) > 0.05 nats per token. For perception topics also:
the share of right answers must fall by at least 0.25 when the model answers blind.

The cross-entropy of a *given* answer comes from one request whose last message is the assistant's: vLLM continues it
(``add_generation_prompt: false``, ``continue_final_message: true``) and returns the log-probability of every prompt
token (``prompt_logprobs``: fields of its chat-completion request, vllm/entrypoints/openai/chat_completion/protocol.py).
Forcing the answer by a grammar would not do: vLLM masks the logits before it takes their log-probabilities.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from mindgpt_data.client.request import Answer, Done, Failed, Request, Task
from mindgpt_data.gates.asking import (
    Sampling,
    build_user_content,
    fingerprint_question,
    make_failed_verdict,
    select_showable_items,
    solve_items,
    zip_outcomes,
)
from mindgpt_data.gates.batch import Batch, GateVerdict, mark_batch_gate
from mindgpt_data.gates.item import Item
from mindgpt_data.gates.topics import make_perception_test


@mark_batch_gate
def necessity(
    batch: Batch,
    *,
    gain: float = 0.05,
    margin: float = 0.25,
    samples: int = 8,
    role: str = "solver",
    temperature: float = 1.0,
    max_tokens: int = 1024,
) -> Iterator[GateVerdict]:
    """Drop items that are answered as well without their picture.

    Args:
        batch: the rows; open and adversarial rows, rows with a video and rows without a picture are kept unmeasured.
        gain: nats per token the picture must be worth, where log-probabilities are offered.
        margin: share of right answers the picture must be worth, for perception topics.
        samples: answers per item and condition. The share with the picture is agreement's, when that gate came before.
        role: whose endpoints answer.
        temperature: of the sampling.
        max_tokens: longest answer.
    """
    items = [item for item in select_showable_items(batch, batch.items, "necessity") if item.row.image]
    dropped: set[str] = set()
    if all(endpoint.logprobs for endpoint in batch.settings.endpoints_for(role)):
        for verdict in _by_cross_entropy(batch, items, gain, role):
            dropped.add(verdict.uid)
            yield verdict
    else:
        batch.notes.append(
            f"necessity: cross-entropy not measured; set endpoints.{role}[].logprobs=true where a server returns "
            "prompt_logprobs (vLLM does)"
        )
    seen = make_perception_test(batch.settings)
    asked = [item for item in items if item.row.uid not in dropped and seen(item.row)]
    how = Sampling(role, samples, temperature, max_tokens)
    unknown = [item for item in asked if item.row.uid not in batch.solved]
    failed: set[str] = set()
    for item, outcome in solve_items(batch, unknown, how, "seeing") if unknown else ():
        if isinstance(outcome, Done):
            batch.solved[item.row.uid] = sum(outcome.value) / samples
        else:
            failed.add(item.row.uid)
            yield make_failed_verdict(item, outcome)
    blind = [item for item in asked if item.row.uid not in failed]
    for item, outcome in solve_items(batch, blind, how, "blind", pictures=False) if blind else ():
        if not isinstance(outcome, Done):
            yield make_failed_verdict(item, outcome)
            continue
        seeing, without = batch.solved[item.row.uid], sum(outcome.value) / samples
        detail = f"{item.row.question} → {item.row.answer} (right {seeing:.2f} seeing, {without:.2f} blind)"
        yield GateVerdict(item.row.uid, "answered blind" if seeing - without < margin else None, detail)


def _by_cross_entropy(batch: Batch, items: Sequence[Item], gain: float, role: str) -> Iterator[GateVerdict]:
    """Verdicts for the items that the picture does not help, and for those that could not be measured."""
    measured: dict[str, dict[bool, float]] = {item.row.uid: {} for item in items}
    failures: dict[str, Failed] = {}
    for pictures in (True, False):
        for item, outcome in zip_outcomes(batch, items, partial(_scored, batch, pictures), role):
            if isinstance(outcome, Done):
                measured[item.row.uid][pictures] = outcome.value
            else:
                failures[item.row.uid] = outcome
    gains = []
    for item in items:
        uid = item.row.uid
        if uid in failures:
            yield make_failed_verdict(item, failures[uid])
            continue
        worth = measured[uid][False] - measured[uid][True]
        gains.append(worth)
        if worth <= gain:
            detail = f"{item.row.question} → {item.row.answer} (the picture is worth {worth:.3f} nats per token)"
            yield GateVerdict(uid, "picture does not make the answer likelier", detail)
    if gains:
        batch.facts["mean gain in nats per token"] = round(sum(gains) / len(gains), 4)


def _scored(batch: Batch, pictures: bool, item: Item) -> Task[float]:
    row = item.row

    def build() -> Request:
        asked = {"role": "user", "content": build_user_content(batch, item, row.question, pictures=pictures)}
        return Request(messages=[asked, {"role": "assistant", "content": f"answer: {row.answer}"}], scored=True)

    mark = fingerprint_question(batch, item, "scored", row.question, row.answer, pictures)
    return Task(
        f"{row.uid}/{'seen' if pictures else 'unseen'}", mark, build, lambda a: compute_cross_entropy(a, row.answer)
    )


def compute_cross_entropy(answer: Answer, text: str) -> float:
    """Mean negative log-probability per token of ``text`` at the end of a scored request, in nats.

    Raises:
        ValueError: the server sent no log-probabilities, or its last tokens are not ``text``.
    """
    if not answer.logprobs:
        raise ValueError("the server returned no prompt_logprobs; set logprobs: false for it")
    tail, found = "", list[float]()
    for token in reversed(answer.logprobs[0]):
        tail = token["token"] + tail
        found.append(float(token["logprob"]))
        if len(tail.strip()) >= len(text.strip()):
            break
    if not tail.strip().endswith(text.strip()):
        raise ValueError(f"the last tokens of the prompt are {tail!r}, not the answer {text!r}")
    return -sum(found) / len(found)
