"""Fetches what the reward workers wrote about the replies of a step."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

import transfer_queue as tq

from mindgpt_plugins.verl_ext.settings import VerlSettingsError
from mindgpt_plugins.verl_ext.step.hybrid import refuse_errors
from mindgpt_plugins.verl_ext.step.keys import split_key
from mindgpt_plugins.verl_ext.step.reward_fields import ASKED, ERROR, LOG, PID, PREFIX
from mindgpt_plugins.verl_ext.step.rows import make_rollout_from_verl
from mindgpt_plugins.verl_ext.step.scored_reply import ScoredReply

FIELDS = ["responses", "extra_fields", "extra_info", "reward_model", "data_source", ASKED]


class StepReplies:
    """The final trajectories of a step.

    Args:
        batch: verl's batch.
        places: of the final trajectories in it.

    Raises:
        RolloutError: a reward raised.
        SettingsError: other code than ours scored them.
    """

    def __init__(self, batch: Any, places: Sequence[int]):
        self.keys = [batch.keys[i] for i in places]
        data = tq.kv_batch_get(keys=self.keys, partition_id=batch.partition_id, select_fields=FIELDS)
        flat, ends = data["responses"].values().tolist(), data["responses"].offsets().tolist()
        self.tokens = [flat[start:end] for start, end in itertools.pairwise(ends)]
        self.columns = {name: [getattr(item, "data", item) for item in data[name]] for name in FIELDS[1:]}
        self.infos = [(extra or {}).get("reward_extra_info") or {} for extra in self.columns["extra_fields"]]
        foreign = sum(PID not in info for info in self.infos)
        if foreign:
            raise VerlSettingsError(
                f"{foreign} replies were scored by other code than ours; remove reward.reward_manager and "
                "reward.custom_reward_function from the overrides: our trainer brings its own"
            )
        refuse_errors([info[ERROR] for info in self.infos])

    def log_probs(self, partition: str) -> list[float]:
        """Log-probability of each reply: of the tokens that the model wrote, by the policy before the update."""
        data = tq.kv_batch_get(keys=self.keys, partition_id=partition, select_fields=["old_log_probs", "response_mask"])
        rows = zip(data["old_log_probs"].unbind(), data["response_mask"].unbind(), strict=True)
        return [float((values * mask).sum()) for values, mask in rows]

    @property
    def reward_pids(self) -> set[int]:
        """Processes that computed the rewards."""
        return {int(info[PID]) for info in self.infos}

    @property
    def asked(self) -> list[int]:
        """Replies asked for each one's prompt."""
        return [int(asked["n"]) for asked in self.columns[ASKED]]

    def scored(self, tokenizer: Any, step: int, total: int) -> tuple[list[ScoredReply], list[dict[str, Any]]]:
        """Each reply, and what the rollout dump says about it and its prompt."""
        texts = tokenizer.batch_decode(self.tokens, skip_special_tokens=True)
        replies, facts = [], []
        for i, (key, text, info) in enumerate(zip(self.keys, texts, self.infos, strict=True)):
            uid, session, _ = split_key(key)
            row = {name: column[i] for name, column in self.columns.items()}
            rollout = make_rollout_from_verl(row, text, self.tokens[i], step, total)
            components = {
                name.removeprefix(PREFIX): None if value != value else float(value)  # NaN: not scored
                for name, value in info.items()
                if name.startswith(PREFIX)
            }
            replies.append(ScoredReply(uid, session, rollout, float(info["score"]), components, _log(info[LOG])))
            facts.append(
                {
                    "row": rollout.uid,
                    "prompt": rollout.prompt,
                    "reply": text,
                    "target": rollout.target,
                    "source": rollout.source,
                    "type": rollout.type,
                    "answer_type": rollout.answer_type,
                    "boxes": rollout.boxes,
                    "labels": dict(rollout.labels),
                    "difficulty": rollout.difficulty,
                    "image": [str(name) for name in row["extra_info"].get("image") or []],
                    "group": uid,
                    "session": session,
                }
            )
        return replies, facts


def _log(text: str) -> dict[str, Any]:
    log: dict[str, Any] = json.loads(text) if text != "{}" else {}
    return log
